//! Everything that `timelines` keeps for good, in SQL: the only place with queries.

mod entity;
mod follows;
mod forgotten;
mod jobs;
mod migration;
mod posts;

use chassis::{Context, Error, Operations, sql};
use messaging::{Broker, Outbox, inbox};

pub(crate) use follows::{Authors, Change, Reader};
pub(crate) use jobs::PostQueued;

/// The relational store.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    connection: sql::Database,
    outbox: Outbox,
}

impl Store {
    /// Connects, migrates, and starts to publish what happens.
    pub(crate) async fn open(
        context: &Context,
        url: Option<&str>,
        broker: &Broker,
    ) -> anyhow::Result<Self> {
        let connection = sql::connect::<migration::Migrator>(context, url, "timelines.db").await?;
        let outbox = Outbox::start(broker, &connection, context);
        context.spawn(inbox::prune(connection.clone()));
        let store = Self { connection, outbox };
        context.spawn(store.clone().prune_jobs());
        Ok(store)
    }

    /// The requests that may be repeated.
    pub(crate) fn operations(&self, context: &Context) -> Operations {
        Operations::in_sql(&self.connection, context)
    }

    /// Whether the store answers.
    pub(crate) async fn ping(&self) -> Result<(), Error> {
        Ok(self.connection.ping().await?)
    }

    /// Ends all connections.
    pub(crate) async fn close(&self) {
        self.connection.close().await;
    }
}
