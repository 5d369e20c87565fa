//! Aggregates that change without updates: every state is a document of its own.
//!
//! The states of an aggregate are numbered from 1 without a gap, `<key>.<number>`. The next state
//! is an insert under the next number, and whoever finds it taken looks at the aggregate again.
//! So a change happens whole or not at all, of changes at the same time one comes after the
//! other, and both hold on every document store: see `docs/adr/0012`.

use std::sync::{Arc, Mutex as Cell, PoisonError};

use moka::sync::Cache;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::sync::Mutex;

use super::{Collection, Database, numbers};
use crate::Error;

/// One state as it is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Link<T> {
    #[serde(rename = "_id")]
    id: String,
    state: T,
}

impl<T> Link<T> {
    /// The document for the `number`-th state of `key`.
    pub fn new(key: &str, number: u64, state: T) -> Self {
        let id = id(key, number);
        Self { id, state }
    }

    /// The id of that document.
    pub fn id(key: &str, number: u64) -> String {
        id(key, number)
    }
}

fn id(key: &str, number: u64) -> String {
    format!("{key}.{number}")
}

/// A state, and the how-manieth it is.
#[derive(Debug)]
pub struct Latest<T> {
    /// Counted from 1.
    pub number: u64,
    /// The state.
    pub state: Arc<T>,
}

impl<T> Clone for Latest<T> {
    fn clone(&self) -> Self {
        Self {
            number: self.number,
            state: Arc::clone(&self.state),
        }
    }
}

/// The aggregates of one collection. Cheap to clone.
#[derive(Debug)]
pub struct Chains<T: Send + Sync + 'static> {
    links: Collection<Link<T>>,
    known: Cache<String, Arc<Known<T>>>,
}

/// What this process knows of an aggregate.
#[derive(Debug)]
struct Known<T> {
    /// Some state; mostly the last.
    latest: Cell<Option<Latest<T>>>,
    turn: Arc<Mutex<()>>,
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self {
            latest: Cell::default(),
            turn: Arc::default(),
        }
    }
}

impl<T> Known<T> {
    fn latest(&self) -> Option<Latest<T>> {
        let latest = self.latest.lock();
        latest.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, latest: Latest<T>) {
        let mut known = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref().is_none_or(|old| old.number < latest.number) {
            *known = Some(latest);
        }
    }
}

impl<T: Send + Sync + 'static> Clone for Chains<T> {
    fn clone(&self) -> Self {
        Self {
            links: self.links.clone(),
            known: self.known.clone(),
        }
    }
}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Chains<T> {
    /// The aggregates in `collection`, of which the last states of `remembered` stay in memory.
    pub fn new(database: &Database, collection: &str, remembered: u64) -> Self {
        Self {
            links: database.collection(collection),
            known: Cache::new(remembered),
        }
    }

    /// Where the states are: for those who insert one with an event, then [`Chains::note`] it.
    pub fn collection(&self) -> &Collection<Link<T>> {
        &self.links
    }

    /// The `number`-th state.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn find(&self, key: &str, number: u64) -> Result<Option<T>, Error> {
        let found = self.links.find("chain.find", &id(key, number)).await?;
        Ok(found.map(|link| link.state))
    }

    /// The last state there is. One read where the last one is remembered.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn latest(&self, key: &str) -> Result<Option<Latest<T>>, Error> {
        let known = self.known.get(key).and_then(|known| known.latest());
        let first = known.as_ref().map_or(0, |known| known.number);
        let found = Cell::new(known);
        let exists = |number| {
            let found = &found;
            async move {
                let state = self.find(key, number).await?.map(Arc::new);
                let is_there = state.is_some();
                if let Some(state) = state {
                    // Those that are there are asked for in rising order.
                    let latest = Some(Latest { number, state });
                    *found.lock().unwrap_or_else(PoisonError::into_inner) = latest;
                }
                Ok(is_there)
            }
        };
        let last = numbers::last(first, exists).await?;
        let latest = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(latest) = latest.clone().filter(|_| last > first) {
            self.note(key, latest);
        }
        Ok(latest)
    }

    /// Adds the `number`-th state; `false` when there is one already.
    ///
    /// # Errors
    /// When the store fails: the state may have been added all the same.
    pub async fn append(&self, key: &str, number: u64, state: T) -> Result<bool, Error> {
        let link = Link::new(key, number, state);
        let added = self.links.insert("chain.append", &link).await?;
        if added {
            let state = Arc::new(link.state);
            self.note(key, Latest { number, state });
        }
        Ok(added)
    }

    /// Remembers a state that was read or added.
    pub fn note(&self, key: &str, latest: Latest<T>) {
        self.known(key).note(latest);
    }

    /// What to hold, by [`turn`](super::turn), while an aggregate is changed, so that requests of
    /// one process do not race for numbers. Correctness does not depend on it.
    pub fn turns(&self, key: &str) -> Arc<Mutex<()>> {
        Arc::clone(&self.known(key).turn)
    }

    fn known(&self, key: &str) -> Arc<Known<T>> {
        self.known.get_with_by_ref(key, Arc::default)
    }
}
