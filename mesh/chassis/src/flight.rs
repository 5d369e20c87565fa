//! Single flight: those who want the same thing at the same time wait for one to fetch it.

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::{FutureExt as _, future::Shared};
use tokio::sync::oneshot;
use tracing::Instrument as _;

use crate::{Code, Error};

/// A failure that many are told.
#[derive(Debug, Clone)]
pub struct Failed {
    code: Code,
    message: String,
    cause: String,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        let cause = std::error::Error::source(&error);
        Self {
            code: error.code(),
            message: error.message().to_owned(),
            cause: cause.map(ToString::to_string).unwrap_or_default(),
        }
    }
}

impl From<Failed> for Error {
    fn from(failed: Failed) -> Self {
        Self::new(failed.code, failed.message).caused_by(anyhow::anyhow!(failed.cause))
    }
}

type Flight<T> = Shared<oneshot::Receiver<Result<T, Failed>>>;

/// What is being fetched now, by key.
///
/// A thousand who miss the same at once cost its owner one question.
pub struct Flights<K, T> {
    aloft: Mutex<HashMap<K, Flight<T>>>,
}

impl<K, T> fmt::Debug for Flights<K, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Flights")
    }
}

impl<K, T> Default for Flights<K, T> {
    fn default() -> Self {
        Self {
            aloft: Mutex::default(),
        }
    }
}

impl<K, T> Flights<K, T>
where
    K: Clone + Eq + Hash + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    /// What `fetch` gives; it is not called when somebody fetches `key` already.
    ///
    /// # Errors
    /// The failure of `fetch`, for all who waited.
    pub async fn join<F>(self: &Arc<Self>, key: K, fetch: impl FnOnce() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let flight = {
            let mut aloft = self.lock();
            let flight = aloft.get(&key).cloned();
            flight.unwrap_or_else(|| {
                let (sender, receiver) = oneshot::channel();
                let flight = receiver.shared();
                aloft.insert(key.clone(), flight.clone());
                let landing = Landing(Arc::clone(self), key);
                let fetched = fetch();
                // A task of its own: the first to ask may leave, the others still wait.
                let fetching = async move {
                    let fetched = fetched.await.map_err(Failed::from);
                    drop(landing);
                    let _ = sender.send(fetched);
                };
                tokio::spawn(fetching.in_current_span());
                flight
            })
        };
        match flight.await {
            Ok(fetched) => Ok(fetched?),
            Err(lost) => Err(Error::internal(lost)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Flight<T>>> {
        self.aloft.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a flight off the table, also when the fetching panics.
struct Landing<K, T>(Arc<Flights<K, T>>, K)
where
    K: Clone + Eq + Hash + Send + 'static,
    T: Clone + Send + Sync + 'static;

impl<K, T> Drop for Landing<K, T>
where
    K: Clone + Eq + Hash + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    fn drop(&mut self) {
        self.0.lock().remove(&self.1);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn a_thousand_ask_and_one_fetches() {
        let (flights, fetched) = (Arc::new(Flights::default()), AtomicU64::new(0));
        let asked = (0..1000).map(|_| {
            flights.join("key", || {
                let number = fetched.fetch_add(1, Ordering::Relaxed);
                async move {
                    tokio::task::yield_now().await;
                    Ok(number)
                }
            })
        });
        let answers = join_all(asked).await;
        assert!(answers.into_iter().all(|answer| answer.unwrap() == 0));
        assert_eq!(fetched.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_failure_is_told_to_all_and_not_kept() {
        let flights = Arc::new(Flights::<_, ()>::default());
        let fail = || async { Err(Error::unavailable("away")) };
        let (one, other) = tokio::join!(flights.join(1, fail), flights.join(1, fail));
        for answer in [one, other] {
            assert_eq!(answer.unwrap_err().code(), Code::Unavailable);
        }
        assert!(flights.join(1, || async { Ok(()) }).await.is_ok());
    }

    #[tokio::test]
    async fn who_leaves_takes_nothing_from_those_who_wait() {
        let flights = Arc::new(Flights::default());
        let (begin, begun) = oneshot::channel::<()>();
        let mut first = Box::pin(flights.join((), || async move {
            begun.await.map_err(Error::internal)?;
            Ok(7)
        }));
        assert!(futures_util::poll!(&mut first).is_pending());
        let second = flights.join((), || async { Ok(8) });
        drop(first);
        begin.send(()).unwrap();
        assert_eq!(second.await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_panic_does_not_stay() {
        let flights = Arc::new(Flights::<_, ()>::default());
        let panics = || async { panic!("a bug") };
        assert!(flights.join((), panics).await.is_err());
        assert!(flights.join((), || async { Ok(()) }).await.is_ok());
    }
}
