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

use chassis::{Context, Error, documents};
use mongodb::{
    Collection, Database, IndexModel,
    bson::{Document, doc},
};

pub(crate) use comments::Comments;
pub(crate) use journal::Journal;
pub(crate) use posts::{Filter, Head, Posts};
pub(crate) use subscriptions::{SubscriptionKey, Subscriptions};

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
async fn create_indexes<T: Send + Sync>(
    collection: &Collection<T>,
    keys: &[Document],
) -> Result<(), Error> {
    let models = keys
        .iter()
        .map(|keys| IndexModel::builder().keys(keys.clone()).build());
    documents::run("indexes.create", collection.create_indexes(models)).await?;
    Ok(())
}

fn by_id(id: impl ToString) -> Document {
    doc! { "_id": id.to_string() }
}
