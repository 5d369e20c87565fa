//! Dead letters: what a consumer could not handle, to be read and sent on its way again.

use lapin::{
    Channel,
    message::BasicGetMessage,
    options::{BasicAckOptions, BasicGetOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};
use serde::Serialize;

use crate::{
    Broker,
    delivery::{ATTEMPT, DIED_AT, REASON},
    publish::{Fate, Message},
    topology, trace,
};

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
    let link = broker.connect("dead-letters").await?;
    let channel = link.connection.create_channel().await?;
    let dead = topology::dead_name(&broker.name(queue));
    let mut letters = Vec::new();
    while letters.len() < limit
        && let Some(message) = next(&channel, &dead).await?
    {
        letters.push(letter(&message));
    }
    // None is acknowledged, so that all go back.
    link.connection.close(200, "done".into()).await?;
    Ok(letters)
}

/// How many dead letters `queue` has.
///
/// # Errors
/// As [`list`].
pub async fn waiting(broker: &Broker, queue: &str) -> anyhow::Result<u32> {
    let link = broker.connect("dead-letters").await?;
    let channel = link.connection.create_channel().await?;
    let dead = topology::dead_name(&broker.name(queue));
    let options = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let found = channel
        .queue_declare(dead.into(), options, FieldTable::default())
        .await?;
    link.connection.close(200, "done".into()).await?;
    Ok(found.message_count())
}

/// Sends dead letters of `queue` to it again, as new: those with one of `ids`, or all that are
/// there now; how many.
///
/// # Errors
/// When the broker is away or the queue does not exist. What was not sent stays.
pub async fn replay(broker: &Broker, queue: &str, ids: Option<&[String]>) -> anyhow::Result<usize> {
    let link = broker.connect("dead-letters").await?;
    let channel = link.connection.create_channel().await?;
    let queue = broker.name(queue);
    let dead = topology::dead_name(&queue);
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
        message.ack(BasicAckOptions::default()).await?;
        replayed += 1;
    }
    link.connection.close(200, "done".into()).await?;
    Ok(replayed)
}

async fn next(channel: &Channel, queue: &str) -> lapin::Result<Option<BasicGetMessage>> {
    channel
        .basic_get(queue.into(), BasicGetOptions::default())
        .await
}

fn again(queue: &str, message: &BasicGetMessage, letter: &DeadLetter) -> Message {
    let mut headers = FieldTable::default();
    if let Some(traceparent) = &letter.traceparent {
        let value = AMQPValue::LongString(traceparent.as_str().into());
        headers.insert("traceparent".into(), value);
    }
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
