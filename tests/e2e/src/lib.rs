//! What the whole mesh promises, proved through its ingress: one claim a file.
//!
//! `tests/it` runs its claims side by side. `tests/faults` breaks things, one after the other,
//! and is a binary of its own so that nothing else runs meanwhile. Both need `cargo mesh test`.
