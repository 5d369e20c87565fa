//! JSON from outside, read so that what does not fit is told by its place alone.
//!
//! serde's own messages say the value back (a password that is a number, a body that is a text) and name types of
//! this program. A [`Misfit`] names the member and what belongs there, in JSON's words, and never what was sent: it
//! may go into an answer, a log, a trace and a dead letter. `docs/adr/0038` says why.

mod fields;
mod misfit;
mod read;
mod tree;

pub use misfit::Misfit;
pub use read::{from_slice, from_str, from_value, whole};

pub(crate) use fields::Fields;

#[cfg(test)]
mod tests;
