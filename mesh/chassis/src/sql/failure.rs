//! What a failure of the store means.

use std::sync::atomic::{AtomicU64, Ordering};

use sea_orm::{DbErr, RuntimeErr, sqlx};

use crate::Error;

/// How often the disk failed a store of this process. Others than the one it failed only ask theirs
/// once more.
static OF_THE_DISK: AtomicU64 = AtomicU64::new(0);

/// How often the disk has failed: it is full, or broken.
pub(super) fn of_the_disk() -> u64 {
    OF_THE_DISK.load(Ordering::Acquire)
}

/// Counts a failure, if it is the disk's. Twice does no harm.
pub(super) fn notice(error: &DbErr) {
    if is_of_the_disk(error) {
        OF_THE_DISK.fetch_add(1, Ordering::AcqRel);
    }
}

/// To the caller: 503 when the same may work in a moment, else 500.
impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        if is_of_the_disk(&error) {
            notice(&error);
            Self::unavailable("The store cannot keep anything at the moment; try again later")
                .caused_by(error)
        } else if is_of_a_value(&error) {
            Self::malformed("A value is none that can be kept or looked for").caused_by(error)
        } else if passes(&error) {
            Self::unavailable("The store does not answer; try again").caused_by(error)
        } else {
            Self::internal(error)
        }
    }
}

/// Whether the disk is full, broken or cannot be written.
fn is_of_the_disk(error: &DbErr) -> bool {
    database_code(error).is_some_and(|code| is_disk(&code))
}

fn is_disk(code: &str) -> bool {
    const READ_ONLY: u32 = 8;
    const IO: u32 = 10;
    const FULL: u32 = 13;
    const CANNOT_OPEN: u32 = 14;
    match class(code) {
        Some(class) => matches!(class, READ_ONLY | IO | FULL | CANNOT_OPEN),
        None => ["53100", "58030"].contains(&code),
    }
}

/// Whether a value is one that only the other store takes: a text with NUL, a time or a number
/// beyond all bounds.
fn is_of_a_value(error: &DbErr) -> bool {
    const NONE_SUCH: [&str; 3] = ["22003", "22008", "22021"];
    database_code(error).is_some_and(|code| NONE_SUCH.contains(&&*code))
}

/// Whether the store is out of reach, or says itself that the same would have worked at another
/// moment: it starts or stops, has no connection or lock left, or chose this transaction to end a
/// deadlock.
fn passes(error: &DbErr) -> bool {
    if matches!(error, DbErr::ConnectionAcquire(_) | DbErr::Conn(_)) {
        return true;
    }
    match cause(error) {
        Some(
            sqlx::Error::Io(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed,
        ) => true,
        Some(sqlx::Error::Database(error)) => error.code().is_some_and(|code| is_passing(&code)),
        _ => false,
    }
}

/// What the store itself calls the failure.
fn database_code(error: &DbErr) -> Option<std::borrow::Cow<'_, str>> {
    cause(error)?.as_database_error()?.code()
}

fn cause(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Exec(RuntimeErr::SqlxError(cause))
        | DbErr::Query(RuntimeErr::SqlxError(cause))
        | DbErr::Conn(RuntimeErr::SqlxError(cause)) => Some(cause),
        _ => None,
    }
}

fn is_passing(code: &str) -> bool {
    const BUSY: u32 = 5;
    const LOCKED: u32 = 6;
    if let Some(class) = class(code) {
        return matches!(class, BUSY | LOCKED);
    }
    let classes = ["08", "40", "53", "55P03", "57P"];
    classes.iter().any(|class| code.starts_with(class))
}

/// The class of an error of SQLite, the last byte of its number; `None` for Postgres, whose codes
/// have five characters.
fn class(code: &str) -> Option<u32> {
    let number = (code.len() != 5).then(|| code.parse::<u32>().ok());
    number.map(|number| number.unwrap_or_default() & 0xff)
}

#[cfg(test)]
mod tests {
    use sea_orm::{ConnectionTrait as _, Database, Statement};

    use super::*;
    use crate::Code;

    #[test]
    fn what_passes_by_itself_is_told_from_what_does_not() {
        for code in [
            "08006", "40001", "40P01", "53300", "55P03", "57P01", "57P03", "5", "6", "517",
        ] {
            assert!(is_passing(code), "{code}");
        }
        for code in ["23505", "22021", "57014", "1", "2067", ""] {
            assert!(!is_passing(code), "{code}");
        }
    }

    #[test]
    fn a_store_that_is_away_is_no_bug_of_ours() {
        let away = DbErr::Conn(RuntimeErr::Internal("refused".into()));
        assert_eq!(Error::from(away).code(), Code::Unavailable);
        let broken = DbErr::Custom("no such table".into());
        assert_eq!(Error::from(broken).code(), Code::Internal);
    }

    #[test]
    fn a_full_or_broken_disk_is_told_from_other_failures() {
        for code in ["13", "10", "778", "4874", "8", "14", "53100", "58030"] {
            assert!(is_disk(code), "{code}");
        }
        for code in ["5", "19", "2067", "11", "53200", "23505", ""] {
            assert!(!is_disk(code), "{code}");
        }
    }

    #[tokio::test]
    async fn a_value_that_only_one_store_takes_is_the_callers_mistake() {
        let store = Database::connect(testkit::stores::postgres().await);
        let store = store.await.unwrap();
        let backend = store.get_database_backend();
        for (sql, value) in [
            ("SELECT $1::text AS x", "a\0b".into()),
            ("SELECT $1::int8::int2 AS x", i64::MAX.into()),
        ] {
            let statement = Statement::from_sql_and_values(backend, sql, [value]);
            let refused = store.query_one_raw(statement).await.unwrap_err();
            assert_eq!(Error::from(refused).code(), Code::Malformed, "{sql}");
        }
    }

    /// What Postgres says to those who are connected when it stops.
    #[tokio::test]
    async fn d4_a_postgres_that_stops_is_answered_503_with_retry_after() {
        let store = Database::connect(testkit::stores::postgres().await);
        let store = store.await.unwrap();
        let ended = store
            .execute_unprepared("SELECT pg_terminate_backend(pg_backend_pid())")
            .await;
        let answer = Error::from(ended.unwrap_err()).into_response();
        assert_eq!(answer.status(), 503);
        assert!(answer.headers().contains_key("retry-after"));
    }
}
