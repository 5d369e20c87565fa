//! `polls` in process, on each document store there is: one suite, run on all.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod bad_input;
mod farewell;
mod figures;
mod helpers;
mod kept;
mod polls;
mod votes;
