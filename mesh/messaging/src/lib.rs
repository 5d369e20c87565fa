//! Events that survive anything: from the transaction of a change, over RabbitMQ, into the
//! transaction of its effect.
//!
//! - [`Event`] is a payload with a type; it travels as an [`Envelope`], a `CloudEvent` in JSON.
//! - [`Outbox`] writes it in the transaction of its change; a relay publishes it, in the order of
//!   its subject, and forgets it when the broker has it on disk.
//! - [`Consumer`] calls a handler; with [`inbox::once`] in the transaction of the effect, the
//!   effect happens once however often the event is delivered.
//! - What fails waits and is tried again, five times in all; then it is a dead letter, with the
//!   reason ([`dead_letters`]). The queue moves on meanwhile.
//!
//! An event that no queue is bound for at the moment it is published reaches nobody: consumers
//! that are added later have to learn the past otherwise.

mod backoff;
mod broker;
mod consumer;
pub mod dead_letters;
mod delivery;
mod event;
pub mod events;
pub mod failpoint;
mod failure;
pub mod inbox;
mod metrics;
pub mod outbox;
mod publish;
mod relay;
mod session;
mod topology;
mod trace;

pub use broker::{Broker, Settings};
pub use consumer::{Consumer, Received};
pub use event::{Envelope, Event, Poison};
pub use failure::Failure;
pub use outbox::Outbox;
pub use topology::{EXCHANGE, dead_name, queue_name};
