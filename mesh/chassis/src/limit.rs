//! Rate limits of one process: so many a minute for each key (GCRA, by `governor`).

use std::{fmt, num::NonZeroU32};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter, clock::{Clock as _, DefaultClock}};

use crate::Error;

/// Keys held before those that have not been seen lately are forgotten.
const SWEEP_AT: usize = 10_000;

/// At most `n` a minute for each key, all of them at once if need be.
pub struct Limiter {
    limiter: DefaultKeyedRateLimiter<String>,
    message: &'static str,
}

impl fmt::Debug for Limiter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Limiter({} keys)", self.limiter.len())
    }
}

impl Limiter {
    /// `message` is what a refused caller is told.
    pub fn per_minute(n: NonZeroU32, message: &'static str) -> Self {
        Self { limiter: RateLimiter::keyed(Quota::per_minute(n)), message }
    }

    /// Counts one for `key`.
    ///
    /// # Errors
    /// 429 with `Retry-After` when that is one too many.
    pub fn check(&self, key: &str) -> Result<(), Error> {
        if self.limiter.len() > SWEEP_AT {
            self.limiter.retain_recent();
        }
        self.limiter.check_key(&key.to_owned()).map_err(|refused| {
            Error::too_many(self.message, refused.wait_time_from(DefaultClock::default().now()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_too_often_leaves_the_others_alone() {
        let limiter = Limiter::per_minute(NonZeroU32::new(3).unwrap(), "slow down");
        for _ in 0..3 {
            limiter.check("ada").unwrap();
        }
        assert_eq!(limiter.check("ada").unwrap_err().code(), crate::Code::TooManyRequests);
        limiter.check("grace").unwrap();
    }
}
