//! `notifications` in process and as a process, with a mail server that does what a test says.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod bad_input;
mod crashes;
mod cursors;
mod delivery;
mod events;
mod farewell;
mod helpers;
mod kept;
mod people;
mod send;
mod smtp;
