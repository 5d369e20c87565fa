//! What became of each operation.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use hdrhistogram::Histogram;

use crate::{
    journeys::Operation,
    report::{Row, Step, milliseconds},
    world::Problem,
};

/// Latencies above this count as this.
const LONGEST_MICROS: u64 = 120_000_000;
/// Kinds of problems that are told apart.
const PROBLEMS: usize = 20;

/// How an operation ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    Good,
    /// It was answered, and the answer is not right.
    Wrong(String),
    /// It was not answered, or refused.
    Failed(String),
}

impl From<Result<(), Problem>> for Outcome {
    fn from(result: Result<(), Problem>) -> Self {
        match result {
            Ok(()) => Self::Good,
            Err(Problem::Wrong(text)) => Self::Wrong(text),
            Err(Problem::Failed(text)) => Self::Failed(text),
        }
    }
}

#[derive(Clone)]
struct Tally {
    good: u64,
    wrong: u64,
    failed: u64,
    /// Of good ones alone.
    latency: Histogram<u64>,
    problems: BTreeMap<String, u64>,
}

impl Tally {
    fn new() -> Self {
        // Three digits; these bounds are always fine.
        let latency = Histogram::new_with_bounds(1, LONGEST_MICROS, 3);
        Self {
            good: 0,
            wrong: 0,
            failed: 0,
            latency: latency.unwrap_or_else(|_| unreachable!("the bounds are constants")),
            problems: BTreeMap::new(),
        }
    }

    fn add(&mut self, latency: Duration, outcome: Outcome) {
        let text = match outcome {
            Outcome::Good => {
                self.good += 1;
                let micros = u64::try_from(latency.as_micros()).unwrap_or(LONGEST_MICROS);
                self.latency.saturating_record(micros.max(1));
                return;
            }
            Outcome::Wrong(text) => {
                self.wrong += 1;
                text
            }
            Outcome::Failed(text) => {
                self.failed += 1;
                text
            }
        };
        if self.problems.len() < PROBLEMS || self.problems.contains_key(&text) {
            *self.problems.entry(text).or_default() += 1;
        }
    }

    fn merge(&mut self, other: &Self) {
        self.good += other.good;
        self.wrong += other.wrong;
        self.failed += other.failed;
        // Both have the same bounds.
        let _ = self.latency.add(&other.latency);
        for (text, number) in &other.problems {
            *self.problems.entry(text.clone()).or_default() += number;
        }
    }

    fn row(&self, name: String, took: Duration) -> Row {
        let at = |percentile: f64| milliseconds(self.latency.value_at_percentile(percentile));
        #[expect(clippy::cast_precision_loss, reason = "nobody counts to 2^52")]
        let rate = self.good as f64 / took.as_secs_f64().max(0.001);
        Row {
            name,
            good: self.good,
            wrong: self.wrong,
            failed: self.failed,
            good_per_second: rate,
            p50_ms: at(50.0),
            p90_ms: at(90.0),
            p99_ms: at(99.0),
            p999_ms: at(99.9),
            max_ms: milliseconds(self.latency.max()),
            problems: self.problems.clone(),
        }
    }
}

/// Everything of one step.
pub(crate) struct Recorder {
    tallies: Vec<Mutex<Tally>>,
}

impl Recorder {
    pub(crate) fn new(operations: usize) -> Self {
        Self {
            tallies: (0..operations).map(|_| Mutex::new(Tally::new())).collect(),
        }
    }

    pub(crate) fn add(&self, operation: usize, latency: Duration, outcome: Outcome) {
        let mut tally = self.tallies[operation]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        tally.add(latency, outcome);
    }

    /// One kind of operation.
    pub(crate) fn row(&self, operation: usize, name: String, took: Duration) -> Row {
        let tally = self.tallies[operation]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        tally.row(name, took)
    }

    fn total(&self) -> Tally {
        let mut total = Tally::new();
        for tally in &self.tallies {
            total.merge(&tally.lock().unwrap_or_else(PoisonError::into_inner));
        }
        total
    }

    /// How it goes, for a person who waits.
    pub(crate) fn line(&self, title: &str, since: Duration, under_way: usize) -> String {
        let row = self.total().row(title.to_owned(), since);
        format!(
            "{title}: {:.1} good/s, {} wrong, {} failed, p50 {:.1} ms, p99 {:.1} ms, {under_way} under way",
            row.good_per_second, row.wrong, row.failed, row.p50_ms, row.p99_ms
        )
    }

    pub(crate) fn step(
        &self,
        rate: u32,
        took: Duration,
        unanswered: usize,
        operations: &[Operation],
    ) -> Step {
        let rows = operations
            .iter()
            .zip(&self.tallies)
            .map(|(operation, tally)| {
                let tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
                tally.row(format!("{} {}", operation.product, operation.name), took)
            })
            .filter(|row| row.good + row.wrong + row.failed > 0);
        let rows = rows.collect();
        let mut total = self.total();
        total.failed += unanswered as u64;
        Step {
            rate,
            seconds: took.as_secs_f64(),
            total: total.row("all".to_owned(), took),
            operations: rows,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_and_failed_answers_are_no_throughput_and_no_latency() {
        let recorder = Recorder::new(1);
        recorder.add(0, Duration::from_millis(10), Outcome::Good);
        recorder.add(
            0,
            Duration::from_secs(9),
            Outcome::Wrong("another title".into()),
        );
        recorder.add(0, Duration::from_secs(9), Outcome::Failed("503".into()));
        let row = recorder.total().row("all".into(), Duration::from_secs(1));
        assert_eq!((row.good, row.wrong, row.failed), (1, 1, 1));
        assert!((row.good_per_second - 1.0).abs() < 1e-9);
        assert!((9.9..10.1).contains(&row.max_ms), "{}", row.max_ms);
        assert_eq!(row.problems.len(), 2);
    }
}
