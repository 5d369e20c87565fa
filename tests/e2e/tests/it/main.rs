//! Claims that leave the mesh whole, side by side.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod acl;
mod bad_input;
mod discovery;
mod discussions;
mod identity;
mod intentions;
mod metrics;
mod mtls;
mod ownership;
mod tokens;
mod traces;
mod users;
