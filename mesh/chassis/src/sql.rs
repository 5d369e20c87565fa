//! The relational store: SeaORM over SQLite or Postgres, by the URL alone.

mod database;
mod failure;
mod migrate;

use std::{future::Future, pin::Pin, time::Duration};

use anyhow::Context as _;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sea_orm::{
    ConnectOptions, DatabaseConnection, DbBackend,
    sqlx::{self, Connection as _, Executor as _, SqliteConnection},
};
use sea_orm_migration::MigratorTrait;
use secrecy::{ExposeSecret as _, SecretString};

use crate::{Context, stores};

pub use database::Database;

/// A statement that takes longer is ended by Postgres itself.
const STATEMENT_TIMEOUT: &str = "5000";
/// How long the writer of another process is waited for at least: SQLite looks now and then and
/// keeps no queue, so it may miss many gaps.
const OTHER_WRITER: Duration = Duration::from_secs(10);
/// Connections that read a SQLite file beside its writer.
const SQLITE_READERS: u32 = 4;
/// How often it is told how full the pools are.
const WATCH_EVERY: Duration = Duration::from_secs(2);

/// A Postgres server given in parts, as S2 deployments do (S2-44 to S2-47).
#[derive(Debug, Clone, clap::Args)]
#[group(id = "database_server")]
pub struct Server {
    /// Host of Postgres; without it, and without a URL, the store is a SQLite file
    #[arg(long, env = "DB_HOST")]
    pub db_host: Option<String>,
    /// Port of Postgres
    #[arg(long, env = "DB_PORT", default_value_t = 5432)]
    pub db_port: u16,
    /// Who logs in to Postgres
    #[arg(long, env = "DB_USER", default_value = "postgres")]
    pub db_user: String,
    /// Password for Postgres
    #[arg(
        long,
        env = "DB_PASSWORD",
        hide_env_values = true,
        default_value = "postgres",
        hide_default_value = true
    )]
    pub db_password: SecretString,
}

impl Server {
    /// The URL for [`connect`]: `url` overrides the parts; `None` when neither is given.
    pub fn url(&self, url: Option<&str>, database: &str) -> Option<String> {
        let parts = || {
            let host = self.db_host.as_deref()?;
            let [user, password, database] =
                [&self.db_user, self.db_password.expose_secret(), database]
                    .map(|part| utf8_percent_encode(part, NON_ALPHANUMERIC).to_string());
            Some(format!(
                "postgres://{user}:{password}@{host}:{}/{database}",
                self.db_port
            ))
        };
        url.map(str::to_owned).or_else(parts)
    }
}

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
) -> anyhow::Result<Database> {
    context
        .patiently("relational store", || open::<M>(context, url, default_file))
        .await
}

async fn open<M: MigratorTrait>(
    context: &Context,
    url: Option<&str>,
    default_file: &str,
) -> anyhow::Result<Database> {
    let url = match url {
        Some(url) => context.dns.resolve_url(url).await?,
        None => format!(
            "sqlite://{}?mode=rwc",
            context.data_file(default_file)?.display()
        ),
    };
    known(&url)?;
    let patience = Duration::from_millis(context.settings.sql_timeout_millis);
    let database = dial(&url, patience).await?;
    migrate::up::<M>(&database)
        .await
        .context("cannot migrate it")?;
    context.spawn(watch_pools(database.clone()));
    Ok(database)
}

/// Opens the connections; the schema is as it was.
async fn dial(url: &str, patience: Duration) -> anyhow::Result<Database> {
    if !url.starts_with("sqlite:") {
        let connection = connected(postgres(url, patience)).await?;
        return Ok(Database::new(connection.clone(), connection));
    }
    // The writer first: it makes the file.
    let writes = connected(sqlite_writer(url, patience)).await?;
    // What is in memory is seen by its connection alone.
    if url.contains(":memory:") || url.contains("mode=memory") {
        return Ok(Database::new(writes.clone(), writes));
    }
    let reads = connected(sqlite_readers(url, patience)).await?;
    Ok(Database::new(reads, writes))
}

async fn connected(options: ConnectOptions) -> anyhow::Result<DatabaseConnection> {
    let mut connection = sea_orm::Database::connect(options).await?;
    connection.set_metric_callback(|done| {
        stores::operation("sql", verb(&done.statement.sql), done.elapsed);
    });
    Ok(connection)
}

/// Refuses what SeaORM would refuse by saying the URL, and the password in it, back.
fn known(url: &str) -> anyhow::Result<()> {
    let scheme = url.split(':').next().unwrap_or_default();
    anyhow::ensure!(
        ["sqlite", "postgres", "postgresql"].contains(&scheme),
        "the URL of the relational store must begin with sqlite: or postgres:"
    );
    Ok(())
}

fn options(url: &str, patience: Duration) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .acquire_timeout(patience)
        .connect_timeout(patience)
        .sqlx_logging(false);
    options
}

fn postgres(url: &str, patience: Duration) -> ConnectOptions {
    let mut options = options(url, patience);
    options
        .max_connections(16)
        .map_sqlx_postgres_opts(|postgres| {
            postgres.options([("statement_timeout", STATEMENT_TIMEOUT)])
        });
    options
}

/// SQLite has one writer; one connection queues in order instead of failing with "busy".
fn sqlite_writer(url: &str, patience: Duration) -> ConnectOptions {
    let mut options = sqlite(url, patience, "OFF");
    options.max_connections(1).min_connections(1);
    options.map_sqlx_sqlite_pool_opts(|pool| {
        pool.after_release(|connection, _| is_at_rest(connection))
    });
    options
}

/// Readers wait for nobody, and what they do cannot write.
fn sqlite_readers(url: &str, patience: Duration) -> ConnectOptions {
    let mut options = sqlite(url, patience, "ON");
    options.max_connections(SQLITE_READERS).min_connections(1);
    options
}

fn sqlite(url: &str, patience: Duration, query_only: &'static str) -> ConnectOptions {
    use sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
    let mut options = options(url, patience);
    options.map_sqlx_sqlite_opts(move |sqlite| {
        // An acknowledged write survives a power cut, as it does in Postgres. The writer of
        // another process is waited for.
        sqlite
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(patience.max(OTHER_WRITER))
            .foreign_keys(true)
            .pragma("query_only", query_only)
    });
    options
}

/// Whether a connection is in no transaction, by SQLite's word and by the driver's.
///
/// When SQLite itself gives a transaction up (a full disk), the driver's rollback fails and it
/// goes on counting a transaction: later ones would be parts of one that nobody commits. And one
/// whose rollback went unnoticed would go on under whoever comes next. Neither serves again.
fn is_at_rest(
    connection: &mut SqliteConnection,
) -> Pin<Box<dyn Future<Output = Result<bool, sqlx::Error>> + Send + '_>> {
    Box::pin(async move {
        // It comes after the rollback that a dropped transaction has left, and touches no file.
        let begins = connection.execute("BEGIN; COMMIT").await.is_ok();
        Ok(begins && !connection.is_in_transaction())
    })
}

/// What a statement does, in a word of a handful.
fn verb(statement: &str) -> &'static str {
    let first = statement.trim_start().split(' ').next().unwrap_or_default();
    ["select", "insert", "update", "delete"]
        .into_iter()
        .find(|verb| first.eq_ignore_ascii_case(verb))
        .unwrap_or("other")
}

/// Tells how full the pools are. Endless.
async fn watch_pools(database: Database) {
    let [reads, writes] = database.connections();
    match writes.get_database_backend() {
        DbBackend::Postgres => watch("sql", writes.get_postgres_connection_pool()).await,
        DbBackend::Sqlite => {
            let writer = watch("sql", writes.get_sqlite_connection_pool());
            let readers = watch("sql-reads", reads.get_sqlite_connection_pool());
            tokio::join!(writer, readers);
        }
        _ => {}
    }
}

async fn watch<D: sqlx::Database>(store: &'static str, pool: &sqlx::Pool<D>) {
    let told = stores::Pool::new(store, pool.options().get_max_connections());
    loop {
        let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
        told.connections.set(pool.size());
        told.in_use.set(pool.size().saturating_sub(idle));
        tokio::time::sleep(WATCH_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_of_another_store_is_refused_without_its_password() {
        let refused = known("mysql://u:canary@h/x").unwrap_err().to_string();
        assert!(!refused.contains("canary"), "{refused}");
        for good in ["sqlite://x?mode=rwc", "postgres://u:p@h/x"] {
            known(good).unwrap();
        }
    }

    fn server(host: Option<&str>) -> Server {
        Server {
            db_host: host.map(str::to_owned),
            db_port: 5432,
            db_user: "po st".into(),
            db_password: "p@ss/word".into(),
        }
    }

    #[test]
    fn s2_44_the_parts_make_a_url() {
        let url = server(Some("localhost")).url(None, "microblog_users");
        let expected = "postgres://po%20st:p%40ss%2Fword@localhost:5432/microblog%5Fusers";
        assert_eq!(url.as_deref(), Some(expected));
        assert_eq!(server(None).url(None, "microblog_users"), None);
    }

    #[test]
    fn a_statement_is_one_of_a_handful() {
        assert_eq!(verb("SELECT 1"), "select");
        assert_eq!(verb("insert into posts"), "insert");
        assert_eq!(verb("WITH a AS (SELECT 1) SELECT 1"), "other");
    }

    #[test]
    fn s2_50_a_full_url_overrides_the_parts() {
        let url = server(Some("localhost")).url(Some("sqlite://x"), "microblog_users");
        assert_eq!(url.as_deref(), Some("sqlite://x"));
    }
}
