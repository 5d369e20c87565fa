//! The tables.

pub(crate) mod attempt;
pub(crate) mod deletion;
pub(crate) mod farewell;
pub(crate) mod follow;
pub(crate) mod follow_version;
pub(crate) mod known_network;
pub(crate) mod revocation;
pub(crate) mod signing_key;
pub(crate) mod user;
