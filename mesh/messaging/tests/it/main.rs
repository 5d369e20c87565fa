//! Events between processes that die: on a real broker, with SQLite and Postgres.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod broker;
mod consumers;
mod crashes;
mod dead_letters;
mod figures;
mod helpers;
mod rabbit;
mod traces;
