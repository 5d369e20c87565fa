//! What there is at the broker, in one place: consumers declare it, and `cargo mesh generate` writes it down for brokers to
//! load before anybody may connect. Everything is durable.
//!
//! | name | what |
//! | --- | --- |
//! | `plaza.events` | topic exchange of all events; the routing key is the event's type |
//! | `<service>.queues` | direct exchange to the queues of one service; the routing key is the queue |
//! | `<service>.<consumer>` | quorum queue of one consumer, bound to the types that it handles |
//! | `<service>.<consumer>.dead` | quorum queue of what it could not handle, with the reason |
//! | `<service>.retry.<milliseconds>` | fanout exchange and quorum queue: an event waits there, then goes back to its queue |
//!
//! All but the first belongs to one service, by its name: the broker lets no other touch it.
//!
//! Queues that wait or die dead-letter at least once, so that no event is lost on its way between two queues either.

use serde::Serialize;
use serde_json::{Map, Value, json};

/// The exchange of all events.
pub const EXCHANGE: &str = "plaza.events";

/// How often the broker itself delivers one message before it gives up: a message that kills its
/// consumer every time comes here, and failures that are handled do not count. RabbitMQ 3.10 has
/// no limit of its own, RabbitMQ 4 has 20 and drops what is over it where no one says otherwise.
pub const DELIVERY_LIMIT: i32 = 20;

/// Arguments of a queue, as the broker knows them.
pub type Arguments = Map<String, Value>;

/// What a consumer of a service wants to hear. It is part of the service's description, so that its queue is there before
/// anybody publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Subscription {
    /// The name of the consumer: `<service>.<name>` is its queue.
    pub name: &'static str,
    /// The types of events that it handles.
    pub events: &'static [&'static str],
    /// The types that an earlier version handled.
    pub dropped: &'static [&'static str],
    /// Whether all instances share the events, whose order is lost by that.
    pub shared: bool,
}

impl Subscription {
    /// A consumer that gets events of these types in their order: one instance at a time.
    pub const fn new(name: &'static str, events: &'static [&'static str]) -> Self {
        Self {
            name,
            events,
            dropped: &[],
            shared: false,
        }
    }

    /// Lets all instances share the events.
    #[must_use]
    pub const fn shared(mut self) -> Self {
        self.shared = true;
        self
    }

    /// Ends the interest in types that an earlier version handled.
    #[must_use]
    pub const fn no_longer(mut self, events: &'static [&'static str]) -> Self {
        self.dropped = events;
        self
    }
}

/// The name of the queue of consumer `consumer` of `service`.
pub fn queue_name(service: &str, consumer: &str) -> String {
    format!("{service}.{consumer}")
}

/// The name of the dead letters of a queue.
pub fn dead_name(queue: &str) -> String {
    format!("{queue}.dead")
}

/// The name of the exchange to the queues of a service.
pub fn own_exchange(service: &str) -> String {
    format!("{service}.queues")
}

/// The name of the exchange and of the queue in which events of a service wait.
pub fn retry_name(service: &str, milliseconds: u128) -> String {
    format!("{service}.retry.{milliseconds}")
}

/// Arguments of the queue of a consumer; `exchange` leads to its dead letters. With `ordered`, one instance at a time gets the
/// events.
pub fn consumer_arguments(exchange: &str, dead: &str, ordered: bool) -> Arguments {
    let mut arguments = onward_to(exchange);
    arguments.insert("x-dead-letter-routing-key".to_owned(), json!(dead));
    arguments.insert("x-delivery-limit".to_owned(), json!(DELIVERY_LIMIT));
    arguments.insert("x-single-active-consumer".to_owned(), json!(ordered));
    arguments
}

/// Arguments of a queue of dead letters. Looking at them counts as delivering them, and shall never be the end of them.
pub fn dead_arguments() -> Arguments {
    let mut arguments = quorum();
    arguments.insert("x-delivery-limit".to_owned(), json!(i32::MAX));
    arguments
}

/// Arguments of a queue in which events wait; then `exchange` leads them to the queue that their routing key names.
pub fn retry_arguments(exchange: &str, milliseconds: u32) -> Arguments {
    let mut arguments = onward_to(exchange);
    arguments.insert("x-message-ttl".to_owned(), json!(milliseconds));
    arguments
}

fn onward_to(exchange: &str) -> Arguments {
    let mut arguments = quorum();
    arguments.insert("x-dead-letter-exchange".to_owned(), json!(exchange));
    arguments.insert("x-dead-letter-strategy".to_owned(), json!("at-least-once"));
    // At least once needs it; without a length there is nothing to reject.
    arguments.insert("x-overflow".to_owned(), json!("reject-publish"));
    arguments
}

fn quorum() -> Arguments {
    Map::from_iter([("x-queue-type".to_owned(), json!("quorum"))])
}
