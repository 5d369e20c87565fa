//! The tables.

pub(crate) mod follow;
pub(crate) mod revocation;
pub(crate) mod signing_key;
pub(crate) mod user;
