//! The inbox: which events a consumer has handled, written in the transaction of the effect.

use std::time::Duration;

use chassis::{clock, sql::Database};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, DatabaseTransaction, DbErr, EntityTrait as _,
    QueryFilter as _, sea_query::OnConflict,
};
use sea_orm_migration::{
    prelude::*,
    schema::{string, timestamp_with_time_zone},
};

/// How long an event is remembered: far longer than one can be on its way twice.
const KEPT: Duration = Duration::from_hours(30 * 24);
/// How often older ones are forgotten.
const PRUNING: Duration = Duration::from_hours(1);

mod row {
    use chrono::{DateTime, Utc};
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "inbox")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub consumer: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub event_id: String,
        pub handled_at: DateTime<Utc>,
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
        "messaging_0001_inbox"
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
            .table("inbox")
            .col(string("consumer"))
            .col(string("event_id"))
            .col(timestamp_with_time_zone("handled_at"))
            .primary_key(Index::create().col("consumer").col("event_id"))
            .to_owned();
        manager.create_table(table).await?;
        let index = Index::create()
            .name("inbox_by_time")
            .table("inbox")
            .col("handled_at")
            .to_owned();
        manager.create_index(index).await
    }
}

/// Whether `consumer` sees this event for the first time; if so, it is noted with the effect.
///
/// A second delivery at the same moment waits until the first one's transaction ended.
///
/// # Errors
/// When the store fails.
pub async fn once(
    transaction: &DatabaseTransaction,
    consumer: &str,
    event_id: &str,
) -> Result<bool, DbErr> {
    let model = row::ActiveModel {
        consumer: Set(consumer.to_owned()),
        event_id: Set(event_id.to_owned()),
        handled_at: Set(clock::now()),
    };
    let once = OnConflict::columns([row::Column::Consumer, row::Column::EventId])
        .do_nothing()
        .to_owned();
    let inserted = row::Entity::insert(model)
        .on_conflict(once)
        .exec_without_returning(transaction)
        .await?;
    Ok(inserted > 0)
}

/// Forgets what was handled long ago. Endless; for [`chassis::Context::spawn`].
pub async fn prune(connection: Database) {
    loop {
        let past = row::Column::HandledAt.lt(clock::now() - KEPT);
        let pruned = row::Entity::delete_many()
            .filter(past)
            .exec(&connection)
            .await;
        if let Err(error) = pruned {
            tracing::warn!(cause = %error, "inbox not pruned");
        }
        tokio::time::sleep(PRUNING).await;
    }
}
