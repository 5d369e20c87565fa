//! Operations in a table.

use async_trait::async_trait;
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait as _, DatabaseConnection, DbErr, EntityTrait as _, QueryFilter as _,
    sea_query::OnConflict,
};
use sea_orm_migration::{
    prelude::*,
    schema::{binary_null, small_integer_null, string, string_null, timestamp_with_time_zone},
};

use super::{ABANDONED, Begun, KEPT, Kept, PRUNING, Store};
use crate::{Error, clock};

mod row {
    use chrono::{DateTime, Utc};
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "operations")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub fingerprint: String,
        pub started_at: DateTime<Utc>,
        pub status: Option<i16>,
        pub body: Option<Vec<u8>>,
        pub location: Option<String>,
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
        "chassis_0001_operations"
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait's own macro does not accept a written lifetime"
)]
#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("operations")
            .col(string("id").primary_key())
            .col(string("fingerprint"))
            .col(timestamp_with_time_zone("started_at"))
            .col(small_integer_null("status"))
            .col(binary_null("body"))
            .to_owned();
        manager.create_table(table).await?;
        let index = Index::create()
            .name("operations_by_time")
            .table("operations")
            .col("started_at")
            .to_owned();
        manager.create_index(index).await
    }
}

/// The step after it: answers that say where something is.
#[derive(Debug)]
pub struct LocationMigration;

impl MigrationName for LocationMigration {
    fn name(&self) -> &'static str {
        "chassis_0002_locations"
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait's own macro does not accept a written lifetime"
)]
#[async_trait]
impl MigrationTrait for LocationMigration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::alter()
            .table("operations")
            .add_column(string_null("location"))
            .to_owned();
        manager.alter_table(table).await
    }
}

/// The table of a service.
#[derive(Debug, Clone)]
pub(super) struct Rows(pub(super) DatabaseConnection);

#[async_trait]
impl Store for Rows {
    async fn begin(&self, id: &str, fingerprint: &str) -> Result<Begun, Error> {
        let now = clock::now();
        let new = row::ActiveModel {
            id: Set(id.to_owned()),
            fingerprint: Set(fingerprint.to_owned()),
            started_at: Set(now),
            status: NotSet,
            body: NotSet,
            location: NotSet,
        };
        let once = OnConflict::column(row::Column::Id).do_nothing().to_owned();
        let inserted = row::Entity::insert(new)
            .on_conflict(once)
            .exec_without_returning(&self.0)
            .await?;
        if inserted > 0 {
            return Ok(Begun::First);
        }
        let Some(known) = row::Entity::find_by_id(id).one(&self.0).await? else {
            // It failed at this very moment: the next try is the first.
            return Ok(Begun::Running);
        };
        if known.fingerprint != fingerprint {
            return Ok(Begun::Other);
        }
        if let (Some(status), Some(body)) = (known.status, known.body) {
            let status = status.try_into().unwrap_or(500);
            let location = known.location;
            return Ok(Begun::Answered(Kept {
                status,
                body,
                location,
            }));
        }
        // Nobody works on it any more; of those who notice, one takes over.
        let taken = row::Entity::update_many()
            .col_expr(row::Column::StartedAt, Expr::value(now))
            .filter(row::Column::Id.eq(id))
            .filter(row::Column::Status.is_null())
            .filter(row::Column::StartedAt.lt(now - ABANDONED))
            .exec(&self.0)
            .await?;
        Ok(if taken.rows_affected > 0 {
            Begun::First
        } else {
            Begun::Running
        })
    }

    async fn finish(&self, id: &str, answer: &Kept) -> Result<(), Error> {
        let status: i16 = answer.status.try_into().unwrap_or(500);
        row::Entity::update_many()
            .col_expr(row::Column::Status, Expr::value(status))
            .col_expr(row::Column::Body, Expr::value(answer.body.clone()))
            .col_expr(row::Column::Location, Expr::value(answer.location.clone()))
            .filter(row::Column::Id.eq(id))
            .exec(&self.0)
            .await?;
        Ok(())
    }

    async fn abandon(&self, id: &str) -> Result<(), Error> {
        row::Entity::delete_by_id(id).exec(&self.0).await?;
        Ok(())
    }
}

impl Rows {
    /// Forgets old answers. Endless.
    pub(super) async fn prune(self) {
        loop {
            let past = row::Column::StartedAt.lt(clock::now() - KEPT);
            let pruned = row::Entity::delete_many().filter(past).exec(&self.0).await;
            if let Err(error) = pruned {
                tracing::warn!(cause = %error, "operations not pruned");
            }
            tokio::time::sleep(PRUNING).await;
        }
    }
}
