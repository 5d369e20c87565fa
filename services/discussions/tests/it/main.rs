//! `discussions` in process, on each document store there is: one suite, run on all.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod authors;
mod bad_input;
mod comments;
mod cursors;
mod events;
mod farewell;
mod figures;
mod grpc;
mod helpers;
mod instances;
mod kept;
mod paging;
mod posts;
mod removed;
mod repeats;
mod stores;
mod told;
mod topics;
