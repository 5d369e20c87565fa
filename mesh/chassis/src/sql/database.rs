//! A relational store that cannot be written without a commit whose result is looked at.
//!
//! SQLite commits a single `INSERT … RETURNING` when its statement is put away, and the driver
//! looks at no error there: the row was answered, and a full disk kept nothing. So no statement
//! that writes runs by itself: [`Database`] gives each a transaction of its own, and only
//! [`Database::begin`] makes larger ones.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult,
    QueryResult, SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait as _,
};

use super::failure;

/// What shows that something can be written: as much as a large request of ours, so that what is
/// left of a full disk is not taken for space.
const SQLITE_PROBE: &str = "CREATE TABLE IF NOT EXISTS store_probe (id INTEGER PRIMARY KEY, filler BLOB); \
     INSERT OR REPLACE INTO store_probe VALUES (1, zeroblob(65536))";
/// Gives its space back.
const PROBED: &str = "DELETE FROM store_probe";
/// The same on Postgres, in a text that does not compress. What it takes is free again after a vacuum.
const POSTGRES_PROBE: &str = "CREATE TABLE IF NOT EXISTS store_probe (filler TEXT); \
     INSERT INTO store_probe SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 2048)";

/// A relational store. Cheap to clone.
///
/// Statements run on it as on a connection: a `SELECT` at once, everything else in a transaction
/// of its own, which is committed before there is an answer.
#[derive(Debug, Clone)]
pub struct Database {
    /// On SQLite several connections, which cannot write at all.
    reads: DatabaseConnection,
    /// On SQLite one connection: it has one writer, and here they queue in order.
    writes: DatabaseConnection,
    /// The last failure of the disk that a write has been seen to follow.
    overcome: Arc<AtomicU64>,
}

impl Database {
    pub(super) fn new(reads: DatabaseConnection, writes: DatabaseConnection) -> Self {
        Self {
            reads,
            writes,
            overcome: Arc::new(AtomicU64::new(failure::of_the_disk())),
        }
    }

    /// Begins a transaction that may write.
    ///
    /// On SQLite it is the writer from the start. One that reads first fails when another process
    /// has written meanwhile; this one waits its turn.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        self.writes.begin_with_options(options).await
    }

    /// Whether the store can be read and, when a write failed for the disk's sake, written again.
    ///
    /// # Errors
    /// When it cannot.
    pub async fn ping(&self) -> Result<(), DbErr> {
        let known = "SELECT version FROM seaql_migrations LIMIT 1";
        let known = Statement::from_string(self.get_database_backend(), known);
        self.reads.query_one_raw(known).await?;
        let failures = failure::of_the_disk();
        if self.overcome.load(Ordering::Acquire) != failures {
            self.probe().await?;
            self.overcome.store(failures, Ordering::Release);
        }
        Ok(())
    }

    /// Runs one statement in a transaction of its own. A failure of the disk counts here, since who only tidies up tells
    /// it to nobody but the log.
    async fn committed<T>(
        &self,
        run: impl AsyncFnOnce(&DatabaseTransaction) -> Result<T, DbErr>,
    ) -> Result<T, DbErr> {
        let written = async {
            let transaction = self.begin().await?;
            let done = run(&transaction).await?;
            transaction.commit().await?;
            Ok(done)
        };
        written.await.inspect_err(failure::notice)
    }

    async fn probe(&self) -> Result<(), DbErr> {
        let probe = match self.get_database_backend() {
            DbBackend::Sqlite => SQLITE_PROBE,
            _ => POSTGRES_PROBE,
        };
        self.execute_unprepared(probe).await?;
        self.execute_unprepared(PROBED).await.map(drop)
    }

    /// Ends all connections.
    pub async fn close(&self) {
        for connection in [&self.reads, &self.writes] {
            // On the way out there is nobody left to tell.
            let _ = connection.close_by_ref().await;
        }
    }

    pub(super) fn connections(&self) -> [&DatabaseConnection; 2] {
        [&self.reads, &self.writes]
    }
}

#[async_trait]
impl ConnectionTrait for Database {
    fn get_database_backend(&self) -> DbBackend {
        self.writes.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.committed(async |writer| writer.execute_raw(statement).await)
            .await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.committed(async |writer| writer.execute_unprepared(sql).await)
            .await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        if only_reads(&statement) {
            return self.reads.query_one_raw(statement).await;
        }
        self.committed(async |writer| writer.query_one_raw(statement).await)
            .await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        if only_reads(&statement) {
            return self.reads.query_all_raw(statement).await;
        }
        self.committed(async |writer| writer.query_all_raw(statement).await)
            .await
    }
}

/// Whatever is not surely a question may write (`WITH … INSERT`).
fn only_reads(statement: &Statement) -> bool {
    super::verb(&statement.sql) == "select"
}
