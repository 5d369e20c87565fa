//! `users` in process, on SQLite and on Postgres: one suite, run on both.

mod accounts;
mod bad_input;
mod follows;
mod grpc;
mod helpers;
mod login;
mod profiles;
mod tokens;
