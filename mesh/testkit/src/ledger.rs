//! What a service acknowledged is kept: the same tests for every service, by its store.

use std::sync::{Arc, Mutex};

use chassis::Service;
use serde_json::Value;

use crate::{
    Reply, TestService, disk::SmallDisk, documents::DocumentStore, eventually,
    stores::SmallPostgres,
};

/// Writes at most until the disk is full.
const MANY: usize = 5_000;
/// Refusals in a row that show that it is.
const REFUSALS: usize = 20;
/// Writes after that, or of each of two instances.
const MORE: usize = 20;
/// How often a store is killed, and how many write meanwhile.
const KILLS: usize = 3;
const WRITERS: usize = 4;
/// What is left for a start, in bytes: more than one write takes, less than many.
const LEFT: u64 = 256 * 1024;

/// Fills the disk under a service with a SQLite store, and frees it again: what was not acknowledged was refused by
/// 503, the instance is not ready meanwhile and heals by itself, and what was acknowledged is there after a restart.
///
/// `write` makes one thing of that number; `kept` looks for what was answered so.
///
/// # Panics
/// When it is not so.
pub async fn survives_a_full_disk<S, W, K>(flags: &[&str], write: W, kept: K)
where
    S: Service,
    W: AsyncFn(&TestService<S>, usize) -> Reply,
    K: AsyncFn(&TestService<S>, &Value) -> bool,
{
    let disk = SmallDisk::new(8);
    let folder = disk.folder();
    let service = TestService::<S>::start_in(Arc::clone(&folder), flags).await;
    let ledger = written_around_a_full_disk(&disk, &service, &write).await;
    service.stop().await;
    let again = TestService::<S>::start_in(folder, flags).await;
    all_are_kept(&again, &ledger, &kept).await;
    again.stop().await;
}

/// As [`survives_a_full_disk`], for a database of Postgres whose tables are on a small disk; `flag` is the service's
/// for its URL.
///
/// # Panics
/// When it is not so.
pub async fn survives_a_full_postgres<S, W, K>(flag: &str, flags: &[&str], write: W, kept: K)
where
    S: Service,
    W: AsyncFn(&TestService<S>, usize) -> Reply,
    K: AsyncFn(&TestService<S>, &Value) -> bool,
{
    let database = SmallPostgres::create(32).await;
    let url = database.url();
    let flags = [&[flag, &url], flags].concat();
    let service = TestService::<S>::start(&flags).await;
    let ledger = written_around_a_full_disk(database.disk(), &service, &write).await;
    service.stop().await;
    let again = TestService::<S>::start(&flags).await;
    all_are_kept(&again, &ledger, &kept).await;
    again.stop().await;
}

/// As [`survives_a_full_disk`], for the embedded document store, which is killed at the end.
///
/// # Panics
/// When it is not so.
pub async fn survives_a_full_document_store<S, W, K>(flags: &[&str], write: W, kept: K)
where
    S: Service,
    W: AsyncFn(&TestService<S>, usize) -> Reply,
    K: AsyncFn(&TestService<S>, &Value) -> bool,
{
    let disk = SmallDisk::new(16);
    let mut store = DocumentStore::start_in(disk.folder());
    let service = TestService::<S>::start(&store.flags(flags)).await;
    let ledger = written_around_a_full_disk(&disk, &service, &write).await;
    service.stop().await;
    store.kill();
    store.restart();
    let again = TestService::<S>::start(&store.flags(flags)).await;
    all_are_kept(&again, &ledger, &kept).await;
    again.stop().await;
}

/// Kills the document store under a service that writes, time after time: what was acknowledged is there, the rest was
/// refused by 503.
///
/// # Panics
/// When it is not so.
pub async fn survives_kills_of_the_document_store<S, W, K>(flags: &[&str], write: W, kept: K)
where
    S: Service,
    W: AsyncFn(&TestService<S>, usize) -> Reply,
    K: AsyncFn(&TestService<S>, &Value) -> bool,
{
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut store = DocumentStore::start_in(Arc::new(folder));
    let service = TestService::<S>::start(&store.flags(flags)).await;
    let ledger = Mutex::new(Vec::new());
    let acknowledged = || ledger.lock().map(|ledger| ledger.len()).unwrap_or_default();
    for life in 1..=KILLS {
        let writing = (0..WRITERS).map(async |writer| {
            for number in 0.. {
                let number = (life * WRITERS + writer) * MANY + number;
                let reply = write(&service, number).await;
                if !(200..300).contains(&reply.status) {
                    reply.problem(503);
                    assert_ne!(reply.header("retry-after"), "", "{}", reply.text);
                    return;
                }
                ledger.lock().expect("no writer failed").push(reply.json);
            }
        });
        let enough = acknowledged() + WRITERS * MORE;
        let killing = async {
            eventually("writes", || async {
                let now = acknowledged();
                (now >= enough).then_some(()).ok_or(format!("{now}"))
            })
            .await;
            store.kill();
        };
        tokio::join!(futures_util::future::join_all(writing), killing);
        store.restart();
        readiness_becomes(&service, true).await;
    }
    let ledger = ledger.into_inner().expect("no writer failed");
    all_are_kept(&service, &ledger, &kept).await;
    service.stop().await;
}

/// Writes until the disk is full, and more when it has space again: what was acknowledged.
async fn written_around_a_full_disk<S, W>(
    disk: &SmallDisk,
    service: &TestService<S>,
    write: &W,
) -> Vec<Value>
where
    S: Service,
    W: AsyncFn(&TestService<S>, usize) -> Reply,
{
    disk.fill(LEFT);
    let mut ledger = Vec::new();
    let mut refused = 0;
    for number in 0..MANY {
        let reply = write(service, number).await;
        if (200..300).contains(&reply.status) {
            ledger.push(reply.json);
            refused = 0;
            continue;
        }
        reply.problem(503);
        assert_ne!(reply.header("retry-after"), "", "{}", reply.text);
        refused += 1;
        if refused == REFUSALS {
            break;
        }
    }
    assert_eq!(refused, REFUSALS, "the disk did not become full");
    assert!(!ledger.is_empty(), "the disk was full from the start");
    readiness_becomes(service, false).await;
    disk.free();
    readiness_becomes(service, true).await;
    for number in MANY..MANY + MORE {
        let reply = write(service, number).await;
        assert!((200..300).contains(&reply.status), "{}", reply.text);
        ledger.push(reply.json);
    }
    ledger
}

/// Two instances over one file write at once: each write is acknowledged, and kept.
///
/// # Panics
/// When it is not so.
pub async fn holds_with_two_instances<S, W, K>(flags: &[&str], write: W, kept: K)
where
    S: Service,
    W: AsyncFn(&TestService<S>, usize) -> Reply,
    K: AsyncFn(&TestService<S>, &Value) -> bool,
{
    let one = TestService::<S>::start(flags).await;
    let other = TestService::<S>::start_in(one.data(), flags).await;
    let (one_ref, other_ref, write) = (&one, &other, &write);
    let writes = (0..2 * MORE).map(|number| async move {
        let service = if number % 2 == 0 { one_ref } else { other_ref };
        write(service, number).await
    });
    let replies = futures_util::future::join_all(writes).await;
    let ledger: Vec<Value> = replies
        .into_iter()
        .map(|reply| {
            assert!((200..300).contains(&reply.status), "{}", reply.text);
            reply.json
        })
        .collect();
    all_are_kept(&one, &ledger, &kept).await;
    all_are_kept(&other, &ledger, &kept).await;
    other.stop().await;
    one.stop().await;
}

async fn all_are_kept<S, K>(service: &TestService<S>, ledger: &[Value], kept: &K)
where
    S: Service,
    K: AsyncFn(&TestService<S>, &Value) -> bool,
{
    for answer in ledger {
        let kept = kept(service, answer).await;
        assert!(kept, "of {} this is lost: {answer}", ledger.len());
    }
}

async fn readiness_becomes<S: Service>(service: &TestService<S>, wanted: bool) {
    eventually("readiness follows the disk", || async {
        let ready = service.readiness().await;
        if ready.is_ok() == wanted {
            Ok(())
        } else {
            Err(format!("{ready:?}"))
        }
    })
    .await;
}
