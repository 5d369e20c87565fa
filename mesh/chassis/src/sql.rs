//! The relational store: SeaORM over SQLite or Postgres, by the URL alone.

use std::time::Duration;

use anyhow::Context as _;
use sea_orm::{ConnectOptions, Database, DatabaseConnection, DbErr, RuntimeErr, sqlx};
use sea_orm_migration::MigratorTrait;

use crate::{Context, Error};

/// A statement that takes longer is ended by Postgres itself.
const STATEMENT_TIMEOUT: &str = "5000";
/// What waiting for a connection may take before the answer is 503.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(1);

/// Connects and brings the schema up to date.
///
/// `url` is `postgres://…` or `sqlite://…`; without one, a SQLite file named `default_file` in
/// the data folder. Hosts in Consul's zone are looked up.
///
/// # Errors
/// When the store cannot be reached or a migration fails.
pub async fn connect<M: MigratorTrait>(
    context: &Context,
    url: Option<&str>,
    default_file: &str,
) -> anyhow::Result<DatabaseConnection> {
    context
        .patiently("relational store", || open::<M>(context, url, default_file))
        .await
}

async fn open<M: MigratorTrait>(
    context: &Context,
    url: Option<&str>,
    default_file: &str,
) -> anyhow::Result<DatabaseConnection> {
    let url = match url {
        Some(url) => context.dns.resolve_url(url).await?,
        None => format!(
            "sqlite://{}?mode=rwc",
            context.data_file(default_file)?.display()
        ),
    };
    let connection = Database::connect(options(&url)).await?;
    M::up(&connection, None)
        .await
        .context("cannot migrate it")?;
    Ok(connection)
}

fn options(url: &str) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_timeout(ACQUIRE_TIMEOUT)
        .sqlx_logging(false);
    if url.starts_with("sqlite:") {
        // SQLite has one writer; one connection queues in order instead of failing with "busy".
        options
            .max_connections(1)
            .min_connections(1)
            .map_sqlx_sqlite_opts(|sqlite| {
                use sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
                // An acknowledged write survives a power cut, as it does in Postgres.
                sqlite
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Full)
                    .foreign_keys(true)
            });
    } else {
        options
            .max_connections(16)
            .map_sqlx_postgres_opts(|postgres| {
                postgres.options([("statement_timeout", STATEMENT_TIMEOUT)])
            });
    }
    options
}

/// What a failure of the store means to the caller: 503 when the store is away, else 500.
impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        let away = match &error {
            DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => true,
            DbErr::Exec(RuntimeErr::SqlxError(cause))
            | DbErr::Query(RuntimeErr::SqlxError(cause)) => matches!(
                **cause,
                sqlx::Error::Io(_)
                    | sqlx::Error::PoolTimedOut
                    | sqlx::Error::PoolClosed
                    | sqlx::Error::WorkerCrashed
            ),
            _ => false,
        };
        if away {
            Self::unavailable("The store does not answer; try again").caused_by(error)
        } else {
            Self::internal(error)
        }
    }
}
