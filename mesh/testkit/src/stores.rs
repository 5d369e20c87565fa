//! Stores for tests. `cargo mesh test` starts the servers and says where they are.

use std::path::PathBuf;

use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection, Statement};

use crate::{disk::SmallDisk, unique};

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

/// A Postgres database whose tables and indexes are on a small disk. It goes with this value: the server, which others
/// use too, shall not look for files on a disk that is gone.
#[derive(Debug)]
pub struct SmallPostgres {
    disk: SmallDisk,
    name: String,
}

impl SmallPostgres {
    /// A new, empty one; the disk has to be larger than 16 MiB.
    ///
    /// # Panics
    /// As [`postgres`], and when the test does not run as root.
    pub async fn create(mebibytes: u32) -> Self {
        let (disk, name) = (SmallDisk::new(mebibytes), unique("test_"));
        let connection = postgres_database("postgres").await;
        let folder = disk.folder_like(&data_directory(&connection).await);
        let made = Self { disk, name };
        let name = &made.name;
        for statement in [
            format!("CREATE TABLESPACE {name} LOCATION '{}'", folder.display()),
            format!("CREATE DATABASE {name} TABLESPACE {name}"),
        ] {
            let done = connection.execute_unprepared(&statement).await;
            done.expect("a database can be created");
        }
        made
    }

    /// The disk, to be filled.
    pub fn disk(&self) -> &SmallDisk {
        &self.disk
    }

    /// Where it is.
    ///
    /// # Panics
    /// As [`postgres`].
    pub fn url(&self) -> String {
        format!("{}/{}", variable(POSTGRES), self.name)
    }

    async fn remove(name: String) {
        let connection = postgres_database("postgres").await;
        for statement in [
            format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
            format!("DROP TABLESPACE IF EXISTS {name}"),
        ] {
            let done = connection.execute_unprepared(&statement).await;
            done.expect("a database can be dropped");
        }
    }
}

impl Drop for SmallPostgres {
    fn drop(&mut self) {
        let name = std::mem::take(&mut self.name);
        // A thread of its own: this one may be inside a runtime, or on its way out of a failed test.
        let removing = std::thread::spawn(|| {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            runtime.block_on(Self::remove(name));
        });
        let _ = removing.join();
    }
}

async fn data_directory(connection: &DatabaseConnection) -> PathBuf {
    let shown = Statement::from_string(connection.get_database_backend(), "SHOW data_directory");
    let row = connection.query_one_raw(shown).await.ok().flatten();
    let path = row.and_then(|row| row.try_get_by_index::<String>(0).ok());
    path.expect("Postgres says where its data is").into()
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
