//! What a failure of the document store means.

use std::sync::atomic::{AtomicU64, Ordering};

use mongodb::error::{Error as Failure, ErrorKind, WriteFailure};

use crate::Error;

/// The server's code for an `_id`, or another unique value, that is taken.
const DUPLICATE_KEY: i32 = 11_000;
/// The embedded store's code for whatever its own store said.
const INTERNAL: i32 = 1;
/// MongoDB's code for a disk without space.
const OUT_OF_DISK_SPACE: i32 = 14_031;

/// How often the disk failed a document store of this process.
static OF_THE_DISK: AtomicU64 = AtomicU64::new(0);

/// How often the disk has failed: it is full, or broken.
pub(super) fn of_the_disk() -> u64 {
    OF_THE_DISK.load(Ordering::Acquire)
}

pub(super) fn is_duplicate(error: &Failure) -> bool {
    matches!(
        *error.kind,
        ErrorKind::Write(WriteFailure::WriteError(ref failure)) if failure.code == DUPLICATE_KEY
    )
}

/// To the caller: 503 when the same may work in a moment, else 500.
impl From<Failure> for Error {
    fn from(error: Failure) -> Self {
        let away = matches!(
            *error.kind,
            ErrorKind::ServerSelection { .. }
                | ErrorKind::Io(_)
                | ErrorKind::ConnectionPoolCleared { .. }
        );
        if away {
            Self::unavailable("The store does not answer; try again").caused_by(error)
        } else if is_of_the_disk(&error) {
            OF_THE_DISK.fetch_add(1, Ordering::AcqRel);
            Self::unavailable("The store cannot keep anything at the moment; try again later")
                .caused_by(error)
        } else {
            Self::internal(error)
        }
    }
}

/// Whether the disk of the store is full, broken or cannot be written.
fn is_of_the_disk(error: &Failure) -> bool {
    match &*error.kind {
        ErrorKind::Command(failure) => is_disk(failure.code, &failure.message),
        ErrorKind::Write(WriteFailure::WriteError(failure)) => {
            is_disk(failure.code, &failure.message)
        }
        ErrorKind::Write(WriteFailure::WriteConcernError(failure)) => {
            is_disk(failure.code, &failure.message)
        }
        _ => false,
    }
}

/// The embedded store has one code for all failures, and says at the end what its own store said: SQLite's number of
/// the error (`READONLY`, `IOERR`, `FULL`, `CANTOPEN`), of which the last byte is the class, or Postgres' code.
fn is_disk(code: i32, message: &str) -> bool {
    if code == OUT_OF_DISK_SPACE || message.contains("No space left on device") {
        return true;
    }
    if code != INTERNAL {
        return false;
    }
    let end = message.rsplit_once('(').map_or("", |(_, end)| end);
    let said = end.trim_end_matches(')').trim_start_matches("SQLSTATE ");
    match said.parse::<u32>() {
        Ok(53_100 | 58_030) => true,
        Ok(number) => matches!(number & 0xff, 8 | 10 | 13 | 14),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_disk;

    #[test]
    fn a_full_or_broken_disk_is_told_from_other_failures() {
        for (code, message) in [
            (
                1,
                "[db.go:167 fsql.(*DB).InTransaction] database or disk is full (13)",
            ),
            (1, "[collection.go:105] disk I/O error (778)"),
            (
                1,
                "[x] ERROR: could not extend file \"base/1\": No space left on device (SQLSTATE 53100)",
            ),
            (1, "[x] ERROR: could not extend file (SQLSTATE 53100)"),
            (
                14_031,
                "Available disk space of 1 bytes is less than required minimum",
            ),
        ] {
            assert!(is_disk(code, message), "{message}");
        }
        for (code, message) in [
            (1, "[x] database is locked (5)"),
            (1, "[x] ERROR: too many connections (SQLSTATE 53300)"),
            (1, "context canceled"),
            (2, "a filter that ends with (13)"),
            (11_000, "E11000 duplicate key error collection: x.y"),
        ] {
            assert!(!is_disk(code, message), "{message}");
        }
    }
}
