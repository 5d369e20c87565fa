//! Events between processes that die: on a real broker, with SQLite and Postgres.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod broker;
mod chaos;
mod children;
mod consumers;
mod crashes;
mod dead_letters;
mod defined;
#[cfg(feature = "documents")]
mod documents;
mod door;
mod farewells;
mod figures;
mod helpers;
mod hostile;
mod outage;
mod rabbit;
mod stranger;
mod traces;
