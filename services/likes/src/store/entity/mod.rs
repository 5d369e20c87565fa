//! The tables.

pub(crate) mod like;
pub(crate) mod notice;
pub(crate) mod post;
