//! The tables.

pub(crate) mod notification;
pub(crate) mod sender;
