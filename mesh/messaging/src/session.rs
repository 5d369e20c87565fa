//! The life of a consumer: links that come and go, and lanes that keep the order.

use std::{
    collections::{BTreeSet, hash_map::DefaultHasher},
    convert::Infallible,
    hash::{Hash as _, Hasher as _},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use chassis::clock;
use chrono::{DateTime, Utc};
use futures_util::StreamExt as _;
use lapin::{
    Channel,
    message::Delivery,
    options::{BasicConsumeOptions, BasicQosOptions},
    protocol::AMQPSoftError,
    types::FieldTable,
};
use tokio::{sync::mpsc, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    Broker, Consumer, Envelope,
    backoff::Backoff,
    broker::Link,
    declare::{self, Depth, Wanted},
    event::Poison,
    metrics,
};

/// Handlers that run at once; events of one subject are always in the same lane.
const LANES: usize = 16;
/// What declaring everything may take.
pub(crate) const OPEN_DEADLINE: Duration = Duration::from_secs(20);
/// A link that lived for longer was no failure to connect.
const STABLE: Duration = Duration::from_secs(10);
/// How often the link is looked at, which may end without a word to those who listen.
const WATCHING: Duration = Duration::from_secs(1);
/// How often what waits is counted, and everything is declared again: somebody may have deleted a
/// binding, and nobody would tell us.
const TENDING: Duration = Duration::from_secs(5);

/// A consumer at its broker.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) broker: Broker,
    /// The name of the queue, with the prefix.
    pub(crate) queue: String,
    pub(crate) consumer: Consumer,
    /// Cancelled when the broker took a link for the first time: it is there, if slow.
    pub(crate) reached: CancellationToken,
    /// Cancelled when the queue was declared for the first time.
    pub(crate) declared: CancellationToken,
    /// The events in the lanes: when they happened, and their tags.
    held: Mutex<BTreeSet<(DateTime<Utc>, u64)>>,
}

/// A message on its way through a lane.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) delivery: Delivery,
    pub(crate) envelope: Result<Envelope, Poison>,
}

/// Consumes until `shutdown`, over as many links as it takes.
pub(crate) async fn run(session: Arc<Session>, shutdown: CancellationToken) {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    // Known from the start: `cargo mesh up` and an alert wait for it.
    metrics::connected(&session.queue, false);
    while !shutdown.is_cancelled() {
        let opened = tokio::select! {
            () = shutdown.cancelled() => break,
            opened = session.open() => opened,
        };
        let begun = Instant::now();
        let ended = match opened {
            Ok((link, channel, mut deliveries)) => {
                metrics::connected(&session.queue, true);
                let lost = CancellationToken::new();
                let ended = tokio::select! {
                    ended = session.consume(&mut deliveries, &lost, &shutdown) => ended,
                    never = session.tend(&link, &channel, &lost) => match never {},
                };
                metrics::connected(&session.queue, false);
                // Only the end of the link gives back what is not acknowledged before another
                // consumer gets anything. To cancel the subscription, as a drop of `deliveries`
                // does while the link is open, lets another one go on with the successors of what
                // is still held here.
                link.close().await;
                drop(deliveries);
                ended
            }
            Err(error) => Err(error),
        };
        if begun.elapsed() >= STABLE {
            backoff.reset();
        }
        if let Err(error) = ended {
            session.report(&error);
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = tokio::time::sleep(backoff.pause()) => {}
            }
        }
    }
}

impl Session {
    pub(crate) fn new(broker: Broker, queue: String, consumer: Consumer) -> Self {
        Self {
            broker,
            queue,
            consumer,
            reached: CancellationToken::new(),
            declared: CancellationToken::new(),
            held: Mutex::default(),
        }
    }

    /// Says why there is no link any more.
    fn report(&self, error: &anyhow::Error) {
        let (queue, cause) = (self.queue.as_str(), format!("{error:#}"));
        if let Some(advice) = refusal(error) {
            tracing::error!(queue, cause, "{advice}");
        } else {
            tracing::warn!(queue, cause, "consumer lost the broker");
        }
    }

    /// Connects, declares everything anew, and asks for events.
    async fn open(&self) -> anyhow::Result<(Link, Channel, lapin::Consumer)> {
        let link = self.broker.connect(&self.queue).await?;
        self.reached.cancel();
        let opening = tokio::time::timeout(OPEN_DEADLINE, self.listen(&link));
        let (channel, deliveries) = opening.await.context("the broker does not answer")??;
        Ok((link, channel, deliveries))
    }

    async fn listen(&self, link: &Link) -> anyhow::Result<(Channel, lapin::Consumer)> {
        self.measure(self.declare(link).await?);
        self.declared.cancel();
        let channel = link.connection.create_channel().await?;
        let options = BasicQosOptions::default();
        channel.basic_qos(self.consumer.prefetch, options).await?;
        let deliveries = channel
            .basic_consume(
                self.queue.as_str().into(),
                "".into(),
                BasicConsumeOptions::default(),
                FieldTable::default(),
            )
            .await?;
        tracing::info!(queue = self.queue, "consumer listens");
        Ok((channel, deliveries))
    }

    async fn declare(&self, link: &Link) -> lapin::Result<Depth> {
        let wanted = Wanted {
            queue: &self.queue,
            kinds: self.consumer.handlers.keys().copied().collect(),
            dropped: &self.consumer.dropped,
            ordered: self.consumer.ordered,
        };
        declare::declare_consumer(link, &self.broker, &wanted).await
    }

    /// Endless: says when the link is lost, keeps what is declared, and shows what waits.
    async fn tend(&self, link: &Link, channel: &Channel, lost: &CancellationToken) -> Infallible {
        let mut tended = Instant::now();
        loop {
            tokio::time::sleep(WATCHING).await;
            if !(link.connection.status().connected() && channel.status().connected()) {
                lost.cancel();
            } else if tended.elapsed() >= TENDING {
                self.declare_again(link).await;
                tended = Instant::now();
            }
        }
    }

    async fn declare_again(&self, link: &Link) {
        // On channels of its own: one that the broker closes shall not end the consumer.
        match tokio::time::timeout(TENDING, self.declare(link)).await {
            Ok(Ok(depth)) => self.measure(depth),
            Ok(Err(error)) => {
                let error = error.into();
                if refusal(&error).is_some() {
                    self.report(&error);
                }
            }
            // The link itself fails as well, then.
            Err(_) => {}
        }
    }

    fn measure(&self, depth: Depth) {
        metrics::queue(&self.queue, depth.messages, depth.dead);
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = held.first().map(|(time, _)| clock::now() - *time);
        let age = oldest.and_then(|age| age.to_std().ok());
        metrics::oldest(&self.queue, age.unwrap_or_default());
    }

    /// Hands deliveries to the lanes until `shutdown` (in order) or the link is lost (an error).
    ///
    /// Returns when no handler runs any more: the next link starts from a clean table.
    async fn consume(
        self: &Arc<Self>,
        deliveries: &mut lapin::Consumer,
        lost: &CancellationToken,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<()> {
        let stopping = CancellationToken::new();
        let mut workers = JoinSet::new();
        let lanes: Vec<mpsc::UnboundedSender<Parcel>> = (0..LANES)
            .map(|_| {
                // Prefetch bounds what can be in there.
                let (sender, receiver) = mpsc::unbounded_channel();
                workers.spawn(Arc::clone(self).work(receiver, stopping.clone()));
                sender
            })
            .collect();
        let ended = loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break Ok(()),
                () = stopping.cancelled() => break Err(anyhow::anyhow!("cannot acknowledge")),
                () = lost.cancelled() => break Err(anyhow::anyhow!("the link is lost")),
                next = deliveries.next() => match next {
                    Some(Ok(delivery)) => self.dispatch(&lanes, delivery),
                    Some(Err(error)) => break Err(error.into()),
                    None => break Err(anyhow::anyhow!("the broker ended the consumer")),
                },
            }
        };
        stopping.cancel();
        drop(lanes);
        while let Some(worker) = workers.join_next().await {
            if let Err(error) = worker {
                tracing::error!(queue = self.queue, cause = %error, "a lane broke down");
            }
        }
        self.held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        ended
    }

    /// One lane: handles its events one after the other, until it shall stop.
    async fn work(
        self: Arc<Self>,
        mut parcels: mpsc::UnboundedReceiver<Parcel>,
        stopping: CancellationToken,
    ) {
        // However this ends, others must not go on without it: its events would wait for ever.
        let _guard = stopping.clone().drop_guard();
        loop {
            let parcel = tokio::select! {
                biased;
                () = stopping.cancelled() => return,
                parcel = parcels.recv() => parcel,
            };
            let Some(parcel) = parcel else { return };
            let mark = parcel.mark();
            if let Err(error) = self.settle(parcel, &stopping).await {
                let cause = format!("{error:#}");
                tracing::warn!(queue = self.queue, cause, "delivery not settled");
                return;
            }
            if let Some(mark) = mark {
                let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
                held.remove(&mark);
            }
        }
    }

    fn dispatch(&self, lanes: &[mpsc::UnboundedSender<Parcel>], delivery: Delivery) {
        let envelope = Envelope::parse(&delivery.data);
        let mut hasher = DefaultHasher::new();
        if let Ok(envelope) = &envelope {
            (&envelope.source, &envelope.subject).hash(&mut hasher);
        }
        let lane = usize::try_from(hasher.finish() % lanes.len() as u64).unwrap_or_default();
        let parcel = Parcel { delivery, envelope };
        if let Some(mark) = parcel.mark() {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            held.insert(mark);
        }
        // A lane that is gone was told to stop: what it does not take goes back to the queue.
        let _ = lanes[lane].send(parcel);
    }
}

impl Parcel {
    fn mark(&self) -> Option<(DateTime<Utc>, u64)> {
        let envelope = self.envelope.as_ref().ok()?;
        Some((envelope.time, self.delivery.delivery_tag))
    }
}

/// What an operator can do about an answer of the broker that no other try will change.
fn refusal(error: &anyhow::Error) -> Option<&'static str> {
    let error = error.downcast_ref::<lapin::Error>()?;
    if declare::is(error, AMQPSoftError::PRECONDITIONFAILED) {
        return Some("the broker has this queue or exchange with other settings: delete it there");
    }
    declare::is(error, AMQPSoftError::ACCESSREFUSED).then_some(
        "the broker does not let this service have its queue: load the definitions there again",
    )
}
