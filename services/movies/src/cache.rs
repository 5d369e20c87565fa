//! Lists in Redis (S3-29), each with the version of what it shows (ADR 16).
//!
//! Redis is never believed about what is current: the version comes from SQL, where it changes
//! in the transaction of each write. So it does not matter what Redis forgets, keeps too long
//! or brings back from a snapshot, nor that it is away (S3-36, D28).

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use chassis::{
    Error,
    flight::Flights,
    redis::{Redis, cmd},
};
use moka::sync::Cache as Memory;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    metrics::{self, Origin},
    store::Version,
};

/// How long a list is kept at most, in seconds: a bound for rows changed behind our back.
const TIME_TO_LIVE: u64 = 300;
/// A longer list is not kept, in bytes: nobody fills a Redis that others use too.
const LONGEST: usize = 256 * 1024;
/// How long an instance remembers what it has just loaded: those who asked at the same time may
/// come a little late, and Redis may be away.
const JUST_NOW: Duration = Duration::from_secs(1);
/// What is remembered so at most, in bytes.
const MEMORY: u64 = 16 * 1024 * 1024;

/// A list, written as it is answered.
#[derive(Debug, Clone)]
pub(crate) struct Listing {
    /// The items, a JSON array.
    pub(crate) items: Arc<RawValue>,
    /// The key of the last one, as JSON, where more follow; else `null`.
    pub(crate) next: Arc<str>,
}

impl Listing {
    /// Writes `items`, whose last one has the key `next` where more follow.
    pub(crate) fn new(
        items: &impl Serialize,
        next: Option<&impl Serialize>,
    ) -> Result<Self, Error> {
        let items = serde_json::value::to_raw_value(items).map_err(Error::internal)?;
        let next = serde_json::to_string(&next).map_err(Error::internal)?;
        Ok(Self {
            items: items.into(),
            next: next.into(),
        })
    }

    fn weight(&self) -> u32 {
        u32::try_from(self.items.get().len()).unwrap_or(u32::MAX)
    }

    /// As it lies in Redis: JSON has no line break of its own.
    fn entry(&self, version: &Version) -> String {
        format!("{}\n{}\n{}", version.as_str(), self.next, self.items.get())
    }

    /// Out of an entry, if it is one of this version.
    fn of_entry(entry: &str, version: &Version) -> Option<Self> {
        let entry = entry.strip_prefix(version.as_str())?.strip_prefix('\n')?;
        let (next, items) = entry.split_once('\n')?;
        Some(Self {
            items: RawValue::from_string(items.to_owned()).ok()?.into(),
            next: next.into(),
        })
    }
}

/// Which list: its kind, and what exactly was asked.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    list: &'static str,
    redis: String,
}

/// A list of one version.
type Exact = (String, Version);

/// The lists of one store.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    redis: Redis,
    prefix: Arc<str>,
    flights: Arc<Flights<Exact, (Origin, Listing)>>,
    loaded: Memory<Exact, Listing>,
    loads: Arc<AtomicU64>,
}

impl Cache {
    /// A cache of the lists of the store with this id; others may use the same Redis.
    pub(crate) fn new(redis: Redis, store: &str) -> Self {
        Self {
            redis,
            prefix: format!("movies:{store}").into(),
            flights: Arc::default(),
            loaded: Memory::builder()
                .time_to_live(JUST_NOW)
                .weigher(|_, listing: &Listing| listing.weight())
                .max_capacity(MEMORY)
                .build(),
            loads: Arc::default(),
        }
    }

    /// The key of `list` for `question`, in its normal form.
    pub(crate) fn key(&self, list: &'static str, question: &impl Serialize) -> Result<Key, Error> {
        let question = serde_json::to_string(question).map_err(Error::internal)?;
        Ok(Key {
            list,
            redis: format!("{}:{list}:{question}", self.prefix),
        })
    }

    /// How many lists were asked of the store.
    pub(crate) fn loads(&self) -> u64 {
        self.loads.load(Ordering::Relaxed)
    }

    /// The list from Redis, if it is of the current version, else from the store.
    ///
    /// `version` must read what was current when this was called, or later. `load` is called
    /// once for all who ask for the same at the same time.
    pub(crate) async fn list<F>(
        &self,
        key: &Key,
        version: impl Future<Output = Result<Version, Error>>,
        load: impl FnOnce() -> F,
    ) -> Result<(Origin, Listing), Error>
    where
        F: Future<Output = Result<Listing, Error>> + Send + 'static,
    {
        let (version, entry) = tokio::join!(version, self.find(key));
        let version = version?;
        let listing = entry.and_then(|entry| Listing::of_entry(&entry, &version));
        let (origin, listing) = if let Some(listing) = listing {
            (Origin::Cache, listing)
        } else {
            let flight = (key.redis.clone(), version.clone());
            let fetch = || self.clone().fetch(key.clone(), version, load());
            self.flights.join(flight, fetch).await?
        };
        metrics::answered(key.list, origin);
        Ok((origin, listing))
    }

    /// What one does for all: what is loaded is at least as new as `version`, which was read before.
    async fn fetch(
        self,
        key: Key,
        version: Version,
        load: impl Future<Output = Result<Listing, Error>>,
    ) -> Result<(Origin, Listing), Error> {
        // Somebody may have finished between our look into Redis and now.
        let entry = self.find(&key).await;
        if let Some(listing) = entry.and_then(|entry| Listing::of_entry(&entry, &version)) {
            return Ok((Origin::Cache, listing));
        }
        let exact = (key.redis.clone(), version);
        let listing = if let Some(listing) = self.loaded.get(&exact) {
            listing
        } else {
            self.loads.fetch_add(1, Ordering::Relaxed);
            metrics::loaded(key.list);
            let listing = load.await?;
            self.loaded.insert(exact.clone(), listing.clone());
            listing
        };
        self.keep(&key, listing.entry(&exact.1)).await;
        Ok((Origin::Store, listing))
    }

    async fn find(&self, key: &Key) -> Option<String> {
        let mut get = cmd("GET");
        get.arg(&key.redis);
        // That Redis is away is told by the chassis, once.
        self.redis.run("movies.find", &get).await.ok().flatten()
    }

    async fn keep(&self, key: &Key, entry: String) {
        if entry.len() <= LONGEST {
            let mut set = cmd("SET");
            set.arg(&key.redis).arg(entry).arg("EX").arg(TIME_TO_LIVE);
            let _ = self.redis.run::<()>("movies.keep", &set).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_good_for_its_version_alone() {
        let (version, other) = (Version::from("v1"), Version::from("v"));
        let listing = Listing::new(&["a\nb"], Some(&(7, 8))).unwrap();
        let entry = listing.entry(&version);
        let found = Listing::of_entry(&entry, &version).unwrap();
        assert_eq!((found.items.get(), &*found.next), (r#"["a\nb"]"#, "[7,8]"));
        assert!(Listing::of_entry(&entry, &other).is_none());
        for broken in [
            "",
            "v1",
            "v1\n",
            "v1\nnull\n",
            "v1\nnull\n[",
            "v1\nnull\n[1",
        ] {
            assert!(Listing::of_entry(broken, &version).is_none(), "{broken:?}");
        }
    }
}
