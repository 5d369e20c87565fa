//! All numbers of this service, in one place.

use metrics::counter;

/// Where a list came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Redis.
    Cache,
    /// SQL.
    Store,
}

/// A list was answered.
pub(crate) fn answered(list: &'static str, origin: Origin) {
    let origin = match origin {
        Origin::Cache => "cache",
        Origin::Store => "store",
    };
    counter!("movies_lists_answered_total", "list" => list, "origin" => origin).increment(1);
}

/// A list was asked of the store.
pub(crate) fn loaded(list: &'static str) {
    counter!("movies_lists_loaded_total", "list" => list).increment(1);
}
