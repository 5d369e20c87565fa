//! Declares what `mesh/topology` says, with every connection and every few seconds.
//!
//! A service makes what is its own. The exchange of all events is there before it, unless it may make
//! that too, as in tests: a service's user at a broker of a mesh may not.

use std::time::Duration;

use lapin::{
    Channel, ErrorKind, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    protocol::{AMQPErrorKind, AMQPSoftError},
    types::{AMQPValue, FieldTable},
};
use serde_json::Value;
use topology::{Arguments, EXCHANGE, dead_name};

use crate::{Broker, broker::Link};

/// What waits at the broker for one consumer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Depth {
    pub(crate) messages: u32,
    pub(crate) dead: u32,
}

/// The queue of a consumer, as it is declared.
#[derive(Debug, Clone)]
pub(crate) struct Wanted<'a> {
    /// Its name, with the prefix.
    pub(crate) queue: &'a str,
    /// The types that come there.
    pub(crate) kinds: Vec<&'a str>,
    /// The types that came there before.
    pub(crate) dropped: &'a [&'static str],
    /// One instance at a time gets the events, so that they keep their order.
    pub(crate) ordered: bool,
}

/// The name of the exchange to the queues of this service.
pub(crate) fn own_exchange(broker: &Broker) -> String {
    broker.name(&topology::own_exchange(broker.service()))
}

/// The name of the exchange and queue in which events wait for `delay`.
pub(crate) fn retry_name(broker: &Broker, delay: Duration) -> String {
    broker.name(&topology::retry_name(broker.service(), delay.as_millis()))
}

/// Looks for the exchange of all events, and makes it where it is missing.
pub(crate) async fn declare_events(link: &Link, broker: &Broker) -> lapin::Result<()> {
    let name = broker.name(EXCHANGE);
    let channel = link.connection.create_channel().await?;
    let found = declare_exchange(&channel, &name, ExchangeKind::Topic, true).await;
    let made = match found {
        Err(error) if is(&error, AMQPSoftError::NOTFOUND) => {
            // The broker closed the channel with its answer.
            let channel = link.connection.create_channel().await?;
            declare_exchange(&channel, &name, ExchangeKind::Topic, false).await?;
            channel
        }
        found => found.map(|()| channel)?,
    };
    made.close(200, "done".into()).await
}

/// Declares the queue of a consumer, its dead letters, and where its events wait.
pub(crate) async fn declare_consumer(
    link: &Link,
    broker: &Broker,
    wanted: &Wanted<'_>,
) -> lapin::Result<Depth> {
    declare_events(link, broker).await?;
    let (own, dead) = (own_exchange(broker), dead_name(wanted.queue));
    let (messages, channel) = declare_own(link, broker, wanted, &own, &dead).await?;
    declare_exchange(&channel, &own, ExchangeKind::Direct, false).await?;
    bind(&channel, wanted.queue, &own, wanted.queue).await?;
    for delay in broker.delays() {
        declare_retry(&channel, broker, &own, *delay).await?;
    }
    let events = broker.name(EXCHANGE);
    for kind in &wanted.kinds {
        bind(&channel, wanted.queue, &events, kind).await?;
    }
    for kind in wanted.dropped {
        let (queue, exchange) = (wanted.queue.into(), events.as_str().into());
        channel
            .queue_unbind(queue, exchange, (*kind).into(), FieldTable::default())
            .await?;
    }
    // The last: who finds it finds everything.
    let dead_letters = declare_queue(&channel, &dead, &topology::dead_arguments()).await?;
    bind(&channel, &dead, &own, &dead).await?;
    channel.close(200, "done".into()).await?;
    Ok(Depth {
        messages,
        dead: dead_letters,
    })
}

/// Declares the queue itself: how many messages are ready in it, and the channel that it was declared on.
///
/// A queue that an earlier version made hands dead letters on by the default exchange, and does so well. Which one it is, is
/// remembered: each wrong guess is an error in the broker's log.
async fn declare_own(
    link: &Link,
    broker: &Broker,
    wanted: &Wanted<'_>,
    own: &str,
    dead: &str,
) -> lapin::Result<(u32, Channel)> {
    let was_older = broker.is_older(wanted.queue);
    let form = async |older: bool| {
        let channel = link.connection.create_channel().await?;
        let exchange = if older { "" } else { own };
        let arguments = topology::consumer_arguments(exchange, dead, wanted.ordered);
        let messages = declare_queue(&channel, wanted.queue, &arguments).await?;
        lapin::Result::Ok((messages, channel))
    };
    let declared = match form(was_older).await {
        Err(error) if !was_older && is(&error, AMQPSoftError::PRECONDITIONFAILED) => {
            let declared = form(true).await?;
            broker.set_older(wanted.queue, true);
            Ok(declared)
        }
        declared => declared,
    };
    if declared.is_err() {
        broker.set_older(wanted.queue, false);
    }
    declared
}

async fn declare_retry(
    channel: &Channel,
    broker: &Broker,
    own: &str,
    delay: Duration,
) -> lapin::Result<()> {
    let name = retry_name(broker, delay);
    declare_exchange(channel, &name, ExchangeKind::Fanout, false).await?;
    let milliseconds = u32::try_from(delay.as_millis()).unwrap_or(u32::MAX);
    let arguments = topology::retry_arguments(own, milliseconds);
    declare_queue(channel, &name, &arguments).await?;
    bind(channel, &name, &name, "").await
}

/// Whether the broker answered so.
pub(crate) fn is(error: &lapin::Error, answer: AMQPSoftError) -> bool {
    match error.kind() {
        ErrorKind::ProtocolError(said) => *said.kind() == AMQPErrorKind::Soft(answer),
        _ => false,
    }
}

async fn declare_exchange(
    channel: &Channel,
    name: &str,
    kind: ExchangeKind,
    passive: bool,
) -> lapin::Result<()> {
    let options = ExchangeDeclareOptions {
        durable: true,
        passive,
        ..ExchangeDeclareOptions::default()
    };
    channel
        .exchange_declare(name.into(), kind, options, FieldTable::default())
        .await
}

/// Declares a durable queue; how many messages are ready in it.
async fn declare_queue(channel: &Channel, name: &str, arguments: &Arguments) -> lapin::Result<u32> {
    let options = QueueDeclareOptions::durable();
    let queue = channel
        .queue_declare(name.into(), options, table(arguments))
        .await?;
    Ok(queue.message_count())
}

fn table(arguments: &Arguments) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        let value = match value {
            Value::Bool(value) => AMQPValue::Boolean(*value),
            Value::Number(number) => AMQPValue::LongLongInt(number.as_i64().unwrap_or(i64::MAX)),
            other => AMQPValue::LongString(other.as_str().unwrap_or_default().into()),
        };
        table.insert(name.as_str().into(), value);
    }
    table
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
