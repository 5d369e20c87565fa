//! Questions to Prometheus.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use loopback::Target;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::{
    decide::{Measured, Reading},
    metrics,
    plan::{Metric, Plan, Policy},
};

/// What Prometheus may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// When the first figures must be there.
const GRACE: Duration = Duration::from_mins(1);

/// Measures one metric of a service; what cannot be measured is [`Measured::Missing`], which counts as a failure once a
/// mesh that just started had `GRACE` for its first figures.
pub(crate) fn read(
    plan: &Plan,
    policy: &Policy,
    metric: &Metric,
    running: &[String],
    since_start: Duration,
) -> Reading {
    let answer = ask(plan.prometheus, &metric.query);
    let measured = match answer {
        Ok(answer) if metric.of_instances => of_instances(&answer, running),
        Ok(answer) => whole(&answer),
        Err(error) => {
            tracing::warn!(
                service.name = policy.identity,
                metric = metric.name,
                cause = format!("{error:#}"),
                "metric cannot be measured"
            );
            Measured::Missing
        }
    };
    if measured == Measured::Missing && since_start > GRACE {
        metrics::scrape_failed(&policy.identity);
    } else {
        metrics::scrape_succeeded(&policy.identity);
    }
    let reading = Reading {
        target: metric.target,
        measured,
    };
    metrics::measured(
        &policy.identity,
        &metric.name,
        reading.mean(),
        metric.target,
    );
    reading
}

fn ask(port: u16, query: &str) -> Result<Value> {
    let path = format!(
        "/api/v1/query?query={}",
        utf8_percent_encode(query, NON_ALPHANUMERIC)
    );
    let answer = loopback::send(&Target::Port(port), "GET", &path, &[], &[], PATIENCE)
        .context("Prometheus does not answer")?;
    if !answer.is_success() {
        bail!(
            "Prometheus answers {} to {query}: {}",
            answer.status,
            answer.text()
        );
    }
    answer.json()
}

/// The values of those instances that run; what others left behind does not count.
fn of_instances(answer: &Value, running: &[String]) -> Measured {
    let values: Vec<f64> = samples(answer)
        .filter(|(instance, _)| running.iter().any(|name| name == instance))
        .map(|(_, value)| value)
        .collect();
    if values.is_empty() {
        Measured::Missing
    } else {
        Measured::OfInstances(values)
    }
}

fn whole(answer: &Value) -> Measured {
    samples(answer)
        .next()
        .map_or(Measured::Missing, |(_, value)| Measured::Whole(value))
}

/// The instance (if any) and value of each sample that is a number.
fn samples(answer: &Value) -> impl Iterator<Item = (&str, f64)> {
    let results = answer["data"]["result"].as_array().into_iter().flatten();
    results.filter_map(|sample| {
        let value: f64 = sample["value"][1].as_str()?.parse().ok()?;
        let instance = sample["metric"]["instance"].as_str().unwrap_or_default();
        value.is_finite().then_some((instance, value))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(samples: &[(&str, &str)]) -> Value {
        let samples: Vec<_> = samples
            .iter()
            .map(|(instance, value)| json!({"metric": {"instance": instance}, "value": [1, value]}))
            .collect();
        json!({"status": "success", "data": {"resultType": "vector", "result": samples}})
    }

    #[test]
    fn only_running_instances_count() {
        let answer = answer(&[("live-1", "3"), ("live-2", "5")]);
        let measured = of_instances(&answer, &["live-1".to_owned()]);
        assert_eq!(measured, Measured::OfInstances(vec![3.0]));
        assert_eq!(of_instances(&answer, &[]), Measured::Missing);
    }

    #[test]
    fn no_sample_and_no_number_are_no_value() {
        assert_eq!(whole(&answer(&[])), Measured::Missing);
        assert_eq!(whole(&answer(&[("", "NaN")])), Measured::Missing);
        assert_eq!(whole(&json!({"status": "error"})), Measured::Missing);
        assert_eq!(whole(&answer(&[("", "0")])), Measured::Whole(0.0));
    }
}
