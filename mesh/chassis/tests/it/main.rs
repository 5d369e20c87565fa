//! The server under Warp, with a service that does nothing but let itself be tested.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod bounds;
#[cfg(feature = "sql")]
mod database;
mod docs;
#[cfg(feature = "documents")]
mod documents;
mod echo;
mod forms;
mod listening;
#[cfg(all(feature = "sql", feature = "documents"))]
mod operations;
#[cfg(feature = "redis")]
mod redis;
mod requests;
#[cfg(feature = "sql")]
mod schemas;
#[cfg(feature = "sql")]
mod shelf;
mod shutdown;
mod workers;
