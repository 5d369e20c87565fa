//! A set of numbers as its runs.

use std::collections::BTreeMap;

/// Runs that are kept. Beyond that the shortest one is forgotten, which does the least harm.
const MAX_RUNS: usize = 1_000;

/// Numbers, each run of them as its first and its last.
#[derive(Debug, Clone, Default)]
pub(super) struct Runs(BTreeMap<u64, u64>);

impl Runs {
    /// Adds the numbers from `first` to `last`.
    pub(super) fn insert(&mut self, first: u64, last: u64) {
        let (mut first, mut last) = (first, last.max(first));
        // Those that overlap or touch it become one with it.
        while let Some((&start, &end)) = self.0.range(..=last.saturating_add(1)).next_back() {
            if end.saturating_add(1) < first {
                break;
            }
            self.0.remove(&start);
            first = first.min(start);
            last = last.max(end);
        }
        self.0.insert(first, last);
        if self.0.len() > MAX_RUNS {
            let shortest = self.0.iter().min_by_key(|(start, end)| *end - *start);
            if let Some(start) = shortest.map(|(start, _)| *start) {
                self.0.remove(&start);
            }
        }
    }

    /// The first and the last number of each run.
    pub(super) fn iter(&self) -> impl Iterator<Item = u64> {
        self.0.iter().flat_map(|(first, last)| [*first, *last])
    }

    /// How many numbers from 1 to `last` are in the set.
    pub(super) fn count_to(&self, last: u64) -> u64 {
        let runs = self.0.range(..=last);
        runs.map(|(first, end)| end.min(&last) + 1 - (*first).max(1))
            .sum()
    }

    /// The numbers from 1 that are not in the set, below one and falling, up to `limit`.
    pub(super) fn outside_below(&self, below: u64, limit: usize) -> Vec<u64> {
        let (mut numbers, mut next) = (Vec::new(), below.saturating_sub(1));
        while next > 0 && numbers.len() < limit {
            if let Some((first, _)) = self.run_of(next) {
                next = first.saturating_sub(1);
            } else {
                numbers.push(next);
                next -= 1;
            }
        }
        numbers
    }

    /// The numbers that are not in the set, from one to another and rising, up to `limit`.
    pub(super) fn outside_from(&self, from: u64, to: u64, limit: usize) -> Vec<u64> {
        let (mut numbers, mut next) = (Vec::new(), from);
        while next <= to && numbers.len() < limit {
            if let Some((_, last)) = self.run_of(next) {
                next = last.saturating_add(1);
            } else {
                numbers.push(next);
                next += 1;
            }
        }
        numbers
    }

    fn run_of(&self, number: u64) -> Option<(u64, u64)> {
        let (first, last) = self.0.range(..=number).next_back()?;
        (*last >= number).then_some((*first, *last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(of: &[(u64, u64)]) -> Runs {
        let mut runs = Runs::default();
        for (first, last) in of {
            runs.insert(*first, *last);
        }
        runs
    }

    #[test]
    fn runs_that_touch_or_overlap_become_one() {
        for (parts, whole) in [
            (&[(1, 1), (2, 2), (3, 3)][..], &[1, 3][..]),
            (&[(3, 3), (1, 1), (2, 2)], &[1, 3]),
            (&[(1, 5), (2, 3)], &[1, 5]),
            (&[(2, 3), (1, 5)], &[1, 5]),
            (&[(1, 2), (5, 6), (2, 5)], &[1, 6]),
            (&[(1, 2), (4, 6)], &[1, 2, 4, 6]),
        ] {
            assert_eq!(runs(parts).iter().collect::<Vec<_>>(), whole, "{parts:?}");
        }
    }

    #[test]
    fn what_is_outside_is_found_without_a_look_at_what_is_inside() {
        let runs = runs(&[(2, 4), (6, 1_000_000_000)]);
        assert_eq!(
            runs.outside_below(1_000_000_003, 9),
            [1_000_000_002, 1_000_000_001, 5, 1]
        );
        assert_eq!(runs.outside_below(1_000_000_003, 3).len(), 3);
        assert_eq!(runs.outside_below(5, 9), [1]);
        assert_eq!(runs.outside_below(1, 9), [0; 0]);
        assert_eq!(
            runs.outside_from(1, 1_000_000_001, 9),
            [1, 5, 1_000_000_001]
        );
        assert_eq!(runs.outside_from(7, 9, 9), [0; 0]);
        assert_eq!([1, 2, 5, 7].map(|last| runs.count_to(last)), [0, 1, 3, 5]);
    }

    #[test]
    fn the_shortest_of_too_many_is_forgotten() {
        let mut runs = Runs::default();
        runs.insert(1, 2);
        for number in 1..1_500 {
            runs.insert(10 * number, 10 * number + 4);
        }
        assert_eq!(runs.iter().count(), 2 * MAX_RUNS);
        assert!(runs.run_of(1).is_none());
    }
}
