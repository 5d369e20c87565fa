//! The only place with document queries.
//!
//! Hot paths read and write by `_id` alone, and ids are strings: that is what every document
//! store answers quickly, the embedded one too (`docs/adr/0006`). Filters are made of typed
//! values only, so that no operator ever comes from outside.

mod comments;
mod journal;
mod posts;
mod subscriptions;
mod topics;

use std::time::Duration;

use chassis::{
    Context, Error,
    documents::{self, Collection, Database},
};
use messaging::{Broker, documents::Outbox};
use mongodb::{IndexModel, bson::Document};

pub(crate) use comments::Comments;
pub(crate) use journal::Journal;
pub(crate) use posts::{Filter, Head, Posts};
pub(crate) use subscriptions::{SubscriptionKey, Subscriptions};

/// What reading many documents at once may take; the embedded store needs 40 µs for each.
const SCAN_DEADLINE: Duration = Duration::from_mins(1);

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
    pub(crate) async fn open(
        context: &Context,
        url: &str,
        name: &str,
        broker: &Broker,
    ) -> anyhow::Result<Self> {
        let database = documents::connect(context, url, name).await?;
        let store = Self {
            posts: Posts::new(&database, Outbox::start(broker, &database, context)),
            comments: Comments::new(&database, context.tasks.clone()),
            subscriptions: Subscriptions::new(&database),
            journal: Journal::new(&database),
            database,
        };
        store.posts.create_indexes().await?;
        store.comments.create_indexes().await?;
        store.subscriptions.create_indexes().await?;
        if let Err(error) = topics::fold(&store.database).await {
            // What was written since is found all the same; the next start goes on.
            let cause = chassis::cause(&error.into());
            tracing::warn!(cause, "topics of before are not all folded");
        }
        Ok(store)
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    pub(crate) async fn ping(&self) -> Result<(), Error> {
        self.database.ping().await
    }
}

/// Indexes for what is not found by `_id`: MongoDB uses them, the embedded store does without.
///
/// One by one, because the embedded store ends the connection when some of several exist.
async fn create_indexes<T: Send + Sync + 'static>(
    collection: &Collection<T>,
    indexes: &[Document],
) -> Result<(), Error> {
    for keys in indexes {
        let index = IndexModel::builder().keys(keys.clone()).build();
        let create =
            |documents: mongodb::Collection<T>| async move { documents.create_index(index).await };
        collection.run("indexes.create", create).await?;
    }
    Ok(())
}
