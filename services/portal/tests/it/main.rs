//! The portal before a Consul that says what the test wants.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod clients;
mod consul;
mod documents;
mod figures;
mod root;
