//! One delivery, from the queue to its end: done, waiting for another try, or dead.

use std::{panic::AssertUnwindSafe, time::Duration};

use anyhow::Context as _;
use chassis::clock;
use futures_util::FutureExt as _;
use lapin::{
    message::Delivery,
    options::BasicAckOptions,
    types::{AMQPValue, FieldTable},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use topology::dead_name;
use tracing::Instrument as _;

use crate::{
    Envelope, Failure,
    backoff::Backoff,
    consumer::Try,
    declare,
    event::{Poison, is_type, shorten},
    failpoint,
    metrics::{self, Outcome},
    publish::{Fate, Message},
    session::{Parcel, Session},
    trace,
};

/// Headers of ours.
pub(crate) const ATTEMPT: &str = "x-attempt";
pub(crate) const REASON: &str = "x-reason";
pub(crate) const DIED_AT: &str = "x-died-at";
pub(crate) const REPLAYED: &str = "x-replayed";
/// What handing an acknowledgement to the link may take.
const ACK_DEADLINE: Duration = Duration::from_secs(5);
/// The type under which messages are counted that have none.
const UNKNOWN: &str = "unknown";

/// How a delivery ended.
enum Verdict {
    Done,
    Again(String),
    Dead(String),
    /// The consumer stops: the broker keeps it.
    Left,
}

impl Session {
    /// Brings a delivery to its end.
    ///
    /// # Errors
    /// When the broker cannot be told: it will deliver again, over a new link.
    pub(crate) async fn settle(
        &self,
        parcel: Parcel,
        stopping: &CancellationToken,
    ) -> anyhow::Result<()> {
        let Parcel { delivery, envelope } = parcel;
        if delivery.redelivered {
            metrics::redelivered(&self.queue);
        }
        let table = delivery.properties.headers().clone().unwrap_or_default();
        let attempt = attempt(&table);
        let kind = match &envelope {
            Ok(envelope) if self.consumer.handlers.contains_key(envelope.kind.as_str()) => {
                envelope.kind.clone()
            }
            _ => UNKNOWN.to_owned(),
        };
        let id = envelope.as_ref().map_or("", |event| event.id.as_str());
        let span = trace::consume_span(&kind, id, &self.queue, Some(&table));
        let settling = async {
            let verdict = match envelope {
                Ok(envelope) => {
                    let fresh = attempt == 1 && !delivery.redelivered;
                    let this = Try {
                        attempt,
                        last: self.is_last(attempt),
                        replayed: table.inner().contains_key(REPLAYED),
                    };
                    self.judge(envelope, this, fresh, stopping).await
                }
                Err(poison) => Verdict::Dead(poison.to_string()),
            };
            self.conclude(verdict, &delivery, &kind, attempt, &table, stopping)
                .await
        };
        settling.instrument(span).await
    }

    async fn judge(
        &self,
        envelope: Envelope,
        this: Try,
        fresh: bool,
        stopping: &CancellationToken,
    ) -> Verdict {
        if fresh {
            metrics::began(&self.queue, &envelope.kind, envelope.time);
        }
        let mut backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(5));
        loop {
            match self.attempt(&envelope, this).await {
                Ok(()) => return Verdict::Done,
                Err(Failure::Reject(reason)) => return Verdict::Dead(reason),
                Err(Failure::Retry(error)) => {
                    return self.again(this.attempt, &chassis::cause(&error));
                }
                Err(Failure::Wait(error)) => {
                    let cause = chassis::cause(&error);
                    tracing::warn!(
                        queue = self.queue,
                        cause,
                        "consumer waits for what it needs"
                    );
                }
            }
            tokio::select! {
                () = stopping.cancelled() => return Verdict::Left,
                () = tokio::time::sleep(backoff.pause()) => {}
            }
        }
    }

    fn is_last(&self, attempt: u32) -> bool {
        attempt as usize > self.broker.delays().len()
    }

    fn again(&self, attempt: u32, reason: &str) -> Verdict {
        if self.is_last(attempt) {
            Verdict::Dead(format!("failed {attempt} times: {reason}"))
        } else {
            Verdict::Again(reason.to_owned())
        }
    }

    /// Calls the handler once.
    async fn attempt(&self, envelope: &Envelope, this: Try) -> Result<(), Failure> {
        let Some(handler) = self.consumer.handlers.get(envelope.kind.as_str()) else {
            // A later version of this service may handle it, and runs beside this one.
            let kind = is_type(&envelope.kind).then(|| envelope.kind.clone());
            let unhandled = Poison::Unhandled(kind.unwrap_or_default());
            return Err(Failure::Retry(unhandled.into()));
        };
        let begun = Instant::now();
        let deadline = self.consumer.deadline;
        let handling = AssertUnwindSafe(async { handler(envelope.clone(), this).await });
        let handled = tokio::time::timeout(deadline, handling.catch_unwind()).await;
        metrics::handled(&self.queue, &envelope.kind, begun.elapsed());
        match handled {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Failure::Retry(anyhow::anyhow!("the handler panicked"))),
            Err(_) => Err(Failure::Retry(anyhow::anyhow!(
                "the handler took longer than {deadline:?}"
            ))),
        }
    }

    async fn conclude(
        &self,
        verdict: Verdict,
        delivery: &Delivery,
        kind: &str,
        attempt: u32,
        table: &FieldTable,
        stopping: &CancellationToken,
    ) -> anyhow::Result<()> {
        let outcome = match verdict {
            Verdict::Left => return Ok(()),
            Verdict::Done => Outcome::Done,
            Verdict::Again(reason) => {
                tracing::warn!(
                    queue = self.queue,
                    event.r#type = kind,
                    attempt,
                    reason,
                    "event is tried again"
                );
                let delay = self.broker.delays()[attempt as usize - 1];
                let exchange = declare::retry_name(&self.broker, delay);
                let mut message = copy(delivery, table, &reason, attempt + 1);
                message.exchange = exchange;
                message.key.clone_from(&self.queue);
                self.pass_on(message, stopping).await?;
                Outcome::Retried
            }
            Verdict::Dead(reason) => {
                tracing::error!(
                    queue = self.queue,
                    event.r#type = kind,
                    attempt,
                    reason,
                    "event is dead"
                );
                let mut message = copy(delivery, table, &reason, attempt);
                message.exchange = declare::own_exchange(&self.broker);
                message.key = dead_name(&self.queue);
                let died_at = clock::text(clock::now());
                message.headers.insert(DIED_AT.into(), text(&died_at));
                self.pass_on(message, stopping).await?;
                Outcome::Dead
            }
        };
        if let Outcome::Done = outcome {
            self.broker.failpoints().reach(failpoint::BEFORE_ACK).await;
        }
        // On a link that broke at this moment, an acknowledgement was seen to wait for ever.
        let acknowledging = delivery.ack(BasicAckOptions::default());
        let acknowledged = tokio::time::timeout(ACK_DEADLINE, acknowledging).await;
        let acknowledged = acknowledged.context("the link takes no acknowledgement")??;
        anyhow::ensure!(acknowledged, "the link is gone");
        metrics::consumed(&self.queue, kind, outcome);
        Ok(())
    }

    /// Publishes, however long it takes; the delivery is held meanwhile.
    async fn pass_on(&self, message: Message, stopping: &CancellationToken) -> anyhow::Result<()> {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        loop {
            let passing = async {
                let publisher = self.broker.publisher();
                publisher.ready(&self.broker).await?;
                publisher.publish(&self.broker, vec![message.clone()]).await
            };
            let passed = tokio::select! {
                passed = passing => passed,
                () = stopping.cancelled() => anyhow::bail!("the consumer stops"),
            };
            match passed.as_deref() {
                Ok([Fate::Confirmed]) => return Ok(()),
                // Somebody deleted a queue: the next link declares it again.
                Ok(_) => anyhow::bail!("`{}` is not there", message.key),
                Err(error) => {
                    let cause = format!("{error:#}");
                    let to = message.key.as_str();
                    tracing::warn!(
                        queue = self.queue,
                        to,
                        cause,
                        "failed event cannot be passed on"
                    );
                }
            }
            tokio::select! {
                () = tokio::time::sleep(backoff.pause()) => {}
                () = stopping.cancelled() => anyhow::bail!("the consumer stops"),
            }
        }
    }
}

/// Which try this is, from 1, whatever a stranger wrote there.
fn attempt(table: &FieldTable) -> u32 {
    let number = trace::number(table, ATTEMPT).and_then(|number| u32::try_from(number).ok());
    number.unwrap_or(1).max(1)
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

/// The same message, with what is known about its failure; whoever passes it on says where to.
fn copy(delivery: &Delivery, table: &FieldTable, reason: &str, attempt: u32) -> Message {
    let mut headers = FieldTable::default();
    for (name, value) in trace::headers(table) {
        headers.insert(name.into(), text(&value));
    }
    headers.insert(ATTEMPT.into(), AMQPValue::LongUInt(attempt));
    headers.insert(REASON.into(), text(&shorten(reason)));
    let id = delivery.properties.message_id();
    Message {
        exchange: String::new(),
        key: String::new(),
        id: id.as_ref().map(ToString::to_string).unwrap_or_default(),
        body: delivery.data.clone(),
        headers,
        kind: None,
    }
}
