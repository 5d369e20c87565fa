//! `items` in process, on each document store there is: one suite, run on all.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod bad_input;
mod buying;
mod crashes;
mod cursors;
mod events;
mod farewell;
mod figures;
mod helpers;
mod items;
mod kept;
mod removed;
mod repeats;
mod sellers;
