//! `users` in process, on SQLite and on Postgres: one suite, run on both.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod accounts;
mod bad_input;
mod cursors;
mod deletion;
mod deletion_rounds;
mod environment;
mod events;
mod floods;
mod follows;
mod grpc;
mod guessing;
mod helpers;
mod kept;
mod login;
mod market;
mod profiles;
mod texts;
mod tokens;
