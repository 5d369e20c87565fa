//! Login attempts that fail, counted by account and by address.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use chassis::Error;
use moka::sync::Cache;

/// How long failures count.
const WINDOW: Duration = Duration::from_mins(1);
/// Accounts and addresses remembered; beyond that those least used are forgotten.
const CAPACITY: u64 = 100_000;

/// Refuses further attempts of an account or an address that failed too often within a minute.
///
/// It counts per process: with `n` instances an attacker has at most `n` times as many tries.
#[derive(Debug)]
pub(crate) struct Throttle {
    failures: Cache<String, Arc<Failures>>,
    per_account: u32,
    per_address: u32,
}

#[derive(Debug)]
struct Failures {
    count: AtomicU32,
    since: Instant,
}

impl Throttle {
    pub(crate) fn new(per_account: u32, per_address: u32) -> Self {
        let failures = Cache::builder()
            .time_to_live(WINDOW)
            .max_capacity(CAPACITY)
            .build();
        Self {
            failures,
            per_account,
            per_address,
        }
    }

    /// Whether an attempt is allowed now.
    ///
    /// # Errors
    /// 429 with `Retry-After`.
    pub(crate) fn check(&self, account: &str, address: Option<IpAddr>) -> Result<(), Error> {
        for (key, limit) in self.keys(account, address) {
            let Some(failures) = self.failures.get(&key) else {
                continue;
            };
            if failures.count.load(Ordering::Relaxed) >= limit {
                let wait = WINDOW.saturating_sub(failures.since.elapsed());
                return Err(Error::too_many(
                    "Too many failed logins; wait before the next one",
                    wait,
                ));
            }
        }
        Ok(())
    }

    /// Counts a failed attempt.
    pub(crate) fn failed(&self, account: &str, address: Option<IpAddr>) {
        for (key, _) in self.keys(account, address) {
            let fresh = || {
                Arc::new(Failures {
                    count: AtomicU32::new(0),
                    since: Instant::now(),
                })
            };
            self.failures
                .get_with(key, fresh)
                .count
                .fetch_add(1, Ordering::Relaxed);
        }
    }

    fn keys(
        &self,
        account: &str,
        address: Option<IpAddr>,
    ) -> impl Iterator<Item = (String, u32)> + use<> {
        let account = (format!("account {account}"), self.per_account);
        let address = address.map(|address| (format!("address {address}"), self.per_address));
        [Some(account), address].into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s17_an_account_and_an_address_each_have_their_limit() {
        let throttle = Throttle::new(3, 5);
        let address = Some(IpAddr::from([10, 0, 0, 1]));
        for _ in 0..3 {
            throttle.check("ada", address).unwrap();
            throttle.failed("ada", address);
        }
        assert!(
            throttle.check("ada", None).is_err(),
            "the account, from anywhere"
        );
        throttle.check("grace", address).unwrap();
        throttle.failed("grace", address);
        throttle.failed("grace", address);
        assert!(
            throttle.check("linus", address).is_err(),
            "the address, for any account"
        );
        throttle
            .check("linus", Some(IpAddr::from([10, 0, 0, 2])))
            .unwrap();
    }
}
