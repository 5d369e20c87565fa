//! The numbers of stores, the same for all kinds:
//!
//! | metric | what |
//! | --- | --- |
//! | `store_operation_seconds` by `store`, `operation` | how long operations take |
//! | `store_pool_connections`, `store_pool_in_use`, `store_pool_limit` by `store` | how full the pool is |

use std::time::Duration;

use metrics::histogram;
#[cfg(any(feature = "sql", feature = "documents"))]
use metrics::{Gauge, gauge};

/// An operation came to its end.
pub(crate) fn operation(store: &'static str, operation: &'static str, took: Duration) {
    histogram!("store_operation_seconds", "store" => store, "operation" => operation).record(took);
}

/// How full a pool is.
#[cfg(any(feature = "sql", feature = "documents"))]
pub(crate) struct Pool {
    pub(crate) connections: Gauge,
    pub(crate) in_use: Gauge,
}

#[cfg(any(feature = "sql", feature = "documents"))]
impl Pool {
    pub(crate) fn new(store: &'static str, limit: u32) -> Self {
        gauge!("store_pool_limit", "store" => store).set(limit);
        let (connections, in_use) = (
            gauge!("store_pool_connections", "store" => store),
            gauge!("store_pool_in_use", "store" => store),
        );
        for gauge in [&connections, &in_use] {
            gauge.set(0.0);
        }
        Self {
            connections,
            in_use,
        }
    }
}
