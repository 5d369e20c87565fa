//! Claims that leave the mesh whole, side by side.

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
