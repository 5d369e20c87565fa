//! The only place with document queries.
//!
//! Hot paths read and write by `_id` alone, and ids are strings: that is what every document
//! store answers quickly, the embedded one too (`docs/adr/0006`). Filters are made of typed
//! values only, so that no operator ever comes from outside.

mod comments;
mod journal;
mod numbers;
mod posts;
mod subscriptions;

use std::time::Duration;

use chassis::{Context, Error, documents};
use mongodb::{
    Collection, Database, IndexModel,
    bson::{Document, doc},
};

use tokio::sync::{Mutex, MutexGuard};

pub(crate) use comments::Comments;
pub(crate) use journal::Journal;
pub(crate) use posts::{Filter, Head, Posts};
pub(crate) use subscriptions::{SubscriptionKey, Subscriptions};

/// What waiting for others of the same process may take, before an operation even begins.
const TURN_DEADLINE: Duration = Duration::from_secs(5);

/// The collections.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    database: Database,
    pub(crate) posts: Posts,
    pub(crate) comments: Comments,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) journal: Journal,
}

impl Store {
    pub(crate) async fn open(context: &Context, url: &str, name: &str) -> anyhow::Result<Self> {
        let database = documents::connect(context, url, name).await?;
        let store = Self {
            posts: Posts::new(&database),
            comments: Comments::new(&database),
            subscriptions: Subscriptions::new(&database),
            journal: Journal::new(&database),
            database,
        };
        store.posts.create_indexes().await?;
        store.comments.create_indexes().await?;
        store.subscriptions.create_indexes().await?;
        Ok(store)
    }

    pub(crate) async fn ping(&self) -> Result<(), Error> {
        documents::ping(&self.database).await
    }
}

/// Indexes for what is not found by `_id`: MongoDB uses them, the embedded store does without.
///
/// One by one, because the embedded store ends the connection when some of several exist.
async fn create_indexes<T: Send + Sync>(
    collection: &Collection<T>,
    indexes: &[Document],
) -> Result<(), Error> {
    for keys in indexes {
        let index = IndexModel::builder().keys(keys.clone()).build();
        documents::run("indexes.create", collection.create_index(index)).await?;
    }
    Ok(())
}

fn by_id(id: &impl ToString) -> Document {
    doc! { "_id": id.to_string() }
}

/// Waits until nobody else of this process does what `mutex` guards.
///
/// # Errors
/// 503 when that takes too long: behind a store that hangs, requests fail together rather than
/// one after the other.
pub(crate) async fn turn<T>(mutex: &Mutex<T>) -> Result<MutexGuard<'_, T>, Error> {
    let turn = tokio::time::timeout(TURN_DEADLINE, mutex.lock()).await;
    turn.map_err(|_| Error::unavailable("The store is too slow; try again"))
}
