//! The journal: one small document for every change of a post, numbered without gaps.
//!
//! It tells the instances what to look at again. An insert under a number that is taken fails,
//! on every store: that is the only atomic step needed, and the only one that the embedded
//! store has (its updates read first and write later).

use std::sync::Arc;

use chassis::{
    Error,
    documents::{Collection, Database, numbers, turn},
};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::model::PostId;

#[derive(Debug, Clone)]
pub(crate) struct Journal {
    entries: Collection<Entry>,
    /// The last number that this process knows of; held while an entry is added, so that
    /// requests of one process do not race for numbers.
    last: Arc<Mutex<u64>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Entry {
    #[serde(rename = "_id")]
    id: String,
    /// The post to look at again; none: look at all of them.
    pub(crate) post_id: Option<PostId>,
}

impl Journal {
    pub(super) fn new(database: &Database) -> Self {
        Self {
            entries: database.collection("journal"),
            last: Arc::default(),
        }
    }

    /// Adds an entry and returns its number.
    pub(crate) async fn append(&self, post_id: Option<PostId>) -> Result<u64, Error> {
        let mut last = turn(&self.last).await?;
        loop {
            let number = *last + 1;
            let entry = Entry {
                id: id(number),
                post_id,
            };
            if self.entries.insert("journal.append", &entry).await? {
                *last = number;
                return Ok(number);
            }
            // Others were here.
            let exists = |number| async move { Ok(self.find(number).await?.is_some()) };
            *last = numbers::last(number, exists).await?;
        }
    }

    /// The entry of this number.
    pub(crate) async fn find(&self, number: u64) -> Result<Option<Entry>, Error> {
        self.entries.find("journal.find", &id(number)).await
    }
}

/// As text, because the embedded store finds only text quickly; padded, so that it sorts.
fn id(number: u64) -> String {
    format!("{number:016}")
}
