//! Brings a schema up to date.
//!
//! Not by `MigratorTrait::up`: on SQLite that leaves a step half done when the process ends in it,
//! two who start at once run the same step, and a version does not start where a newer one has
//! been. Here each step is one transaction with the note that it is done, on both stores; one
//! process at a time is at it; and steps that this version does not know are nobody's concern:
//! a schema only ever grows (docs/operators.md).

use std::collections::HashSet;

use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbBackend, DbErr};
use sea_orm_migration::{MigratorTrait, SchemaManager, prelude::Query};

use super::Database;
use crate::clock;

/// The advisory lock of whoever changes a schema.
const LOCK: i64 = 0x706c_617a_6100_0002;

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
    let done = done::<M>(&transaction).await?;
    let steps = M::migrations();
    let next = steps.iter().find(|step| !done.contains(step.name()));
    if let Some(step) = next {
        step.up(&SchemaManager::new(&transaction)).await?;
        let note = Query::insert()
            .into_table(M::migration_table_name())
            .columns(["version", "applied_at"])
            .values_panic([step.name().into(), clock::now().timestamp().into()])
            .to_owned();
        transaction.execute(&note).await?;
    }
    transaction.commit().await?;
    if let Some(step) = next {
        tracing::info!(step = step.name(), "the schema is a step further");
    }
    Ok(next.is_some())
}

/// The names of the steps that are done, also those of newer versions.
async fn done<M: MigratorTrait>(
    transaction: &DatabaseTransaction,
) -> Result<HashSet<String>, DbErr> {
    let names = Query::select()
        .column("version")
        .from(M::migration_table_name())
        .to_owned();
    let rows = transaction.query_all(&names).await?;
    rows.iter().map(|row| row.try_get_by_index(0)).collect()
}
