//! The server under Warp, with a service that does nothing but let itself be tested.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod bounds;
mod echo;
mod requests;
mod shutdown;
