//! Everything that `movies` keeps, in SQL: the only place with queries.

mod entity;
mod migration;
mod movies;
mod queries;
mod reviews;
mod version;

use std::sync::Arc;

use anyhow::Context as _;
use chassis::{Context, Error, Operations, sql};
use messaging::{Broker, Outbox};
use sea_orm::{EntityTrait as _, SqlErr};

use crate::latest::Latest;
use entity::catalogue;
pub(crate) use reviews::Inserted;
pub(crate) use version::Version;

/// The relational store. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    connection: sql::Database,
    outbox: Outbox,
    id: Arc<str>,
    catalogue: Arc<Latest<version::Catalogue>>,
}

impl Store {
    /// Connects, migrates, and starts to publish what happens.
    pub(crate) async fn open(
        context: &Context,
        url: Option<&str>,
        broker: &Broker,
    ) -> anyhow::Result<Self> {
        let connection = sql::connect::<migration::Migrator>(context, url, "movies.db").await?;
        let row = catalogue::Entity::find_by_id(catalogue::ONLY).one(&connection);
        let row = row.await?.context("the catalogue has no version")?;
        let outbox = Outbox::start(broker, &connection, context);
        Ok(Self {
            connection,
            outbox,
            id: row.store.into(),
            catalogue: Arc::default(),
        })
    }

    /// Where repeated requests are noted.
    pub(crate) fn operations(&self, context: &Context) -> Operations {
        Operations::in_sql(&self.connection, context)
    }

    /// Which store this is.
    pub(crate) fn id(&self) -> &str {
        &self.id
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

fn is_taken(error: &sea_orm::DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}
