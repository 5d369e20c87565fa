//! The server under Warp, with a service that does nothing but let itself be tested.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod bounds;
mod docs;
#[cfg(feature = "documents")]
mod documents;
mod echo;
mod listening;
#[cfg(all(feature = "sql", feature = "documents"))]
mod operations;
#[cfg(feature = "redis")]
mod redis;
mod requests;
mod shutdown;
mod workers;
