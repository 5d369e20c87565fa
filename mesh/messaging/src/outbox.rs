//! The outbox of a relational store: events are written in the transaction of their change.
//!
//! ```ignore
//! let transaction = connection.begin().await?;
//! // … the change …
//! outbox.insert(&transaction, &Registered { user_id }).await?;
//! outbox.commit(transaction).await?;
//! ```
//!
//! **Order.** Events of one source and subject are published in the order of their commits. On
//! SQLite there is one writer; on Postgres [`Outbox::insert`] holds a lock on the subject until
//! the transaction ends, so insert events last, and those of several subjects in a fixed order.

use std::sync::Arc;

use sea_orm::{
    ActiveValue::{NotSet, Set},
    ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, EntityTrait as _, Statement,
};
use sea_orm_migration::{
    prelude::*,
    schema::{pk_auto, string, text, text_null, timestamp_with_time_zone},
};
use tokio::sync::Notify;

use crate::{Broker, Envelope, Event, relay};

/// The first half of the keys of our advisory locks on subjects, and on the relay.
const SUBJECT_LOCKS: i32 = 0x706c_617a;
pub(crate) const RELAY_LOCK: i64 = 0x706c_617a_6100_0001;

/// A row: one event that the broker does not have yet, as far as we know.
pub(crate) mod row {
    use chrono::{DateTime, Utc};
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "outbox")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub event_id: String,
        pub kind: String,
        pub traceparent: Option<String>,
        #[sea_orm(column_type = "Text")]
        pub body: String,
        pub created_at: DateTime<Utc>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// The step that makes the table; a service adds it to the list of its migrator.
#[derive(Debug)]
pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "messaging_0001_outbox"
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait's own macro does not accept a written lifetime"
)]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("outbox")
            .col(pk_auto("id").big_integer())
            .col(string("event_id"))
            .col(string("kind"))
            .col(text_null("traceparent"))
            .col(text("body"))
            .col(timestamp_with_time_zone("created_at"))
            .to_owned();
        manager.create_table(table).await
    }
}

/// The outbox of one service. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Outbox {
    service: Arc<str>,
    wake: Arc<Notify>,
}

impl Outbox {
    /// Opens the outbox in `connection` and starts the relay that empties it.
    pub fn start(
        broker: &Broker,
        connection: &chassis::sql::Database,
        context: &chassis::Context,
    ) -> Self {
        let outbox = Self::unattended(broker.service());
        let relay = relay::Relay::new(broker, connection, &outbox);
        context.tasks.spawn(relay.run(context.shutdown.clone()));
        outbox
    }

    /// An outbox that another process empties.
    pub fn unattended(service: &str) -> Self {
        Self {
            service: service.into(),
            wake: Arc::new(Notify::new()),
        }
    }

    /// Writes an event in the transaction of its change; its id.
    ///
    /// # Errors
    /// When the store fails: the transaction is lost then.
    pub async fn insert<E: Event>(
        &self,
        transaction: &DatabaseTransaction,
        event: &E,
    ) -> Result<String, chassis::Error> {
        let envelope = Envelope::new(&self.service, event).map_err(chassis::Error::internal)?;
        if transaction.get_database_backend() == DbBackend::Postgres {
            let values = [SUBJECT_LOCKS.into(), envelope.subject.as_str().into()];
            let lock = "SELECT pg_advisory_xact_lock($1, hashtext($2))";
            let lock = Statement::from_sql_and_values(DbBackend::Postgres, lock, values);
            transaction.execute_raw(lock).await?;
        }
        let body = envelope.to_json().map_err(chassis::Error::internal)?;
        let model = row::ActiveModel {
            id: NotSet,
            event_id: Set(envelope.id.clone()),
            kind: Set(envelope.kind),
            traceparent: Set(envelope.traceparent),
            body: Set(body),
            created_at: Set(envelope.time),
        };
        row::Entity::insert(model)
            .exec_without_returning(transaction)
            .await?;
        Ok(envelope.id)
    }

    /// Commits, and wakes the relay.
    ///
    /// After a plain commit the events wait for the relay's next look, seconds later.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn commit(&self, transaction: DatabaseTransaction) -> Result<(), chassis::Error> {
        transaction.commit().await?;
        self.wake();
        Ok(())
    }

    /// Wakes the relay: there is something new.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Waits until [`Outbox::wake`].
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }
}
