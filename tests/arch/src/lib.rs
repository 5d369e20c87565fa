//! Rules that no lint knows: who may name what, and that tables and folders agree.
//!
//! Which crate may depend on which is checked by `cargo mesh check`.
