//! Dead letters: what a consumer could not handle, to be read and sent on its way again.

use std::time::Duration;

use anyhow::Context as _;
use lapin::{
    Channel, ErrorKind,
    message::BasicGetMessage,
    options::{BasicAckOptions, BasicGetOptions, QueueDeclareOptions},
    protocol::{AMQPErrorKind, AMQPSoftError},
    types::{AMQPValue, FieldTable},
};
use serde::Serialize;
use topology::dead_name;

use crate::{
    Broker,
    delivery::{ATTEMPT, DIED_AT, REASON, REPLAYED},
    publish::{Fate, Message},
    trace,
};

/// What the broker may take for one answer.
const DEADLINE: Duration = Duration::from_secs(10);
/// The longest name of a queue, with what we put before and after it: AMQP has 255 bytes for it.
const LONGEST_NAME: usize = 200;

/// One dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeadLetter {
    /// The id of the event; empty for what was no event.
    pub id: String,
    /// Why it is here.
    pub reason: String,
    /// How often it was tried.
    pub attempts: i64,
    /// When it came here, as RFC 3339; empty if the broker put it here.
    pub died_at: String,
    /// The trace that it belongs to.
    pub traceparent: Option<String>,
    /// The message itself.
    pub body: String,
}

/// The oldest dead letters of `queue` (`timelines.follows`), at most `limit`; they stay where they are.
///
/// # Errors
/// When the broker is away or the queue does not exist.
pub async fn list(broker: &Broker, queue: &str, limit: usize) -> anyhow::Result<Vec<DeadLetter>> {
    let dead = dead_name(&name(broker, queue)?);
    let link = broker.connect("dead-letters").await?;
    let channel = soon(link.connection.create_channel()).await??;
    let mut letters = Vec::new();
    while letters.len() < limit
        && let Some(message) = next(&channel, &dead).await?
    {
        letters.push(letter(&message));
    }
    // None is acknowledged, so that all go back.
    soon(link.connection.close(200, "done".into())).await??;
    Ok(letters)
}

/// How many dead letters `queue` has.
///
/// # Errors
/// As [`list`].
pub async fn waiting(broker: &Broker, queue: &str) -> anyhow::Result<u32> {
    let dead = dead_name(&name(broker, queue)?);
    let link = broker.connect("dead-letters").await?;
    let channel = soon(link.connection.create_channel()).await??;
    let options = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let asked = channel.queue_declare(dead.as_str().into(), options, FieldTable::default());
    let found = soon(asked).await?.map_err(|error| explain(error, &dead))?;
    soon(link.connection.close(200, "done".into())).await??;
    Ok(found.message_count())
}

/// Sends dead letters of `queue` to it again, as new: those with one of `ids`, or all that are
/// there now; how many.
///
/// # Errors
/// When the broker is away or the queue does not exist. What was not sent stays.
pub async fn replay(broker: &Broker, queue: &str, ids: Option<&[String]>) -> anyhow::Result<usize> {
    let queue = name(broker, queue)?;
    let link = broker.connect("dead-letters").await?;
    let channel = soon(link.connection.create_channel()).await??;
    let dead = dead_name(&queue);
    let mut replayed = 0;
    let mut left = None;
    while left != Some(0)
        && let Some(message) = next(&channel, &dead).await?
    {
        // What comes back while this goes on is left to the next time.
        let waiting = left.map_or(message.message_count, |left: u32| left - 1);
        left = Some(waiting);
        let letter = letter(&message);
        if ids.is_some_and(|ids| !ids.contains(&letter.id)) {
            continue;
        }
        let fates = broker
            .publisher()
            .publish(broker, vec![again(&queue, &message, &letter)])
            .await?;
        anyhow::ensure!(fates == [Fate::Confirmed], "`{queue}` is not there");
        soon(message.ack(BasicAckOptions::default())).await??;
        replayed += 1;
    }
    soon(link.connection.close(200, "done".into())).await??;
    Ok(replayed)
}

async fn next(channel: &Channel, dead: &str) -> anyhow::Result<Option<BasicGetMessage>> {
    let asked = channel.basic_get(dead.into(), BasicGetOptions::default());
    soon(asked).await?.map_err(|error| explain(error, dead))
}

async fn soon<T>(answer: impl Future<Output = T>) -> anyhow::Result<T> {
    let answered = tokio::time::timeout(DEADLINE, answer).await;
    answered.context("the broker does not answer in time")
}

/// The name of a queue at the broker, if it can be one.
fn name(broker: &Broker, queue: &str) -> anyhow::Result<String> {
    anyhow::ensure!(
        (1..=LONGEST_NAME).contains(&queue.len()),
        "the name of a queue has 1 to {LONGEST_NAME} bytes"
    );
    Ok(broker.name(queue))
}

fn explain(error: lapin::Error, dead: &str) -> anyhow::Error {
    let missing = AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND);
    match error.kind() {
        ErrorKind::ProtocolError(said) if *said.kind() == missing => anyhow::anyhow!(
            "there is no queue `{dead}`: name the queue of a consumer, which is its service and \
             its name, as in `timelines.follows`"
        ),
        _ => error.into(),
    }
}

fn again(queue: &str, message: &BasicGetMessage, letter: &DeadLetter) -> Message {
    let mut headers = FieldTable::default();
    if let Some(traceparent) = &letter.traceparent {
        let value = AMQPValue::LongString(traceparent.as_str().into());
        headers.insert("traceparent".into(), value);
    }
    headers.insert(REPLAYED.into(), AMQPValue::Boolean(true));
    Message {
        exchange: String::new(),
        key: queue.to_owned(),
        id: letter.id.clone(),
        body: message.data.clone(),
        headers,
        kind: None,
    }
}

fn letter(message: &BasicGetMessage) -> DeadLetter {
    let table = message.properties.headers().clone().unwrap_or_default();
    let id = message.properties.message_id();
    DeadLetter {
        id: id.as_ref().map(ToString::to_string).unwrap_or_default(),
        reason: trace::text(&table, REASON)
            .or_else(|| brokers_reason(&table))
            .unwrap_or_default(),
        attempts: trace::number(&table, ATTEMPT).unwrap_or(1),
        died_at: trace::text(&table, DIED_AT).unwrap_or_default(),
        traceparent: trace::text(&table, "traceparent"),
        body: String::from_utf8_lossy(&message.data).into_owned(),
    }
}

/// Why the broker itself put a message here: it killed its consumer too often.
fn brokers_reason(table: &FieldTable) -> Option<String> {
    let AMQPValue::FieldArray(deaths) = table.inner().get("x-death")? else {
        return None;
    };
    let AMQPValue::FieldTable(latest) = deaths.as_slice().first()? else {
        return None;
    };
    let reason = trace::text(latest, "reason")?;
    Some(format!("the broker gave it up: {reason}"))
}
