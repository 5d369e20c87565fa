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
//! ```
//! # extern crate mesh_messaging as messaging;
//! use messaging::{Broker, Consumer, Failure, Outbox, Received, events::UserFollowed, inbox};
//! use chassis::sql::Database;
//!
//! /// One side: the change and its event are committed together.
//! async fn follow(store: &Database, outbox: &Outbox) -> Result<(), chassis::Error> {
//!     let transaction = store.begin().await?;
//!     // … the change …
//!     let event = UserFollowed { follower_id: 1, followee_id: 2, version: None };
//!     outbox.insert(&transaction, &event).await?;
//!     outbox.commit(transaction).await
//! }
//!
//! /// The other side: the effect and the note that it happened are committed together.
//! async fn effect(store: Database, event: Received<UserFollowed>) -> Result<(), Failure> {
//!     let transaction = store.begin().await?;
//!     if inbox::once(&transaction, "follows", &event.id).await? {
//!         // … the effect …
//!     }
//!     Ok(transaction.commit().await?)
//! }
//!
//! /// Both begin when their service is built; migrators list `outbox::Migration`, `inbox::Migration`.
//! async fn build(broker: &Broker, store: &Database, context: &chassis::Context) -> Outbox {
//!     let own = store.clone();
//!     let consumer = Consumer::new("follows").on(move |event| effect(own.clone(), event));
//!     consumer.start(broker, context).await;
//!     Outbox::start(broker, store, context)
//! }
//! ```
//!
//! **Events that reach nobody.** An event that no queue is bound for at the moment it is published
//! is gone (`events_unrouted_total` counts it). So a service says in its description what it
//! consumes ([`Subscription`]), `cargo mesh generate` writes the queues of all into
//! `stores/rabbitmq.json`, and the broker loads that before anybody may connect. Consumers that are
//! added later have to learn the past otherwise.
//!
//! What is measured is listed in `src/metrics.rs`; `docs/adr/0018-events.md` tells why it is like this.

mod backoff;
mod broker;
mod consumer;
pub mod dead_letters;
mod declare;
mod delivery;
#[cfg(feature = "documents")]
pub mod documents;
mod event;
pub mod events;
pub mod failpoint;
mod failure;
pub mod farewell;
pub mod inbox;
mod metrics;
pub mod outbox;
mod publish;
mod relay;
mod session;
mod trace;

pub use broker::{Broker, Settings};
pub use consumer::{Consumer, Received, declare, declared};
pub use event::{Envelope, Event, Poison};
pub use failure::Failure;
pub use outbox::Outbox;
pub use topology::{EXCHANGE, Subscription, dead_name, queue_name};
