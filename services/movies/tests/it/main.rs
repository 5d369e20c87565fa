//! `movies` in process, on SQLite and on Postgres: one suite, run on both.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod bad_input;
mod cache;
mod cursors;
mod events;
mod farewell;
mod figures;
mod helpers;
mod kept;
mod lists;
mod movies;
mod repeats;
mod reviews;
mod search;
mod status;
mod together;
