//! The Prometheus recorder behind the `metrics` macros.

use std::sync::OnceLock;

use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};

static HANDLE: OnceLock<Result<PrometheusHandle, BuildError>> = OnceLock::new();

/// Upper bounds of every `*_seconds` histogram, from a cache hit to the longest deadline.
/// The objectives' alert rules name the same bounds.
pub const SECONDS_BUCKETS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// Installs the process-wide recorder; a second call does nothing.
///
/// # Errors
/// When another recorder is installed already.
pub fn install() -> anyhow::Result<()> {
    let builder = || {
        PrometheusBuilder::new()
            .set_buckets(&SECONDS_BUCKETS)?
            .install_recorder()
    };
    match HANDLE.get_or_init(builder) {
        Ok(_) => Ok(()),
        Err(error) => anyhow::bail!("no metrics: {error}"),
    }
}

/// The metrics in the Prometheus text format; empty before [`install`].
pub fn render() -> String {
    let Some(Ok(handle)) = HANDLE.get() else {
        return String::new();
    };
    handle.run_upkeep();
    handle.render()
}

/// Puts what was measured since the last call into the histograms, which have a size that does
/// not grow. Does nothing before [`install`].
pub fn tidy() {
    if let Some(Ok(handle)) = HANDLE.get() {
        handle.run_upkeep();
    }
}
