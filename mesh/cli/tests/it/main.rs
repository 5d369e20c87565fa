//! `cargo mesh` itself, on a mesh of its own: a real one, with everything that runs.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod budget;
mod demo;
mod everyday;
mod lifecycle;
mod own_mesh;
mod rotation;
