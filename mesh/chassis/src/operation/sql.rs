//! Operations in a table.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait as _, Condition, DbErr, EntityTrait as _, QueryFilter as _,
    sea_query::OnConflict,
};
use sea_orm_migration::{
    prelude::*,
    schema::{
        binary_null, small_integer_null, string, string_null, timestamp_with_time_zone,
        timestamp_with_time_zone_null,
    },
};
use uuid::Uuid;

use super::{ABANDONED, Begun, Earlier, Failed, KEPT, Kept, PRUNING, Store};
use crate::{Error, clock, sql::Database};

mod row {
    use chrono::{DateTime, Utc};
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "operations")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub fingerprint: String,
        /// When the key began to be known.
        pub started_at: DateTime<Utc>,
        pub status: Option<i16>,
        pub body: Option<Vec<u8>>,
        pub location: Option<String>,
        /// The number of the operation; none in what the version before wrote.
        pub operation: Option<String>,
        /// When it was last taken over, or long ago when nobody is at work on it.
        pub attempted_at: Option<DateTime<Utc>>,
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

/// The step after it: operations that have a number of their own.
#[derive(Debug)]
pub struct NumberMigration;

impl MigrationName for NumberMigration {
    fn name(&self) -> &'static str {
        "chassis_0003_operation_numbers"
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait's own macro does not accept a written lifetime"
)]
#[async_trait]
impl MigrationTrait for NumberMigration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = [
            ("operation", string_null("operation")),
            (
                "attempted_at",
                timestamp_with_time_zone_null("attempted_at"),
            ),
        ];
        // One by one, as SQLite wants it; whoever is killed in between begins again.
        for (name, column) in columns {
            if !manager.has_column("operations", name).await? {
                let table = Table::alter()
                    .table("operations")
                    .add_column(column)
                    .to_owned();
                manager.alter_table(table).await?;
            }
        }
        Ok(())
    }
}

/// The table of a service.
#[derive(Debug, Clone)]
pub(super) struct Rows(pub(super) Database);

#[async_trait]
impl Store for Rows {
    async fn begin(&self, id: &str, fingerprint: &str, new: Uuid) -> Result<Begun, Error> {
        let now = clock::now();
        let row = row::ActiveModel {
            id: Set(id.to_owned()),
            fingerprint: Set(fingerprint.to_owned()),
            started_at: Set(now),
            status: NotSet,
            body: NotSet,
            location: NotSet,
            operation: Set(Some(new.to_string())),
            attempted_at: NotSet,
        };
        let once = OnConflict::column(row::Column::Id).do_nothing().to_owned();
        let inserted = row::Entity::insert(row)
            .on_conflict(once)
            .exec_without_returning(&self.0)
            .await?;
        if inserted > 0 {
            return Ok(Begun::First(new));
        }
        let Some(known) = row::Entity::find_by_id(id).one(&self.0).await? else {
            // It failed at this very moment: the next try is the first.
            return Ok(Begun::Running);
        };
        if known.started_at <= now - KEPT {
            return self.renew(id, fingerprint, new, now).await;
        }
        if known.fingerprint != fingerprint {
            return Ok(Begun::Other);
        }
        match known.kept() {
            Some(kept) => Ok(Begun::Answered(kept)),
            None => self.take_over(&known, now).await,
        }
    }

    async fn finish(&self, id: &str, operation: Uuid, answer: &Kept) -> Result<(), Error> {
        let status: i16 = answer.status.try_into().unwrap_or(500);
        row::Entity::update_many()
            .col_expr(row::Column::Status, Expr::value(status))
            .col_expr(row::Column::Body, Expr::value(answer.body.clone()))
            .col_expr(row::Column::Location, Expr::value(answer.location.clone()))
            .filter(unanswered(id, operation))
            .exec(&self.0)
            .await?;
        Ok(())
    }

    async fn abandon(&self, id: &str, operation: Uuid, failed: Failed) -> Result<(), Error> {
        if failed == Failed::Refused {
            let only_attempt = row::Column::AttemptedAt.is_null();
            let forgotten = row::Entity::delete_many()
                .filter(unanswered(id, operation))
                .filter(only_attempt)
                .exec(&self.0)
                .await?;
            if forgotten.rows_affected > 0 {
                return Ok(());
            }
        }
        let long_ago = Expr::value(DateTime::<Utc>::UNIX_EPOCH);
        row::Entity::update_many()
            .col_expr(row::Column::AttemptedAt, long_ago)
            .filter(unanswered(id, operation))
            .exec(&self.0)
            .await?;
        Ok(())
    }

    async fn earlier(&self, id: &str, fingerprint: &str) -> Result<Earlier, Error> {
        let now = clock::now();
        let same = row::Entity::find_by_id(id)
            .filter(row::Column::Fingerprint.eq(fingerprint))
            .filter(row::Column::StartedAt.gt(now - KEPT));
        let Some(known) = same.one(&self.0).await? else {
            return Ok(Earlier::None);
        };
        Ok(match known.kept() {
            Some(kept) => Earlier::Begun(Begun::Answered(kept)),
            None if known.started_at >= now - ABANDONED => Earlier::Begun(Begun::Running),
            None => Earlier::LeftBehind,
        })
    }
}

impl row::Model {
    fn kept(&self) -> Option<Kept> {
        Some(Kept {
            status: self.status?.try_into().unwrap_or(500),
            body: self.body.clone()?,
            location: self.location.clone(),
        })
    }
}

/// The row of an operation that has no answer.
fn unanswered(id: &str, operation: Uuid) -> Condition {
    Condition::all()
        .add(row::Column::Id.eq(id))
        .add(row::Column::Operation.eq(operation.to_string()))
        .add(row::Column::Status.is_null())
}

impl Rows {
    /// Begins anew with a key whose time is over; of those who notice, one does.
    async fn renew(
        &self,
        id: &str,
        fingerprint: &str,
        new: Uuid,
        now: DateTime<Utc>,
    ) -> Result<Begun, Error> {
        let renewed = row::Entity::update_many()
            .col_expr(row::Column::Fingerprint, Expr::value(fingerprint))
            .col_expr(row::Column::StartedAt, Expr::value(now))
            .col_expr(row::Column::Operation, Expr::value(new.to_string()))
            .col_expr(
                row::Column::AttemptedAt,
                Expr::value(Option::<DateTime<Utc>>::None),
            )
            .col_expr(row::Column::Status, Expr::value(Option::<i16>::None))
            .col_expr(row::Column::Body, Expr::value(Option::<Vec<u8>>::None))
            .col_expr(row::Column::Location, Expr::value(Option::<String>::None))
            .filter(row::Column::Id.eq(id))
            .filter(row::Column::StartedAt.lte(now - KEPT))
            .exec(&self.0)
            .await?;
        Ok(if renewed.rows_affected > 0 {
            Begun::First(new)
        } else {
            Begun::Running
        })
    }

    /// Goes on where nobody is at work any more; of those who notice, one does.
    async fn take_over(&self, known: &row::Model, now: DateTime<Utc>) -> Result<Begun, Error> {
        let number = known.operation.as_deref().unwrap_or_default();
        let number = Uuid::try_parse(number).map_err(Error::internal)?;
        let before = now - ABANDONED;
        let never_taken_over = row::Column::AttemptedAt.is_null();
        let left_behind = Condition::any()
            .add(row::Column::AttemptedAt.lt(before))
            .add(never_taken_over.and(row::Column::StartedAt.lt(before)));
        let taken = row::Entity::update_many()
            .col_expr(row::Column::AttemptedAt, Expr::value(now))
            .filter(unanswered(&known.id, number))
            .filter(left_behind)
            .exec(&self.0)
            .await?;
        Ok(if taken.rows_affected > 0 {
            Begun::First(number)
        } else {
            Begun::Running
        })
    }

    /// Forgets keys whose time is over. Endless.
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
