//! A value that must be as new as its reader's arrival, read once for all who wait.

use std::sync::atomic::{AtomicU64, Ordering};

use chassis::{Error, flight::Failed};
use tokio::sync::Mutex;

/// Reads of one value, one after the other, each for everybody who came before it began.
#[derive(Debug)]
pub(crate) struct Latest<T> {
    arrivals: AtomicU64,
    seen: Mutex<Seen<T>>,
}

/// The last read: good for those who came before it.
#[derive(Debug)]
struct Seen<T> {
    good_for: u64,
    outcome: Option<Result<T, Failed>>,
}

impl<T> Default for Latest<T> {
    fn default() -> Self {
        let seen = Seen {
            good_for: 0,
            outcome: None,
        };
        Self {
            arrivals: AtomicU64::new(0),
            seen: Mutex::new(seen),
        }
    }
}

impl<T: Clone> Latest<T> {
    /// The value as `read` gives it, by a read that began after this call did.
    ///
    /// # Errors
    /// When that read failed.
    pub(crate) async fn get(
        &self,
        read: impl AsyncFnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let arrival = self.arrivals.fetch_add(1, Ordering::SeqCst);
        let mut seen = self.seen.lock().await;
        if arrival < seen.good_for
            && let Some(outcome) = &seen.outcome
        {
            return Ok(outcome.clone()?);
        }
        let good_for = self.arrivals.load(Ordering::SeqCst);
        let outcome = read().await.map_err(Failed::from);
        *seen = Seen {
            good_for,
            outcome: Some(outcome.clone()),
        };
        Ok(outcome?)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn those_who_wait_share_a_read_that_began_after_they_came() {
        let (latest, reads) = (Latest::default(), AtomicU64::new(0));
        let asked = (0..1000).map(|_| {
            latest.get(async || {
                tokio::task::yield_now().await;
                Ok(reads.fetch_add(1, Ordering::SeqCst))
            })
        });
        let answers: Vec<u64> = join_all(asked)
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        // The first began before the others came.
        assert_eq!((answers[0], answers[1], answers[999]), (0, 1, 1));
        let later = latest.get(async || Ok(reads.load(Ordering::SeqCst))).await;
        assert_eq!(later.unwrap(), 2);
    }
}
