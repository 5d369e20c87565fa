//! The tables.

pub(crate) mod follow;
pub(crate) mod job;
pub(crate) mod post;
pub(crate) mod reader;
pub(crate) mod star;
