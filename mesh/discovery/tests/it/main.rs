//! Consul itself, a real one for each test.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod catalog;
mod lease;
mod watch;
