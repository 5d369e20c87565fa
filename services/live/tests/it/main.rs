//! `live` in process: two instances, a Redis of its own, and a `discussions` of the test.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod comments;
mod ends;
mod fan_out;
mod limits;
mod polling;
mod rooms;
mod socketio;
mod socketio_client;
mod world;
