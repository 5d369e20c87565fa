//! Waiting longer after every failure, and never in step with others.

use std::time::Duration;

use rand::RngExt as _;

/// Pauses that double from `first` to `longest`, each cut at random to between half and all of it.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            next: first,
        }
    }

    /// The next pause.
    pub(crate) fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.longest);
        pause.mul_f64(rand::rng().random_range(0.5..=1.0))
    }

    /// Starts again after a success.
    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_longest_and_start_again() {
        let (first, longest) = (Duration::from_millis(100), Duration::from_secs(1));
        let mut backoff = Backoff::new(first, longest);
        assert!(backoff.pause() <= first);
        let mut last = Duration::ZERO;
        for _ in 0..10 {
            last = backoff.pause();
        }
        assert!(last >= longest / 2 && last <= longest, "{last:?}");
        backoff.reset();
        assert!(backoff.pause() <= first);
    }
}
