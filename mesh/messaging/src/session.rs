//! The life of a consumer: links that come and go, and lanes that keep the order.

use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash as _, Hasher as _},
    sync::Arc,
    time::Duration,
};

use futures_util::StreamExt as _;
use lapin::{
    Channel,
    message::Delivery,
    options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    Broker, Consumer, Envelope, backoff::Backoff, broker::Link, event::Poison, metrics, topology,
};

/// Handlers that run at once; events of one subject are always in the same lane.
const LANES: usize = 16;
/// What closing a link in order may take.
const CLOSE_DEADLINE: Duration = Duration::from_secs(1);

/// A consumer at its broker.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) broker: Broker,
    /// The name of the queue, with the prefix.
    pub(crate) queue: String,
    pub(crate) consumer: Consumer,
    /// Cancelled when the queue was declared for the first time.
    pub(crate) declared: CancellationToken,
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
    while !shutdown.is_cancelled() {
        let opened = tokio::select! {
            () = shutdown.cancelled() => break,
            opened = session.open() => opened,
        };
        let ended = match opened {
            Ok((link, channel, deliveries)) => {
                backoff.reset();
                metrics::connected(&session.queue, true);
                let ended = session.consume(&channel, deliveries, &shutdown).await;
                metrics::connected(&session.queue, false);
                close(link).await;
                ended
            }
            Err(error) => Err(error),
        };
        if let Err(error) = ended {
            let cause = format!("{error:#}");
            tracing::warn!(queue = session.queue, cause, "consumer lost the broker");
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = tokio::time::sleep(backoff.pause()) => {}
            }
        }
    }
}

/// What is not acknowledged goes back to the queue by this.
async fn close(link: Link) {
    let closing = link.connection.close(200, "done".into());
    let _ = tokio::time::timeout(CLOSE_DEADLINE, closing).await;
}

impl Session {
    pub(crate) fn new(broker: Broker, queue: String, consumer: Consumer) -> Self {
        Self {
            broker,
            queue,
            consumer,
            declared: CancellationToken::new(),
        }
    }

    /// Connects, declares everything anew, and asks for events.
    async fn open(&self) -> anyhow::Result<(Link, Channel, lapin::Consumer)> {
        let link = self.broker.connect(&self.queue).await?;
        let channel = link.connection.create_channel().await?;
        topology::declare_exchanges(&channel, &self.broker).await?;
        let kinds: Vec<&str> = self.consumer.handlers.keys().copied().collect();
        let ordered = self.consumer.ordered;
        topology::declare_consumer(&channel, &self.broker, &self.queue, &kinds, ordered).await?;
        for kind in &self.consumer.dropped {
            let exchange = self.broker.name(topology::EXCHANGE);
            channel
                .queue_unbind(
                    self.queue.as_str().into(),
                    exchange.into(),
                    (*kind).into(),
                    FieldTable::default(),
                )
                .await?;
        }
        self.declared.cancel();
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
        Ok((link, channel, deliveries))
    }

    /// Hands deliveries to the lanes until `shutdown` (in order) or the link is lost (an error).
    ///
    /// Returns when no handler runs any more: the next link starts from a clean table.
    async fn consume(
        self: &Arc<Self>,
        channel: &Channel,
        mut deliveries: lapin::Consumer,
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
                next = deliveries.next() => match next {
                    Some(Ok(delivery)) => dispatch(&lanes, delivery),
                    Some(Err(error)) => break Err(error.into()),
                    None => break Err(anyhow::anyhow!("the broker ended the consumer")),
                },
            }
        };
        if ended.is_ok() {
            let cancel = channel.basic_cancel(deliveries.tag(), BasicCancelOptions::default());
            let _ = tokio::time::timeout(CLOSE_DEADLINE, cancel).await;
        }
        stopping.cancel();
        drop(lanes);
        while workers.join_next().await.is_some() {}
        ended
    }

    /// One lane: handles its events one after the other, until it shall stop.
    async fn work(
        self: Arc<Self>,
        mut parcels: mpsc::UnboundedReceiver<Parcel>,
        stopping: CancellationToken,
    ) {
        loop {
            let parcel = tokio::select! {
                biased;
                () = stopping.cancelled() => return,
                parcel = parcels.recv() => parcel,
            };
            let Some(parcel) = parcel else { return };
            if let Err(error) = self.settle(parcel, &stopping).await {
                tracing::debug!(cause = format!("{error:#}"), "delivery not settled");
                stopping.cancel();
                return;
            }
        }
    }
}

fn dispatch(lanes: &[mpsc::UnboundedSender<Parcel>], delivery: Delivery) {
    let envelope = Envelope::parse(&delivery.data);
    let mut hasher = DefaultHasher::new();
    if let Ok(envelope) = &envelope {
        (&envelope.source, &envelope.subject).hash(&mut hasher);
    }
    let lane = usize::try_from(hasher.finish() % lanes.len() as u64).unwrap_or_default();
    // A lane that is gone was told to stop: what it does not take goes back to the queue.
    let _ = lanes[lane].send(Parcel { delivery, envelope });
}
