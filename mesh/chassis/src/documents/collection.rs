//! Databases and collections whose operations come to their end.
//!
//! An operation that is dropped half-way leaves a connection that cannot be used again, and a server that goes on with it: the
//! driver [warns of it][driver]. The embedded store does worse. Its updates hold one SQLite connection while they wait for a second,
//! so that a hundred of them, of which the clients of most had gone, stood still for ever. So each operation runs in a task of its
//! own, and its caller waits for that, or goes away.
//!
//! [driver]: https://github.com/mongodb/mongo-rust-driver#warning-about-timeouts--cancellation

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use mongodb::bson::{self, Document, RawDocumentBuf, doc};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout, timeout_at},
};
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use super::{
    by_id,
    failure::{self, is_duplicate},
    too_slow,
};
use crate::{Error, stores};

/// Connections of one process, and so the operations that the store has of it at a time.
pub(super) const POOL_LIMIT: u32 = 16;
/// Operations that are begun at a time, whether their callers still wait or not. More than there are connections: a turn takes
/// longer than its operation where the process has little of the machine, and connections shall not wait for turns.
const TURNS: usize = 4 * POOL_LIMIT as usize;
/// What a caller waits for one operation: the driver itself waits for ever for a server that hangs.
pub(super) const OPERATION_DEADLINE: Duration = Duration::from_secs(5);
/// How long an operation goes on without its caller: then the machine of the store is gone, rather than slow.
const GIVEN_UP: Duration = Duration::from_mins(1);

/// What shows that something can be written.
const PROBE_BYTES: usize = 64 * 1024;

/// A database of documents. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Database {
    inner: mongodb::Database,
    limits: Limits,
    /// The last failure of the disk that a write has been seen to follow.
    overcome: Arc<AtomicU64>,
}

/// Who may ask the store now, and where it is done.
#[derive(Debug, Clone)]
struct Limits {
    turns: Arc<Semaphore>,
    tasks: TaskTracker,
    asked: Arc<AtomicU64>,
}

impl Database {
    pub(super) fn new(database: mongodb::Database, tasks: &TaskTracker) -> Self {
        let limits = Limits {
            turns: Arc::new(Semaphore::new(TURNS)),
            tasks: tasks.clone(),
            asked: Arc::default(),
        };
        Self {
            inner: database,
            limits,
            overcome: Arc::new(AtomicU64::new(failure::of_the_disk())),
        }
    }

    /// The collection of a name. It need not exist.
    pub fn collection<T: Send + Sync>(&self, name: &str) -> Collection<T> {
        Collection {
            collection: self.inner.collection(name),
            limits: self.limits.clone(),
        }
    }

    /// How many operations the store was asked for: what something costs, on any machine.
    pub fn operations(&self) -> u64 {
        self.limits.asked.load(Ordering::Relaxed)
    }

    /// Whether the store answers and, when a write failed for the disk's sake, can be written again.
    ///
    /// # Errors
    /// 503 when it does not, or cannot.
    pub async fn ping(&self) -> Result<(), Error> {
        let database = self.inner.clone();
        let ping = async move { database.run_command(doc! { "ping": 1 }).await };
        self.limits.run("ping", OPERATION_DEADLINE, ping).await?;
        let failures = failure::of_the_disk();
        if self.overcome.load(Ordering::Acquire) != failures {
            self.probe().await?;
            self.overcome.store(failures, Ordering::Release);
        }
        Ok(())
    }

    /// Writes as much as a large request of ours, so that what is left of a full disk is not taken for space.
    async fn probe(&self) -> Result<(), Error> {
        let probes = self.collection::<Document>("store_probe");
        let id = uuid::Uuid::now_v7().to_string();
        let probe = doc! { "_id": &id, "filler": "x".repeat(PROBE_BYTES) };
        probes.insert("store.probe", &probe).await?;
        probes.remove("store.probed", &id).await?;
        Ok(())
    }
}

/// The documents of one kind. Cheap to clone.
#[derive(Debug)]
pub struct Collection<T: Send + Sync> {
    collection: mongodb::Collection<T>,
    limits: Limits,
}

impl<T: Send + Sync> Clone for Collection<T> {
    fn clone(&self) -> Self {
        self.with_type()
    }
}

impl<T: Send + Sync> Collection<T> {
    /// The same documents, read as another type.
    pub fn with_type<U: Send + Sync>(&self) -> Collection<U> {
        Collection {
            collection: self.collection.clone_with_type(),
            limits: self.limits.clone(),
        }
    }

    /// Its name in the database.
    pub fn name(&self) -> &str {
        self.collection.name()
    }

    /// Runs one operation of the driver with a deadline and in a span, `db.<name>`. Once it has begun it comes to its end, whether
    /// somebody waits for it or not.
    ///
    /// # Errors
    /// 503 when the store is away or too slow, else 500.
    pub async fn run<R, F>(
        &self,
        name: &'static str,
        operation: impl FnOnce(mongodb::Collection<T>) -> F,
    ) -> Result<R, Error>
    where
        R: Send + 'static,
        F: Future<Output = mongodb::error::Result<R>> + Send + 'static,
    {
        self.run_within(OPERATION_DEADLINE, name, operation).await
    }

    /// As [`Collection::run`], for what takes longer; a minute at most.
    ///
    /// # Errors
    /// As [`Collection::run`].
    pub async fn run_within<R, F>(
        &self,
        deadline: Duration,
        name: &'static str,
        operation: impl FnOnce(mongodb::Collection<T>) -> F,
    ) -> Result<R, Error>
    where
        R: Send + 'static,
        F: Future<Output = mongodb::error::Result<R>> + Send + 'static,
    {
        let operation = operation(self.collection.clone());
        self.limits.run(name, deadline, operation).await
    }

    /// Inserts a document; `false` when its `_id`, or another unique value, is taken.
    ///
    /// # Errors
    /// As [`Collection::run`].
    pub async fn insert(&self, name: &'static str, document: &T) -> Result<bool, Error>
    where
        T: Serialize,
    {
        let document = bson::serialize_to_raw_document_buf(document).map_err(Error::internal)?;
        let collection = self.with_type::<RawDocumentBuf>();
        let insert = |documents: mongodb::Collection<RawDocumentBuf>| async move {
            match documents.insert_one(document).await {
                Ok(_) => Ok(true),
                Err(error) if is_duplicate(&error) => Ok(false),
                Err(error) => Err(error),
            }
        };
        collection.run(name, insert).await
    }

    /// The document of an id.
    ///
    /// # Errors
    /// As [`Collection::run`].
    pub async fn find(&self, name: &'static str, id: &impl ToString) -> Result<Option<T>, Error>
    where
        T: DeserializeOwned + 'static,
    {
        let filter = by_id(id);
        self.run(
            name,
            |documents| async move { documents.find_one(filter).await },
        )
        .await
    }

    /// Replaces the document of an id; `false` when there is none.
    ///
    /// # Errors
    /// As [`Collection::run`].
    pub async fn replace(
        &self,
        name: &'static str,
        id: &impl ToString,
        document: &T,
    ) -> Result<bool, Error>
    where
        T: Serialize,
    {
        let filter = by_id(id);
        let document = bson::serialize_to_raw_document_buf(document).map_err(Error::internal)?;
        let collection = self.with_type::<RawDocumentBuf>();
        let replaced = collection.run(name, |documents| async move {
            documents.replace_one(filter, document).await
        });
        Ok(replaced.await?.matched_count > 0)
    }

    /// Sets members of the document of an id, and leaves the others as they are, whoever changes
    /// those meanwhile, where the store has atomic updates; `false` when there is none.
    ///
    /// # Errors
    /// As [`Collection::run`].
    pub async fn set(
        &self,
        name: &'static str,
        id: &impl ToString,
        members: Document,
    ) -> Result<bool, Error>
    where
        T: 'static,
    {
        let filter = by_id(id);
        let set = doc! { "$set": members };
        let changed = self.run(name, |documents| async move {
            documents.update_one(filter, set).await
        });
        Ok(changed.await?.matched_count > 0)
    }

    /// Removes the document of an id; `false` when there is none.
    ///
    /// # Errors
    /// As [`Collection::run`].
    pub async fn remove(&self, name: &'static str, id: &impl ToString) -> Result<bool, Error>
    where
        T: 'static,
    {
        let filter = by_id(id);
        let removed = self.run(name, |documents| async move {
            documents.delete_one(filter).await
        });
        Ok(removed.await?.deleted_count > 0)
    }
}

impl Limits {
    async fn run<R: Send + 'static>(
        &self,
        name: &'static str,
        patience: Duration,
        operation: impl Future<Output = mongodb::error::Result<R>> + Send + 'static,
    ) -> Result<R, Error> {
        let started = Instant::now();
        self.asked.fetch_add(1, Ordering::Relaxed);
        let result = timeout_at(started + patience, self.finish(name, operation)).await;
        stores::operation("documents", name, started.elapsed());
        result.unwrap_or_else(|_| Err(too_slow(name)))
    }

    /// Waits for a turn, which ends with the caller, then for the operation, which does not.
    async fn finish<R: Send + 'static>(
        &self,
        name: &'static str,
        operation: impl Future<Output = mongodb::error::Result<R>> + Send + 'static,
    ) -> Result<R, Error> {
        let span = tracing::info_span!(
            "db",
            otel.name = format!("db.{name}"),
            otel.kind = "client",
            db.system = "mongodb"
        );
        let turn = Arc::clone(&self.turns).acquire_owned();
        let turn = turn.await.map_err(Error::internal)?;
        let work = async move {
            let result = timeout(GIVEN_UP, operation).await;
            drop(turn);
            result
        };
        let result = self.tasks.spawn(work.instrument(span)).await;
        match result.map_err(Error::internal)? {
            Ok(result) => Ok(result?),
            Err(_) => Err(too_slow(name)),
        }
    }
}
