//! The tables.

pub(crate) mod catalogue;
pub(crate) mod movie;
pub(crate) mod review;
