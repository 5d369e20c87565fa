//! The report: a table for people, JSON for later.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

/// All steps.
#[derive(Debug, Serialize)]
pub struct Report {
    /// One for each rate.
    pub steps: Vec<Step>,
}

/// One rate.
#[derive(Debug, Serialize)]
pub struct Step {
    /// Operations that were meant to start in a second.
    pub rate: u32,
    /// How long they were.
    pub seconds: f64,
    /// All together.
    pub total: Row,
    /// Each kind.
    pub operations: Vec<Row>,
}

/// What became of one kind of operation.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Product and operation.
    pub name: String,
    /// Answered as it should be.
    pub good: u64,
    /// Answered otherwise.
    pub wrong: u64,
    /// Not answered, or refused.
    pub failed: u64,
    /// Throughput: good ones alone.
    pub good_per_second: f64,
    /// Median, from the moment when it was meant to start.
    pub p50_ms: f64,
    /// Nine of ten are faster.
    pub p90_ms: f64,
    /// 99 of 100 are.
    pub p99_ms: f64,
    /// 999 of 1000 are.
    pub p999_ms: f64,
    /// The slowest.
    pub max_ms: f64,
    /// What was wrong or failed, and how often.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub problems: BTreeMap<String, u64>,
}

impl Report {
    /// Returns whether every answer was right.
    pub fn is_flawless(&self) -> bool {
        let mut steps = self.steps.iter();
        steps.all(|step| step.total.wrong == 0 && step.total.failed == 0)
    }
}

#[expect(clippy::cast_precision_loss, reason = "nobody waits 2^52 µs")]
pub(crate) fn milliseconds(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            let (rate, seconds) = (step.rate, step.seconds);
            writeln!(formatter, "{rate}/s for {seconds:.0} s")?;
            writeln!(
                formatter,
                "{:28} {:>8} {:>7} {:>7} {:>8} {:>9} {:>9} {:>9} {:>9}",
                "", "GOOD", "WRONG", "FAILED", "GOOD/S", "P50 MS", "P90 MS", "P99 MS", "MAX MS"
            )?;
            for row in step.operations.iter().chain([&step.total]) {
                writeln!(
                    formatter,
                    "{:28} {:>8} {:>7} {:>7} {:>8.1} {:>9.1} {:>9.1} {:>9.1} {:>9.1}",
                    row.name,
                    row.good,
                    row.wrong,
                    row.failed,
                    row.good_per_second,
                    row.p50_ms,
                    row.p90_ms,
                    row.p99_ms,
                    row.max_ms
                )?;
            }
            for (problem, times) in &step.total.problems {
                writeln!(formatter, "! {times} × {problem}")?;
            }
        }
        Ok(())
    }
}
