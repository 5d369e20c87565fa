//! What is counted.

use metrics::counter;

/// Where a page of a home timeline came from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source {
    /// Redis had it.
    Cache,
    /// Redis did not have it, and has it now.
    Rebuilt,
    /// SQL alone: Redis is away, or the page is older than what Redis keeps.
    Store,
}

/// A home timeline was read.
pub(crate) fn home_read(source: Source) {
    let source = match source {
        Source::Cache => "cache",
        Source::Rebuilt => "rebuilt",
        Source::Store => "store",
    };
    counter!("home_timeline_reads_total", "source" => source).increment(1);
}

/// A post was offered to this many home timelines.
pub(crate) fn fanned_out(readers: usize) {
    counter!("home_timeline_deliveries_total").increment(readers as u64);
}

/// An author got so many followers that posts are merged when they are read.
pub(crate) fn became_star() {
    counter!("home_timeline_stars_total").increment(1);
}

/// A post was made by a job, or not.
pub(crate) fn job_ended(outcome: &'static str) {
    counter!("post_jobs_total", "outcome" => outcome).increment(1);
}
