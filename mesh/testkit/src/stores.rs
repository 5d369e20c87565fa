//! Stores for tests. `cargo mesh test` starts the servers and says where they are.

use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection};

use crate::unique;

/// Variable with the URL of a Postgres server whose user may create databases, without a path.
const POSTGRES: &str = "TEST_POSTGRES_URL";
/// Variable with the URLs of document stores, one for each backend, parted by commas.
const DOCUMENTS: &str = "TEST_DOCUMENTS_URLS";
/// Variable with the URL of a RabbitMQ server whose user may declare exchanges and queues.
const AMQP: &str = "TEST_AMQP_URL";

/// Where a suite keeps relational data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sql {
    /// A file in the service's data folder.
    Sqlite,
    /// A new database of the server that the tests are given.
    Postgres,
}

impl Sql {
    /// The flag and value that make a service use a new store of this kind; none where that is
    /// what it does by itself.
    pub async fn flags(self, flag: &str) -> Vec<String> {
        match self {
            Self::Sqlite => Vec::new(),
            Self::Postgres => vec![flag.to_owned(), postgres().await],
        }
    }
}

/// Runs each test once a backend, as `sqlite::<test>` and `postgres::<test>`; a test is an
/// `async fn` that takes a [`Sql`].
#[macro_export]
macro_rules! on_each_store {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test] async fn $test() { super::$test($crate::stores::Sql::Sqlite).await })+
        }
        mod postgres {
            $(#[tokio::test] async fn $test() { super::$test($crate::stores::Sql::Postgres).await })+
        }
    };
}

/// A new, empty Postgres database; its URL.
///
/// # Panics
/// When the tests are not run by `cargo mesh test`.
pub async fn postgres() -> String {
    let server = variable(POSTGRES);
    let name = unique("test_");
    let connection = postgres_database("postgres").await;
    connection
        .execute_unprepared(&format!("CREATE DATABASE {name}"))
        .await
        .expect("a database can be created");
    connection
        .close()
        .await
        .expect("a connection can be closed");
    format!("{server}/{name}")
}

/// A connection to a database of the tests' Postgres by its name: `users` and `movies` are those of the services in the mesh.
///
/// # Panics
/// As [`postgres`].
pub async fn postgres_database(name: &str) -> DatabaseConnection {
    let connecting = Database::connect(format!("{}/{name}", variable(POSTGRES)));
    connecting.await.expect("Postgres answers")
}

/// The URL of each document store there is to test with.
///
/// # Panics
/// When the tests are not run by `cargo mesh test`.
pub fn documents() -> Vec<String> {
    variable(DOCUMENTS).split(',').map(str::to_owned).collect()
}

/// The URL of the broker, with exchanges and queues that no other test uses.
///
/// # Panics
/// When the tests are not run by `cargo mesh test`.
pub fn amqp() -> String {
    format!("{}?prefix={}.", variable(AMQP), unique("test_"))
}

fn variable(name: &str) -> String {
    let value = std::env::var(name);
    value.unwrap_or_else(|_| {
        panic!("{name} is not set: run the tests by `cargo mesh test`, which starts the stores")
    })
}
