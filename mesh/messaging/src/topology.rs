//! What there is at the broker. Everything is durable, and declared again with every connection.
//!
//! | name | what |
//! | --- | --- |
//! | `plaza.events` | topic exchange; the routing key is the event's type |
//! | `<service>.<consumer>` | quorum queue of one consumer, bound to the types it handles |
//! | `<service>.<consumer>.dead` | quorum queue of what it could not handle, with the reason |
//! | `plaza.retry.<milliseconds>` | fanout exchange and quorum queue, shared by all consumers: an event waits there, then goes back to the queue that its routing key names |
//!
//! Queues that wait or die dead-letter at least once (RabbitMQ 3.10 can, for quorum queues), so
//! that no event is lost on its way between two queues either.

use std::time::Duration;

use lapin::{
    Channel, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};

use crate::Broker;

/// The exchange of all events.
pub const EXCHANGE: &str = "plaza.events";
/// How often the broker itself delivers one message before it gives up: a message that kills its
/// consumer every time comes here, and failures that are handled do not count. RabbitMQ 3.10 has
/// no limit of its own, RabbitMQ 4 has 20 and drops what is over it where no one says otherwise.
pub(crate) const DELIVERY_LIMIT: i32 = 20;

/// The name of the queue of consumer `consumer` of `service`.
pub fn queue_name(service: &str, consumer: &str) -> String {
    format!("{service}.{consumer}")
}

/// The name of the dead letters of a queue.
pub fn dead_name(queue: &str) -> String {
    format!("{queue}.dead")
}

/// The name of the exchange and queue in which events wait for `delay`.
pub(crate) fn retry_name(broker: &Broker, delay: Duration) -> String {
    broker.name(&format!("plaza.retry.{}", delay.as_millis()))
}

/// Declares what publishers need.
pub(crate) async fn declare_exchanges(channel: &Channel, broker: &Broker) -> lapin::Result<()> {
    declare_exchange(channel, &broker.name(EXCHANGE), ExchangeKind::Topic).await?;
    for delay in broker.delays() {
        let name = retry_name(broker, *delay);
        declare_exchange(channel, &name, ExchangeKind::Fanout).await?;
        let ttl = u32::try_from(delay.as_millis()).unwrap_or(u32::MAX);
        let mut arguments = onward_to(None);
        arguments.insert("x-message-ttl".into(), AMQPValue::LongUInt(ttl));
        declare_queue(channel, &name, arguments).await?;
        bind(channel, &name, &name, "").await?;
    }
    Ok(())
}

/// What waits at the broker for one consumer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Depth {
    pub(crate) messages: u32,
    pub(crate) dead: u32,
}

/// Declares the queue of a consumer and its dead letters, bound to `kinds`.
///
/// `ordered`: one instance at a time gets the events, so that they keep their order.
pub(crate) async fn declare_consumer(
    channel: &Channel,
    broker: &Broker,
    queue: &str,
    kinds: &[&str],
    ordered: bool,
) -> lapin::Result<Depth> {
    let dead = dead_name(queue);
    let mut arguments = onward_to(Some(&dead));
    arguments.insert("x-delivery-limit".into(), DELIVERY_LIMIT.into());
    arguments.insert("x-single-active-consumer".into(), ordered.into());
    let messages = declare_queue(channel, queue, arguments).await?;
    for kind in kinds {
        bind(channel, queue, &broker.name(EXCHANGE), kind).await?;
    }
    // Looking at dead letters counts as delivering them, and shall never be the end of them.
    let mut arguments = FieldTable::default();
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(i32::MAX));
    let dead = declare_queue(channel, &dead, arguments).await?;
    Ok(Depth { messages, dead })
}

/// Arguments of a queue that hands messages on to another one: to `queue`, or to the one that
/// the routing key names.
fn onward_to(queue: Option<&str>) -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-dead-letter-exchange".into(), text(""));
    if let Some(queue) = queue {
        arguments.insert("x-dead-letter-routing-key".into(), text(queue));
    }
    arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
    // At least once needs it; without a length there is nothing to reject.
    arguments.insert("x-overflow".into(), text("reject-publish"));
    arguments
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

async fn declare_exchange(channel: &Channel, name: &str, kind: ExchangeKind) -> lapin::Result<()> {
    let options = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    channel
        .exchange_declare(name.into(), kind, options, FieldTable::default())
        .await
}

/// Declares a durable queue; how many messages are ready in it.
async fn declare_queue(
    channel: &Channel,
    name: &str,
    mut arguments: FieldTable,
) -> lapin::Result<u32> {
    arguments.insert("x-queue-type".into(), text("quorum"));
    let options = QueueDeclareOptions::durable();
    let queue = channel
        .queue_declare(name.into(), options, arguments)
        .await?;
    Ok(queue.message_count())
}

async fn bind(channel: &Channel, queue: &str, exchange: &str, key: &str) -> lapin::Result<()> {
    let options = QueueBindOptions::default();
    channel
        .queue_bind(
            queue.into(),
            exchange.into(),
            key.into(),
            options,
            FieldTable::default(),
        )
        .await
}
