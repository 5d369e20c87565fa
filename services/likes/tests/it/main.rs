//! `likes` in process, on SQLite and on Postgres, with Redis and without: one suite, run on each.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod bad_input;
mod cursors;
mod farewell;
mod figures;
mod helpers;
mod kept;
mod likes;
mod lists;
mod notices;
mod peers;
mod redis;
mod validation;
