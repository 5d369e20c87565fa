//! Everything that `notifications` keeps, in SQL: the only place with queries.

mod entity;
mod fate;
mod migration;

use std::time::Duration;

use chassis::{Context, CursorTime, Error, Operations, Page, clock, sql};
use chrono::{DateTime, TimeDelta, Utc};
use messaging::{Broker, Outbox};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, Condition, DatabaseTransaction, EntityTrait as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, sea_query::OnConflict,
};

use crate::{
    jobs::{Queued, SubscribersDue},
    model::{Kind, NewNotification, Notification, Status},
};
use entity::{notification, sender};

/// What somebody may ask for within [`WINDOW`] (D13).
const MOST: u64 = 10;
const WINDOW: TimeDelta = TimeDelta::minutes(1);
/// How often old notifications are forgotten.
const PRUNING: Duration = Duration::from_hours(1);

/// Where a page of notifications ends: the time, then the id.
pub(crate) type Key = (CursorTime, String);

/// The relational store.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    connection: sql::Database,
    outbox: Outbox,
    pub(crate) operations: Operations,
}

impl Store {
    /// Connects, migrates, and starts to hand out what is to be sent.
    pub(crate) async fn open(
        context: &Context,
        url: Option<&str>,
        broker: &Broker,
    ) -> anyhow::Result<Self> {
        let connection =
            sql::connect::<migration::Migrator>(context, url, "notifications.db").await?;
        Ok(Self {
            outbox: Outbox::start(broker, &connection, context),
            operations: Operations::in_sql(&connection, context),
            connection,
        })
    }

    /// Whether the store answers.
    pub(crate) async fn ping(&self) -> Result<(), Error> {
        Ok(self.connection.ping().await?)
    }

    /// Ends all connections.
    pub(crate) async fn close(&self) {
        self.connection.close().await;
    }

    /// Keeps what a person asked for, and has it sent. Asked again under the same id, it is there
    /// already.
    ///
    /// # Errors
    /// 429 for more than ten within a minute, on all instances together.
    pub(crate) async fn insert_asked(&self, new: &NewNotification) -> Result<(), Error> {
        let transaction = self.connection.begin().await?;
        // One request of a person after the other, from here to the end of the transaction: writing
        // the row locks it on Postgres, and the whole store on SQLite.
        let row = sender::ActiveModel {
            user_id: Set(new.user_id),
            asked_at: Set(clock::now()),
        };
        let lock = OnConflict::column(sender::Column::UserId)
            .update_column(sender::Column::AskedAt)
            .to_owned();
        sender::Entity::insert(row)
            .on_conflict(lock)
            .exec_without_returning(&transaction)
            .await?;
        // Read under the lock: who waited for it would else be older than those who went before.
        let now = clock::now();
        let known = notification::Entity::find_by_id(&new.id);
        if known.one(&transaction).await?.is_none() {
            within_limit(&transaction, new.user_id, now).await?;
            insert(&transaction, new, now).await?;
            self.outbox
                .insert(&transaction, &Queued::of(&new.id))
                .await?;
        }
        self.outbox.commit(transaction).await
    }

    /// Keeps what an event tells people, and has it sent if it goes anywhere: of each source once, however often this
    /// is said. `next`: who is to be told after them.
    pub(crate) async fn insert_told(
        &self,
        told: &[NewNotification],
        next: Option<&SubscribersDue>,
    ) -> Result<(), Error> {
        let transaction = self.connection.begin().await?;
        let now = clock::now();
        let mut inserted = Vec::new();
        for new in told {
            if insert(&transaction, new, now).await? && new.kind != Kind::Note {
                inserted.push(Queued::of(&new.id));
            }
        }
        for job in &inserted {
            self.outbox.insert(&transaction, job).await?;
        }
        if let Some(next) = next {
            self.outbox.insert(&transaction, next).await?;
        }
        self.outbox.commit(transaction).await
    }

    /// The notification with this id.
    pub(crate) async fn find(&self, id: &str) -> Result<Option<Notification>, Error> {
        let row = notification::Entity::find_by_id(id)
            .one(&self.connection)
            .await?;
        row.map(read).transpose()
    }

    /// Somebody's own notifications, the newest first.
    pub(crate) async fn list(
        &self,
        user_id: i64,
        page: &Page<Key>,
    ) -> Result<Vec<Notification>, Error> {
        let mut query = notification::Entity::find()
            .filter(notification::Column::UserId.eq(user_id))
            .order_by_desc(notification::Column::CreatedAt)
            .order_by_desc(notification::Column::Id)
            .limit(page.fetch());
        if let Some((time, id)) = &page.after {
            let time = time.time();
            let same_time = Condition::all()
                .add(notification::Column::CreatedAt.eq(time))
                .add(notification::Column::Id.lt(id.as_str()));
            query = query.filter(
                Condition::any()
                    .add(notification::Column::CreatedAt.lt(time))
                    .add(same_time),
            );
        }
        let rows = query.all(&self.connection).await?;
        rows.into_iter().map(read).collect()
    }

    /// Removes all that somebody asked for or was told whose account is deleted, also what waits to be sent.
    pub(crate) async fn forget(&self, user_id: i64) -> Result<(), Error> {
        let transaction = self.connection.begin().await?;
        notification::Entity::delete_many()
            .filter(notification::Column::UserId.eq(user_id))
            .exec(&transaction)
            .await?;
        sender::Entity::delete_by_id(user_id)
            .exec(&transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    /// Forgets what came to its end long ago. Endless.
    pub(crate) async fn prune(self, days: u16) {
        loop {
            let ends = [Status::Sent, Status::Failed, Status::Unclear].map(Status::as_str);
            let past = clock::now() - TimeDelta::days(days.into());
            let pruned = notification::Entity::delete_many()
                .filter(notification::Column::CreatedAt.lt(past))
                .filter(notification::Column::Status.is_in(ends))
                .exec(&self.connection)
                .await;
            if let Err(error) = pruned {
                tracing::warn!(cause = %error, "notifications not pruned");
            }
            tokio::time::sleep(PRUNING).await;
        }
    }
}

/// Refuses what is too much for one person (D13). The caller holds the person's lock.
async fn within_limit(
    transaction: &DatabaseTransaction,
    user_id: i64,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let latest: Vec<DateTime<Utc>> = notification::Entity::find()
        .select_only()
        .column(notification::Column::CreatedAt)
        .filter(notification::Column::UserId.eq(user_id))
        .filter(notification::Column::Source.is_null())
        .filter(notification::Column::CreatedAt.gt(now - WINDOW))
        .order_by_desc(notification::Column::CreatedAt)
        .limit(MOST)
        .into_tuple()
        .all(transaction)
        .await?;
    match latest.last() {
        Some(oldest) if latest.len() as u64 >= MOST => {
            let wait = (*oldest + WINDOW - now).to_std().unwrap_or_default();
            let message =
                format!("At most {MOST} notifications a minute; wait before the next one");
            Err(Error::too_many(message, wait))
        }
        _ => Ok(()),
    }
}

/// Writes a row; `false` when its event was told before.
async fn insert(
    transaction: &DatabaseTransaction,
    new: &NewNotification,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let (status, sent_at) = match new.kind {
        Kind::Note => (Status::Sent, Some(now)),
        Kind::Email | Kind::Sms => (Status::Queued, None),
    };
    let row = notification::ActiveModel {
        id: Set(new.id.clone()),
        user_id: Set(new.user_id),
        kind: Set(new.kind.as_str().to_owned()),
        recipient: Set(new.recipient.as_str().to_owned()),
        subject: Set(new.subject.as_str().to_owned()),
        message: Set(new.message.clone()),
        body_text: Set(new.body.text.clone()),
        body_html: Set(new.body.html.clone()),
        status: Set(status.as_str().to_owned()),
        reason: Set(None),
        attempts: Set(0),
        source: Set(new.source.clone()),
        changed_at: Set(now),
        created_at: Set(now),
        sent_at: Set(sent_at),
    };
    let once = OnConflict::column(notification::Column::Source)
        .do_nothing()
        .to_owned();
    let inserted = notification::Entity::insert(row)
        .on_conflict(once)
        .exec_without_returning(transaction)
        .await?;
    Ok(inserted > 0)
}

fn read(row: notification::Model) -> Result<Notification, Error> {
    Notification::try_from(row).map_err(|cause| Error::internal(anyhow::Error::msg(cause)))
}
