//! The server under Warp, with a service that does nothing but let itself be tested.

mod bounds;
mod echo;
mod requests;
mod shutdown;
