//! Numbered things that are gone, remembered so that nobody looks for them again.
//!
//! Things that are numbered within something, as the comments on a post are, keep their number when
//! they are removed. A list would read each of them again to see that it is not there. So their
//! numbers are noted, in one document for all things of a key, which a list reads first.
//!
//! What is gone never comes back: what is noted stays true, however late it is read. Writers may
//! overwrite each other, and what gets lost so costs the next list a read, which notes it again.

mod runs;

use std::sync::{Arc, Mutex as Cell, PoisonError};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use moka::sync::Cache;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::{Collection, Database, turn};
use crate::Error;
use runs::Runs;

/// Keys of which is remembered what is gone.
const REMEMBERED: u64 = 10_000;
/// Things that are read at once for one list.
const READS_AT_ONCE: usize = 8;
/// So many things may come before the last one is noted again.
const UNNOTED: u64 = 16;

/// What there is at a number.
#[derive(Debug)]
pub enum Place<T> {
    /// Something to be listed.
    Here(T),
    /// Something was there, and nothing will ever be again.
    Gone,
    /// Nothing yet.
    Empty,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Note {
    #[serde(rename = "_id")]
    id: String,
    /// Some number that was given; mostly one of the last.
    last: i64,
    /// The first and the last number of each run of numbers that are gone.
    runs: Vec<i64>,
}

/// What this process knows of a key.
#[derive(Debug, Default)]
struct Known {
    facts: Cell<Facts>,
    /// Held while they are written, so that those of one process are not lost.
    writing: Mutex<()>,
}

#[derive(Debug, Clone, Default)]
struct Facts {
    last: u64,
    runs: Runs,
}

/// Which things of one kind are gone. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Gone {
    notes: Collection<Note>,
    known: Cache<String, Arc<Known>>,
}

/// Which part of the things of a key is read.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// The last number that was given.
    pub last: u64,
    /// The numbers before this one; all of them.
    pub before: Option<u64>,
    /// So many things at most.
    pub limit: usize,
}

impl Gone {
    /// Noted in `collection`.
    pub fn new(database: &Database, collection: &str) -> Self {
        Self {
            notes: database.collection(collection),
            known: Cache::new(REMEMBERED),
        }
    }

    /// Looks up what is noted; some number that was given, mostly one of the last.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn look(&self, key: &str) -> Result<u64, Error> {
        let known = self.known(key);
        if let Some(note) = self.notes.find("gone.find", &key).await? {
            known.facts().learn(&note);
        }
        let facts = known.facts();
        Ok(facts.last)
    }

    /// The numbers after one, in order, that are not known to be gone, up to `limit`.
    pub fn after(&self, key: &str, after: u64, last: u64, limit: usize) -> Vec<u64> {
        let known = self.known(key);
        let facts = known.facts();
        facts.runs.outside_from(after + 1, last, limit)
    }

    /// How many of the numbers up to `last` are not known to be gone.
    pub fn remaining(&self, key: &str, last: u64) -> u64 {
        let known = self.known(key);
        let facts = known.facts();
        last - facts.runs.count_to(last)
    }

    /// The things that are there, from the last one down, read by `read`. It goes by what
    /// [`Gone::look`] found, and notes what it finds to be gone beside that.
    ///
    /// # Errors
    /// When the store fails, and those of `read`.
    pub async fn list<T, R>(
        &self,
        key: &str,
        part: Part,
        read: impl Fn(u64) -> R,
    ) -> Result<Vec<T>, Error>
    where
        R: Future<Output = Result<Place<T>, Error>>,
    {
        let known = self.known(key);
        let (mut things, mut found) = (Vec::new(), Vec::new());
        let last = part.last;
        let mut below = part.before.map_or(last + 1, |before| before.min(last + 1));
        while things.len() < part.limit {
            let missing = part.limit - things.len();
            let numbers = known.facts().runs.outside_below(below, missing);
            let Some(lowest) = numbers.last() else { break };
            below = *lowest;
            let places: Vec<(u64, Place<T>)> = stream::iter(numbers)
                .map(|number| {
                    let place = read(number);
                    async move { place.await.map(|place| (number, place)) }
                })
                .buffered(READS_AT_ONCE)
                .try_collect()
                .await?;
            for (number, place) in places {
                match place {
                    Place::Here(thing) => things.push(thing),
                    Place::Gone => found.push(number),
                    Place::Empty => {}
                }
            }
        }
        if !found.is_empty() || known.facts().last + UNNOTED <= last {
            self.note(key, &found, last).await;
        }
        Ok(things)
    }

    /// Notes that things are gone; `last` is a number that was given. Where that fails lists
    /// cost more, and are right.
    pub async fn note(&self, key: &str, gone: &[u64], last: u64) {
        if let Err(error) = self.write(key, gone, last).await {
            tracing::debug!(cause = %error, "what is gone was not noted");
        }
    }

    async fn write(&self, key: &str, gone: &[u64], last: u64) -> Result<(), Error> {
        let known = self.known(key);
        {
            let mut facts = known.facts();
            facts.last = facts.last.max(last);
            for number in gone {
                facts.runs.insert(*number, *number);
            }
        }
        let _turn = turn(&known.writing).await?;
        let noted = self.notes.find("gone.find", &key).await?;
        if let Some(note) = &noted {
            known.facts().learn(note);
        }
        let note = known.facts().note(key);
        if noted.is_some() {
            self.notes.replace("gone.note", &key, &note).await?;
        } else {
            self.notes.insert("gone.note", &note).await?;
        }
        Ok(())
    }

    /// Forgets a key, which is never used again.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn forget(&self, key: &str) -> Result<(), Error> {
        self.known.invalidate(key);
        self.notes.remove("gone.forget", &key).await?;
        Ok(())
    }

    fn known(&self, key: &str) -> Arc<Known> {
        self.known.get_with_by_ref(key, Arc::default)
    }
}

impl Known {
    fn facts(&self) -> std::sync::MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Facts {
    fn learn(&mut self, note: &Note) {
        self.last = self.last.max(note.last.cast_unsigned());
        for run in note.runs.chunks_exact(2) {
            self.runs
                .insert(run[0].cast_unsigned(), run[1].cast_unsigned());
        }
    }

    fn note(&self, key: &str) -> Note {
        Note {
            id: key.to_owned(),
            last: self.last.cast_signed(),
            runs: self.runs.iter().map(u64::cast_signed).collect(),
        }
    }
}
