//! `timelines` in process, on SQLite and on Postgres: one suite, run on both.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod bad_input;
mod cursors;
mod environment;
mod farewell;
mod figures;
mod grpc;
mod helpers;
mod home;
mod jobs;
mod kept;
mod offsets;
mod posts;
mod redis;
mod teller;
