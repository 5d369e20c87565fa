//! Brings a schema up to date.
//!
//! Not by `MigratorTrait::up`: on SQLite that leaves a step half done when the process ends in it,
//! two who start at once run the same step, and a version does not start where a newer one has
//! been. Here each step is one transaction with the note that it is done, on both stores; one
//! process at a time is at it; and steps that this version does not know are nobody's concern:
//! a schema only ever grows (docs/operators.md).
//!
//! The release before this one had the library's own migrator, which does not start where it finds
//! the name of a step that it does not know. So the library's table has the names of that time
//! alone, and later ones are noted in a table of our own, which it does not read.

use std::collections::HashSet;

use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbBackend, DbErr};
use sea_orm_migration::{
    MigratorTrait, SchemaManager,
    prelude::{Query, Table},
    schema::{big_integer, string},
};

use super::Database;
use crate::clock;

/// The advisory lock of whoever changes a schema.
const LOCK: i64 = 0x706c_617a_6100_0002;

/// Where steps are noted that the release with the library's migrator does not have.
const LATER_STEPS: &str = "schema_steps";
/// The steps of that release, of all services: they stay in the library's table.
const FIRST_STEPS: &[&str] = &[
    "chassis_0001_operations",
    "chassis_0002_locations",
    "m0001_accounts",
    "m0001_catalogue",
    "m0001_likes",
    "m0001_microblog",
    "m0001_notifications",
    "m0001_orders",
    "m0001_products",
    "m0002_title_parts",
    "m0003_repetitions",
    "messaging_0001_inbox",
    "messaging_0001_outbox",
];

/// Does the steps that are not done yet, in order.
///
/// # Errors
/// When the store fails, or a step: what went before it is kept, and nothing of itself.
pub(super) async fn up<M: MigratorTrait>(database: &Database) -> Result<(), DbErr> {
    while step::<M>(database).await? {}
    Ok(())
}

/// Does the next step; `false` when there is none.
async fn step<M: MigratorTrait>(database: &Database) -> Result<bool, DbErr> {
    // On SQLite this is the writer from here on, whoever else starts.
    let transaction = database.begin().await?;
    if transaction.get_database_backend() == DbBackend::Postgres {
        // A step on a large table takes its time, and so does waiting for who is at it.
        let alone = format!(
            "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0; \
             SELECT pg_advisory_xact_lock({LOCK})"
        );
        transaction.execute_unprepared(&alone).await?;
    }
    M::install(&transaction).await?;
    install_later_steps(&transaction).await?;
    let done = done::<M>(&transaction).await?;
    let steps = M::migrations();
    let next = steps.iter().find(|step| !done.contains(step.name()));
    if let Some(step) = next {
        step.up(&SchemaManager::new(&transaction)).await?;
        let mut note = Query::insert();
        if FIRST_STEPS.contains(&step.name()) {
            note.into_table(M::migration_table_name());
        } else {
            note.into_table(LATER_STEPS);
        }
        note.columns(["version", "applied_at"])
            .values_panic([step.name().into(), clock::now().timestamp().into()]);
        transaction.execute(&note).await?;
    }
    transaction.commit().await?;
    if let Some(step) = next {
        tracing::info!(step = step.name(), "the schema is a step further");
    }
    Ok(next.is_some())
}

async fn install_later_steps(transaction: &DatabaseTransaction) -> Result<(), DbErr> {
    let table = Table::create()
        .table(LATER_STEPS)
        .if_not_exists()
        .col(string("version").primary_key())
        .col(big_integer("applied_at"))
        .to_owned();
    transaction.execute(&table).await.map(drop)
}

/// The names of the steps that are done, also those of newer versions.
async fn done<M: MigratorTrait>(
    transaction: &DatabaseTransaction,
) -> Result<HashSet<String>, DbErr> {
    let first = Query::select()
        .column("version")
        .from(M::migration_table_name())
        .to_owned();
    let later = Query::select()
        .column("version")
        .from(LATER_STEPS)
        .to_owned();
    let mut names = HashSet::new();
    for query in [first, later] {
        for row in transaction.query_all(&query).await? {
            names.insert(row.try_get_by_index(0)?);
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sea_orm_migration::MigrationTrait;

    use super::*;
    use crate::operation::{LocationMigration, Migration, NumberMigration};

    struct Before;

    impl MigratorTrait for Before {
        fn migrations() -> Vec<Box<dyn MigrationTrait>> {
            vec![Box::new(Migration), Box::new(LocationMigration)]
        }
    }

    struct Now;

    impl MigratorTrait for Now {
        fn migrations() -> Vec<Box<dyn MigrationTrait>> {
            let mut steps = Before::migrations();
            steps.push(Box::new(NumberMigration));
            steps
        }
    }

    /// It has the library's own migrator, which refuses what it does not know.
    #[tokio::test]
    async fn the_release_before_starts_where_this_one_has_been() {
        for url in [
            "sqlite::memory:".to_owned(),
            testkit::stores::postgres().await,
        ] {
            let patience = Duration::from_secs(30);
            let database = crate::sql::dial(&url, patience).await.unwrap();
            up::<Now>(&database).await.unwrap();
            let [_, connection] = database.connections();
            Before::up(connection, None).await.unwrap();
            up::<Now>(&database).await.unwrap();
        }
    }
}
