//! The relay of a document store: publishes what it is handed, and what others left behind.
//!
//! Several relays may run over one outbox. Each publishes the events of its own process, so that
//! none waits for another. Markers that are still there a while later belong to a process that
//! died, or lost the broker: every relay publishes those, once more at worst.

use std::{collections::HashMap, sync::Arc, time::Duration};

use chassis::clock;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::Span;

use super::{Marker, Markers};
use crate::{
    Broker,
    backoff::Backoff,
    failpoint, metrics,
    publish::{Fate, Message},
    trace,
};

/// Events that are published before their confirms are waited for.
const BATCH: usize = 256;
/// How often the outbox is looked at for what others left. A marker that was there the last time
/// is nobody's: this asks no clock of another machine.
const LOOK: Duration = Duration::from_secs(2);
/// How often what waits is counted, and up to how many.
const MEASURING: Duration = Duration::from_secs(5);
const COUNTED: i64 = 1_000;
/// What the last events get at shutdown.
const FAREWELL: Duration = Duration::from_secs(2);

/// The relay of one process.
#[derive(Debug)]
pub(super) struct Relay {
    broker: Broker,
    markers: Markers,
    handed: mpsc::Receiver<Arc<Marker>>,
    grace: Duration,
    /// What is at hand and not published.
    batch: Vec<Arc<Marker>>,
    /// Since when this process knows of markers that it was not handed.
    seen: HashMap<String, Instant>,
}

impl Relay {
    pub(super) fn new(
        broker: Broker,
        markers: Markers,
        handed: mpsc::Receiver<Arc<Marker>>,
        grace: Duration,
    ) -> Self {
        Self {
            broker,
            markers,
            handed,
            grace,
            batch: Vec::new(),
            seen: HashMap::new(),
        }
    }

    /// Publishes until `shutdown`, and what is at hand then.
    pub(super) async fn run(mut self, shutdown: CancellationToken) {
        let measuring = measure(self.markers.clone());
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = self.relay() => {}
            () = measuring => {}
        }
        let last = tokio::time::timeout(FAREWELL, self.farewell()).await;
        if !matches!(last, Ok(Ok(()))) {
            tracing::warn!("events stay in the outbox for another instance or the next start");
        }
    }

    async fn farewell(&mut self) -> anyhow::Result<()> {
        while let Ok(marker) = self.handed.try_recv() {
            self.batch.push(marker);
        }
        self.publish().await
    }

    /// Endless: publishes what it is handed, and looks around now and then.
    async fn relay(&mut self) {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some(marker) = self.handed.recv() => {
                    self.batch.push(marker);
                    while self.batch.len() < BATCH && let Ok(marker) = self.handed.try_recv() {
                        self.batch.push(marker);
                    }
                }
                _ = looks.tick() => {
                    if let Err(error) = self.look().await {
                        tracing::debug!(cause = %error, "the outbox could not be looked at");
                    }
                }
            }
            while let Err(error) = self.publish().await {
                tracing::warn!(cause = format!("{error:#}"), "events wait in the outbox");
                tokio::time::sleep(backoff.pause()).await;
            }
            backoff.reset();
        }
    }

    /// Takes up what others left, and drops markers whose document never came.
    async fn look(&mut self) -> Result<(), chassis::Error> {
        let now = Instant::now();
        let mut before = std::mem::take(&mut self.seen);
        for marker in self.markers.list(BATCH).await? {
            let since = before.remove(&marker.id).unwrap_or(now);
            self.seen.insert(marker.id.clone(), since);
            if since == now {
                continue;
            }
            if self.markers.is_committed(&marker).await? {
                self.seen.remove(&marker.id);
                self.batch.push(marker);
            } else if now.duration_since(since) > self.grace {
                tracing::debug!(
                    event.id = marker.id,
                    "an event without its change is dropped"
                );
                self.markers.remove(&marker.id).await?;
            }
        }
        Ok(())
    }

    /// Publishes what is at hand, waits until the broker has it, and removes the markers.
    async fn publish(&mut self) -> anyhow::Result<()> {
        if self.batch.is_empty() {
            return Ok(());
        }
        self.broker.publisher().ready(&self.broker).await?;
        let failpoints = self.broker.failpoints();
        failpoints.reach(failpoint::BEFORE_PUBLISH).await;
        // The spans end when the broker has the events.
        let mut spans: Vec<Span> = Vec::with_capacity(self.batch.len());
        let mut messages: Vec<Message> = Vec::with_capacity(self.batch.len());
        for marker in &self.batch {
            let (span, message) = self.message(marker);
            spans.push(span);
            messages.push(message);
        }
        let publishing = self.broker.publisher().publish(&self.broker, messages);
        for (marker, fate) in self.batch.iter().zip(publishing.await?) {
            if fate == Fate::Unrouted {
                tracing::debug!(event.r#type = marker.kind, "no queue wants this event");
            }
        }
        drop(spans);
        failpoints.reach(failpoint::BEFORE_MARK).await;
        self.markers
            .remove_all(std::mem::take(&mut self.batch))
            .await;
        Ok(())
    }

    fn message(&self, marker: &Marker) -> (Span, Message) {
        let span = trace::publish_span(&marker.kind, &marker.id, marker.traceparent.as_deref());
        let body = marker.body.clone().into_bytes();
        let mut message = Message::event(&self.broker, &marker.kind, &marker.id, body);
        span.in_scope(|| trace::inject(&mut message.headers));
        (span, message)
    }
}

/// Endless: shows what waits.
async fn measure(markers: Markers) {
    loop {
        if let Ok(waiting) = markers.waiting(COUNTED).await {
            let now = clock::now().timestamp_millis();
            let oldest = waiting.iter().map(|marker| now - marker.created_at).max();
            let oldest = oldest.and_then(|age| u64::try_from(age).ok());
            let rows = i64::try_from(waiting.len()).unwrap_or(i64::MAX);
            metrics::outbox(rows, Duration::from_millis(oldest.unwrap_or_default()));
        }
        tokio::time::sleep(MEASURING).await;
    }
}
