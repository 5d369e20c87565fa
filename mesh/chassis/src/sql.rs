//! The relational store: SeaORM over SQLite or Postgres, by the URL alone.

mod failure;

use std::time::Duration;

use anyhow::Context as _;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sea_orm::{
    ConnectOptions, Database, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    SqliteTransactionMode, TransactionOptions, TransactionTrait as _, sqlx,
};
use sea_orm_migration::MigratorTrait;
use secrecy::{ExposeSecret as _, SecretString};

use crate::{Context, stores};

/// A statement that takes longer is ended by Postgres itself.
const STATEMENT_TIMEOUT: &str = "5000";
/// How often it is told how full the pool is.
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
    known(&url)?;
    let patience = Duration::from_millis(context.settings.sql_timeout_millis);
    let mut connection = Database::connect(options(&url, patience)).await?;
    M::up(&connection, None)
        .await
        .context("cannot migrate it")?;
    connection.set_metric_callback(|done| {
        stores::operation("sql", verb(&done.statement.sql), done.elapsed);
    });
    context.spawn(watch_pool(connection.clone()));
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

/// What a statement does, in a word of a handful.
fn verb(statement: &str) -> &'static str {
    let first = statement.trim_start().split(' ').next().unwrap_or_default();
    ["select", "insert", "update", "delete"]
        .into_iter()
        .find(|verb| first.eq_ignore_ascii_case(verb))
        .unwrap_or("other")
}

/// Tells how full the pool is. Endless.
async fn watch_pool(connection: DatabaseConnection) {
    match connection.get_database_backend() {
        DbBackend::Postgres => watch(connection.get_postgres_connection_pool()).await,
        DbBackend::Sqlite => watch(connection.get_sqlite_connection_pool()).await,
        _ => {}
    }
}

async fn watch<D: sqlx::Database>(pool: &sqlx::Pool<D>) {
    let told = stores::Pool::new("sql", pool.options().get_max_connections());
    loop {
        let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
        told.connections.set(pool.size());
        told.in_use.set(pool.size().saturating_sub(idle));
        tokio::time::sleep(WATCH_EVERY).await;
    }
}

/// Begins a transaction that will write.
///
/// On SQLite it is the writer from the start. One that reads first, if only the tables of a
/// full-text index, fails when another process has written meanwhile; this one waits its turn.
///
/// # Errors
/// When the store fails.
pub async fn begin(connection: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    connection.begin_with_options(options).await
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
