//! What the autoscaler tells about itself.

use metrics::{counter, gauge};

use crate::decide::Decision;

/// How many instances run.
pub(crate) fn replicas(service: &str, number: u32) {
    gauge!("autoscaler_replicas", "service" => service.to_owned()).set(number);
}

/// How many there should be, and which way that is.
pub(crate) fn decided(service: &str, decision: &Decision) {
    gauge!("autoscaler_desired_replicas", "service" => service.to_owned()).set(decision.desired);
    counter!(
        "autoscaler_decisions_total",
        "service" => service.to_owned(),
        "direction" => decision.direction.as_str()
    )
    .increment(1);
}

/// What was measured, for each instance where it is a matter of instances.
pub(crate) fn measured(service: &str, metric: &str, value: Option<f64>, target: f64) {
    let labels = [
        ("service", service.to_owned()),
        ("metric", metric.to_owned()),
    ];
    gauge!("autoscaler_metric_target", &labels).set(target);
    // A gap in a plot is what a missing value looks like.
    gauge!("autoscaler_metric_value", &labels).set(value.unwrap_or(f64::NAN));
}

/// Prometheus did not answer, or had nothing to say.
pub(crate) fn scrape_failed(service: &str) {
    counter!("autoscaler_scrape_failures_total", "service" => service.to_owned()).increment(1);
}

/// So that the first failure is a step up from something.
pub(crate) fn scrape_succeeded(service: &str) {
    counter!("autoscaler_scrape_failures_total", "service" => service.to_owned()).increment(0);
}
