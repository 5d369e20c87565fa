//! How many instances there should be: the formula of the horizontal pod autoscaler of Kubernetes,
//! with its tolerance, its stabilisation, its care with missing values and its limits.
//!
//! Nothing here asks a clock or anybody else, so that each rule can be tested with numbers.

use std::{collections::VecDeque, time::Duration};

/// Ratios of value to target this near to one change nothing.
const TOLERANCE: f64 = 0.1;
/// Within this time the number of instances at most doubles.
const UP_PERIOD: Duration = Duration::from_secs(15);

/// The limits of one service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Never fewer instances.
    pub min: u32,
    /// Never more.
    pub max: u32,
    /// The highest number wanted within this time is kept.
    pub down_after: Duration,
}

/// What Prometheus said.
#[derive(Clone, Debug, PartialEq)]
pub enum Measured {
    /// A value for each instance that could be measured, which may be fewer than run.
    OfInstances(Vec<f64>),
    /// One value for the whole service.
    Whole(f64),
    /// Nothing: no answer, no data, or data that is too old.
    Missing,
}

/// One metric now.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// What the value should be.
    pub target: f64,
    /// What it is.
    pub measured: Measured,
}

/// Which way the number goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// More instances.
    Up,
    /// Fewer.
    Down,
    /// As many.
    Stay,
}

impl Direction {
    /// The word for a label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Stay => "stay",
        }
    }
}

/// What shall be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// So many instances.
    pub desired: u32,
    /// Which way that is.
    pub direction: Direction,
    /// For the log.
    pub why: &'static str,
}

impl Decision {
    fn new(current: u32, desired: u32, why: &'static str) -> Self {
        let direction = match desired.cmp(&current) {
            std::cmp::Ordering::Greater => Direction::Up,
            std::cmp::Ordering::Less => Direction::Down,
            std::cmp::Ordering::Equal => Direction::Stay,
        };
        Self {
            desired,
            direction,
            why,
        }
    }
}

impl Reading {
    /// The mean over instances, or the value of the whole.
    pub fn mean(&self) -> Option<f64> {
        match &self.measured {
            Measured::OfInstances(values) if !values.is_empty() => {
                Some(values.iter().sum::<f64>() / count(values.len()))
            }
            Measured::Whole(value) => Some(*value),
            _ => None,
        }
    }

    /// How many instances this metric asks for; `None` when it cannot say.
    pub fn wants(&self, current: u32) -> Option<u32> {
        let ratio = self.mean()? / self.target;
        let number = f64::from(current);
        let missing = match &self.measured {
            Measured::OfInstances(values) => (number - count(values.len())).max(0.0),
            _ => 0.0,
        };
        if missing == 0.0 {
            return Some(scaled(current, ratio));
        }
        // Who cannot be measured is taken for idle where that means fewer new ones, and for as busy as wanted where
        // that means fewer lost ones. If that turns the direction, nothing is known.
        let assumed = if ratio > 1.0 { 0.0 } else { 1.0 };
        let careful = (ratio * (number - missing) + assumed * missing) / number;
        if (careful > 1.0) != (ratio > 1.0) {
            return Some(current);
        }
        Some(scaled(current, careful))
    }
}

/// `ceil(current × ratio)`, or `current` when the ratio is about one.
fn scaled(current: u32, ratio: f64) -> u32 {
    // The hair is what floats lose: 110 of 100 is a tenth.
    if (ratio - 1.0).abs() <= TOLERANCE + 1e-9 {
        return current;
    }
    // Without this, 3 × 1.1000000000000001 would be 4.
    let wanted = (f64::from(current) * ratio - 1e-9).ceil().max(0.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float becomes the nearest number there is, and it is limited next"
    )]
    let wanted = wanted as u32;
    wanted
}

#[expect(clippy::cast_precision_loss, reason = "nobody runs 2^52 instances")]
fn count(number: usize) -> f64 {
    number as f64
}

/// What is remembered of one service between two decisions.
#[derive(Clone, Debug, Default)]
pub struct Scaler {
    /// When how many were wanted.
    wanted: VecDeque<(Duration, u32)>,
    /// When how many were added.
    added: VecDeque<(Duration, u32)>,
}

impl Scaler {
    /// Decides once. `now` is the time since any fixed moment.
    pub fn decide(
        &mut self,
        rules: &Rules,
        now: Duration,
        current: u32,
        readings: &[Reading],
    ) -> Decision {
        if current < rules.min || current > rules.max {
            let desired = current.clamp(rules.min, rules.max);
            self.note(now, current, desired);
            return Decision::new(current, desired, "outside the limits");
        }
        let each: Vec<_> = readings
            .iter()
            .map(|reading| reading.wants(current))
            .collect();
        let Some(most) = each.iter().flatten().max().copied() else {
            // Not even remembered: what cannot be seen says nothing about later either.
            return Decision::new(current, current, "nothing could be measured");
        };
        let blind = each.iter().any(Option::is_none);
        let wanted = if blind { most.max(current) } else { most };
        let wanted = wanted.clamp(rules.min, rules.max);
        let stable = self.stabilised(rules, now, current, wanted);
        let desired = stable.min(self.most_now(now, current));
        self.note(now, current, desired);
        let why = match () {
            () if desired < stable => "the number at most doubles at once",
            () if blind && most < current => "a metric is missing",
            () if stable > wanted => "the load was higher a while ago",
            () => "the load",
        };
        Decision::new(current, desired, why)
    }

    /// Up at once, down only when so few were wanted all the time.
    fn stabilised(&mut self, rules: &Rules, now: Duration, current: u32, wanted: u32) -> u32 {
        if self.wanted.is_empty() {
            // Whoever starts to look knows nothing of before: as many as there are were wanted.
            self.wanted.push_back((now, current));
        }
        let since = now.saturating_sub(rules.down_after);
        self.wanted.push_back((now, wanted));
        while self.wanted.front().is_some_and(|(at, _)| *at < since) {
            self.wanted.pop_front();
        }
        let highest = self.wanted.iter().map(|(_, wanted)| *wanted).max();
        let highest = highest.unwrap_or(wanted);
        if wanted > current {
            wanted
        } else {
            highest.min(current)
        }
    }

    /// The most that there may be now: twice as many as there were a period ago.
    fn most_now(&mut self, now: Duration, current: u32) -> u32 {
        while self
            .added
            .front()
            .is_some_and(|(at, _)| *at + UP_PERIOD <= now)
        {
            self.added.pop_front();
        }
        let added: u32 = self.added.iter().map(|(_, added)| *added).sum();
        let before = current.saturating_sub(added).max(1);
        before.saturating_mul(2).max(current)
    }

    fn note(&mut self, now: Duration, current: u32, desired: u32) {
        if desired > current {
            self.added.push_back((now, desired - current));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules {
        min: 1,
        max: 20,
        down_after: Duration::from_mins(5),
    };

    fn of_instances(values: &[f64]) -> Reading {
        Reading {
            target: 100.0,
            measured: Measured::OfInstances(values.to_vec()),
        }
    }

    fn whole(value: f64) -> Reading {
        Reading {
            target: 100.0,
            measured: Measured::Whole(value),
        }
    }

    fn missing() -> Reading {
        Reading {
            target: 100.0,
            measured: Measured::Missing,
        }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// One that has looked at `current` instances for so long that it may go down.
    fn settled(current: u32) -> Scaler {
        let mut scaler = Scaler::default();
        let busy: Vec<_> = (0..current).map(|_| 100.0).collect();
        scaler.decide(&RULES, at(0), current, &[of_instances(&busy)]);
        scaler
    }

    #[test]
    fn twice_the_target_is_twice_the_instances_and_half_of_it_half() {
        // "if the current metric value is 200m, and the desired value is 100m, the number of replicas will be doubled"
        assert_eq!(of_instances(&[200.0]).wants(1), Some(2));
        assert_eq!(of_instances(&[200.0, 200.0]).wants(2), Some(4));
        // "if the current value is instead 50m, you'll halve the number of replicas"
        assert_eq!(of_instances(&[50.0, 50.0]).wants(2), Some(1));
        assert_eq!(whole(250.0).wants(3), Some(8));
        assert_eq!(whole(0.0).wants(3), Some(0), "limits come later");
    }

    #[test]
    fn a_ratio_within_a_tenth_of_one_changes_nothing() {
        for value in [90.0, 95.0, 100.0, 109.9, 110.0] {
            assert_eq!(whole(value).wants(10), Some(10), "{value}");
        }
        assert_eq!(whole(111.0).wants(10), Some(12));
        assert_eq!(whole(89.0).wants(10), Some(9));
    }

    #[test]
    fn a_float_that_is_a_hair_too_big_is_no_instance_more() {
        assert_eq!(whole(100.0 * (4.0 / 3.0)).wants(3), Some(4));
        assert_eq!(whole(120.000_000_000_1).wants(5), Some(6));
    }

    #[test]
    fn instances_without_a_value_count_as_idle_when_more_are_wanted() {
        // Two at 300, two unknown: (300 + 300 + 0 + 0) / 4 = 150.
        assert_eq!(of_instances(&[300.0, 300.0]).wants(4), Some(6));
        // One at 150, one unknown: 75 would be fewer, which turns the direction.
        assert_eq!(of_instances(&[150.0]).wants(2), Some(2));
    }

    #[test]
    fn instances_without_a_value_count_as_busy_when_fewer_are_wanted() {
        // One at 20, three unknown: (20 + 300) / 4 = 80.
        assert_eq!(of_instances(&[20.0]).wants(4), Some(4));
        // Two at 10, one unknown: (20 + 100) / 3 = 40.
        assert_eq!(of_instances(&[10.0, 10.0]).wants(3), Some(2));
    }

    #[test]
    fn nothing_measured_changes_nothing_however_long() {
        let mut scaler = settled(3);
        for second in (15..2_000).step_by(15) {
            let decision = scaler.decide(&RULES, at(second), 3, &[missing()]);
            assert_eq!((decision.desired, decision.direction), (3, Direction::Stay));
        }
        assert_eq!(of_instances(&[]).wants(3), None);
    }

    #[test]
    fn a_metric_that_is_missing_forbids_fewer_but_not_more() {
        let mut scaler = settled(4);
        let idle = of_instances(&[1.0; 4]);
        for second in (15..2_000).step_by(15) {
            let decision = scaler.decide(&RULES, at(second), 4, &[idle.clone(), missing()]);
            assert_eq!(decision.desired, 4, "{}", decision.why);
        }
        let busy = of_instances(&[200.0; 4]);
        let decision = scaler.decide(&RULES, at(2_000), 4, &[busy, missing()]);
        assert_eq!((decision.desired, decision.direction), (8, Direction::Up));
    }

    #[test]
    fn data_that_comes_back_after_a_gap_does_not_drop_at_once() {
        let mut scaler = settled(4);
        scaler.decide(&RULES, at(10), 4, &[missing()]);
        let idle = [of_instances(&[1.0; 4])];
        assert_eq!(scaler.decide(&RULES, at(20), 4, &idle).desired, 4);
    }

    #[test]
    fn the_metric_that_asks_for_most_counts() {
        let mut scaler = settled(2);
        let readings = [of_instances(&[50.0, 50.0]), whole(150.0)];
        assert_eq!(scaler.decide(&RULES, at(15), 2, &readings).desired, 3);
    }

    #[test]
    fn fewer_only_after_the_load_was_low_for_the_whole_window() {
        let mut scaler = settled(4);
        let idle = [of_instances(&[10.0; 4])];
        for second in (15..300).step_by(15) {
            let decision = scaler.decide(&RULES, at(second), 4, &idle);
            assert_eq!(decision.desired, 4, "{second}: {}", decision.why);
        }
        // One peak begins the wait anew, at the height of the peak.
        let peak = [of_instances(&[60.0; 4])];
        assert_eq!(scaler.decide(&RULES, at(300), 4, &peak).desired, 4);
        let decision = scaler.decide(&RULES, at(330), 4, &idle);
        assert_eq!((decision.desired, decision.direction), (3, Direction::Down));
        let idle = [of_instances(&[10.0; 3])];
        assert_eq!(scaler.decide(&RULES, at(600), 3, &idle).desired, 3);
        assert_eq!(scaler.decide(&RULES, at(615), 3, &idle).desired, 1);
    }

    #[test]
    fn whoever_starts_to_look_does_not_begin_with_fewer() {
        let mut scaler = Scaler::default();
        let idle = [of_instances(&[1.0; 5])];
        assert_eq!(scaler.decide(&RULES, at(0), 5, &idle).desired, 5);
        assert_eq!(scaler.decide(&RULES, at(299), 5, &idle).desired, 5);
        assert_eq!(scaler.decide(&RULES, at(301), 5, &idle).desired, 1);
    }

    #[test]
    fn more_at_once_but_at_most_twice_as_many_in_a_period() {
        let mut scaler = settled(1);
        let decision = scaler.decide(&RULES, at(15), 1, &[of_instances(&[900.0])]);
        assert_eq!((decision.desired, decision.direction), (2, Direction::Up));
        let busy = [of_instances(&[450.0, 450.0])];
        assert_eq!(scaler.decide(&RULES, at(20), 2, &busy).desired, 2);
        assert_eq!(scaler.decide(&RULES, at(30), 2, &busy).desired, 4);
    }

    #[test]
    fn the_limits_hold_whatever_is_measured() {
        let rules = Rules {
            min: 2,
            max: 3,
            ..RULES
        };
        let mut scaler = Scaler::default();
        assert_eq!(scaler.decide(&rules, at(0), 0, &[missing()]).desired, 2);
        assert_eq!(scaler.decide(&rules, at(0), 5, &[missing()]).desired, 3);
        let busy = [of_instances(&[900.0; 3])];
        assert_eq!(scaler.decide(&rules, at(0), 3, &busy).desired, 3);
        let idle = [of_instances(&[0.0; 2])];
        assert_eq!(scaler.decide(&rules, at(900), 2, &idle).desired, 2);
    }

    #[test]
    fn a_load_that_swings_within_the_window_does_not_flap() {
        let mut scaler = settled(2);
        let (mut current, mut changes) = (2, 0);
        for round in 0..120_u64 {
            let value = if round % 4 < 2 { 180.0 } else { 40.0 };
            let each = value * 2.0 / f64::from(current);
            let busy = vec![each; usize::try_from(current).unwrap()];
            let decision = scaler.decide(
                &RULES,
                at(15 * (round + 1)),
                current,
                &[of_instances(&busy)],
            );
            changes += u32::from(decision.desired != current);
            current = decision.desired;
        }
        assert_eq!((current, changes), (4, 1));
    }
}
