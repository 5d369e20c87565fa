//! What a failure of the store means.

use sea_orm::{DbErr, RuntimeErr, sqlx};

use crate::Error;

/// To the caller: 503 when the same may work in a moment, else 500.
impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        if passes(&error) {
            Self::unavailable("The store does not answer; try again").caused_by(error)
        } else {
            Self::internal(error)
        }
    }
}

/// Whether the store is out of reach, or says itself that the same would have worked at another
/// moment: it starts or stops, has no connection or lock left, or chose this transaction to end a
/// deadlock.
fn passes(error: &DbErr) -> bool {
    let cause = match error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => return true,
        DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause)) => {
            cause
        }
        _ => return false,
    };
    match &**cause {
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| is_passing(&code)),
        _ => false,
    }
}

fn is_passing(code: &str) -> bool {
    const BUSY: u32 = 5;
    const LOCKED: u32 = 6;
    // Postgres has five characters, SQLite a number whose last byte is the class.
    if code.len() == 5 {
        let classes = ["08", "40", "53", "55P03", "57P"];
        return classes.iter().any(|class| code.starts_with(class));
    }
    code.parse::<u32>()
        .is_ok_and(|code| matches!(code & 0xff, BUSY | LOCKED))
}

#[cfg(test)]
mod tests {
    use sea_orm::{ConnectionTrait as _, Database};

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
