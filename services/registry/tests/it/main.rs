//! `registry` in process, over a real Consul.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod consul;
mod heartbeats;
mod helpers;
mod listing;
mod names;
mod remote;
