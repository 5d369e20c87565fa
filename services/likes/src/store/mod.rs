//! Everything that `likes` keeps, in SQL: the only place with queries.
//!
//! Whoever changes the likes of a post locks the post's row first: changes of one post happen one
//! after the other, and its `version` grows with each. The count is part of the same transaction.

mod entity;
mod migration;
mod notices;
mod reads;
mod writes;

use std::time::Duration;

use chassis::{Context, Error, clock, sql};
use messaging::{Broker, Outbox};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, DatabaseTransaction, DbErr, EntityTrait as _,
    QueryFilter as _, sea_query::OnConflict,
};

use crate::model::Post;
use entity::{like, post};
pub(crate) use reads::Change;
pub(crate) use writes::Outcome;

/// How long a like that was taken back, and a post without likes, are remembered.
const REMEMBERED: Duration = Duration::from_hours(7 * 24);
/// How often older ones are forgotten.
const FORGETTING: Duration = Duration::from_hours(1);

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
        let connection = sql::connect::<migration::Migrator>(context, url, "likes.db").await?;
        let outbox = Outbox::start(broker, &connection, context);
        Ok(Self { connection, outbox })
    }

    /// Whether the store answers.
    pub(crate) async fn ping(&self) -> Result<(), Error> {
        Ok(self.connection.ping().await?)
    }

    /// Ends all connections.
    pub(crate) async fn close(&self) {
        self.connection.close().await;
    }

    /// Endless: forgets what nobody can ask for any more.
    pub(crate) async fn forget_old(self) {
        loop {
            if let Err(error) = self.forget().await {
                tracing::warn!(cause = %error, "old likes are not forgotten yet");
            }
            tokio::time::sleep(FORGETTING).await;
        }
    }

    async fn forget(&self) -> Result<(), DbErr> {
        let oldest = (clock::now() - REMEMBERED).timestamp_micros();
        like::Entity::delete_many()
            .filter(like::Column::Liked.eq(false))
            .filter(like::Column::Version.lt(oldest))
            .exec(&self.connection)
            .await?;
        post::Entity::delete_many()
            .filter(post::Column::Likes.eq(0))
            .filter(post::Column::Version.lt(oldest))
            .exec(&self.connection)
            .await?;
        Ok(())
    }
}

/// The row of a post, which nobody else changes until the transaction ends.
async fn lock(transaction: &DatabaseTransaction, post_id: i64) -> Result<Post, DbErr> {
    let new = post::ActiveModel {
        post_id: Set(post_id),
        likes: Set(0),
        version: Set(0),
        deleted: Set(false),
        author_id: Set(None),
        checked_at: Set(None),
    };
    // An update to what it is already, for the lock that comes with it: on SQLite that of the
    // whole file, before anything is read.
    let hold = OnConflict::column(post::Column::PostId)
        .update_column(post::Column::PostId)
        .to_owned();
    let row = post::Entity::insert(new)
        .on_conflict(hold)
        .exec_with_returning(transaction)
        .await?;
    Ok(row.into())
}
