//! Consumers: a queue each, and a handler for each type of event.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use tokio::time::Instant;
use topology::{Subscription, queue_name};

use crate::{
    Broker, Envelope, Event, Failure, dead_letters,
    declare::{Wanted, declare_consumer},
    session::{OPEN_DEADLINE, Session, run},
};

/// What one try of a handler may take.
const HANDLER_DEADLINE: Duration = Duration::from_secs(30);
/// How long a start waits for the broker.
const DECLARING: Duration = Duration::from_secs(5);
/// Events that the broker gives out before the first is acknowledged.
const PREFETCH: u16 = 64;
/// How long a broker may take to come up.
const BOOTING: Duration = Duration::from_secs(30);
/// How often a queue is looked for that is not there yet.
const LOOKING: Duration = Duration::from_millis(100);

/// An event as a handler gets it.
#[derive(Debug, Clone)]
pub struct Received<E> {
    /// Its id, the same each time that it is delivered: for [`inbox::once`](crate::inbox::once).
    pub id: String,
    /// The service that it happened in: `/users`.
    pub source: String,
    /// The aggregate that it happened to.
    pub subject: String,
    /// When it happened.
    pub time: DateTime<Utc>,
    /// Which try this is, from 1.
    pub attempt: u32,
    /// Whether it is the last one: if this fails too, the event is dead.
    pub last: bool,
    /// Whether somebody sent it again who had seen it among the dead letters.
    pub replayed: bool,
    /// What happened.
    pub data: E,
}

pub(crate) type Handler =
    Box<dyn Fn(Envelope, Try) -> BoxFuture<'static, Result<(), Failure>> + Send + Sync>;

/// One try to handle an event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Try {
    pub(crate) attempt: u32,
    pub(crate) last: bool,
    pub(crate) replayed: bool,
}

/// A consumer: `<service>.<name>` is its queue.
///
/// Events of one subject are handled one after the other, in their order; those of several
/// subjects at once. One instance at a time gets the events, another one takes over when it ends;
/// with [`Consumer::shared`] all instances do, and order is not kept. A handler sees an event
/// twice when a process or a link died at the wrong moment, and an event that failed comes after
/// its successors: write the event id into the inbox with the effect, and expect gaps.
pub struct Consumer {
    pub(crate) name: String,
    pub(crate) handlers: BTreeMap<&'static str, Handler>,
    pub(crate) dropped: Vec<&'static str>,
    /// What its service says of it.
    subscription: Option<Subscription>,
    pub(crate) prefetch: u16,
    pub(crate) ordered: bool,
    pub(crate) deadline: Duration,
}

impl fmt::Debug for Consumer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Consumer")
            .field("name", &self.name)
            .field("types", &self.handlers.keys())
            .finish_non_exhaustive()
    }
}

impl Consumer {
    /// A consumer that handles nothing yet.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            handlers: BTreeMap::new(),
            dropped: Vec::new(),
            subscription: None,
            prefetch: PREFETCH,
            ordered: true,
            deadline: HANDLER_DEADLINE,
        }
    }

    /// The consumer that a service's description speaks of: its queue is there before the service.
    pub fn of(subscription: &Subscription) -> Self {
        Self {
            dropped: subscription.dropped.to_vec(),
            ordered: !subscription.shared,
            subscription: Some(*subscription),
            ..Self::new(subscription.name)
        }
    }

    /// Handles events of type `E`.
    #[must_use]
    pub fn on<E, H, R>(self, handler: H) -> Self
    where
        E: Event,
        H: Fn(Received<E>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        self.on_kind(E::TYPE, handler)
    }

    /// Handles events of a type whose payload is an `E`.
    pub(crate) fn on_kind<E, H, R>(mut self, kind: &'static str, handler: H) -> Self
    where
        E: Event,
        H: Fn(Received<E>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        let handle: Handler = Box::new(move |envelope, this| {
            let data = match envelope.payload::<E>() {
                Ok(data) => data,
                Err(poison) => {
                    return Box::pin(std::future::ready(Err(Failure::Reject(poison.to_string()))));
                }
            };
            Box::pin(handler(Received {
                id: envelope.id,
                source: envelope.source,
                subject: envelope.subject,
                time: envelope.time,
                attempt: this.attempt,
                last: this.last,
                replayed: this.replayed,
                data,
            }))
        });
        self.handlers.insert(kind, handle);
        self
    }

    /// Ends the interest in a type that an earlier version handled.
    #[must_use]
    pub fn no_longer(mut self, kind: &'static str) -> Self {
        self.dropped.push(kind);
        self
    }

    /// Lets all instances share the events, whose order is lost by that.
    #[must_use]
    pub fn shared(mut self) -> Self {
        self.ordered = false;
        self
    }

    /// How many events are handled or wait in this process at once.
    #[must_use]
    pub fn prefetch(mut self, events: u16) -> Self {
        self.prefetch = events.max(1);
        self
    }

    /// What one try of a handler may take.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Consumes until the process ends; then handlers in flight finish.
    ///
    /// Returns when the queue is declared, so that a service that is ready misses nothing from
    /// then on; or after a few seconds, for a broker that is away is no reason not to start. One
    /// that is there and slow gets the time that declaring may take. The next consumers of the same
    /// service do not wait for it again.
    ///
    /// # Panics
    /// When it handles other types than its [`Subscription`] says.
    pub async fn start(self, broker: &Broker, context: &chassis::Context) {
        self.check();
        let queue = queue_name(broker.service(), &self.name);
        let session = Arc::new(Session::new(broker.clone(), broker.name(&queue), self));
        let (reached, declared) = (session.reached.clone(), session.declared.clone());
        context.tasks.spawn(run(session, context.shutdown.clone()));
        if broker.is_away() {
            return;
        }
        let patience = async {
            tokio::time::sleep(DECLARING).await;
            if reached.is_cancelled() {
                tokio::time::sleep(OPEN_DEADLINE).await;
            }
        };
        tokio::select! {
            () = declared.cancelled() => {}
            () = context.shutdown.cancelled() => {}
            () = patience => {
                broker.give_up();
                tracing::warn!(queue, "service starts without the broker");
            }
        }
    }
}

impl Consumer {
    fn check(&self) {
        let Some(subscription) = self.subscription else {
            return;
        };
        let said: BTreeSet<_> = subscription.events.iter().copied().collect();
        let handled: BTreeSet<_> = self.handlers.keys().copied().collect();
        assert_eq!(said, handled, "events of the consumer `{}`", self.name);
    }
}

/// Makes the queues of a service, at a broker that may be starting at this very moment.
///
/// # Errors
/// When the broker is away for too long, or does not let it.
pub async fn declare(broker: &Broker, subscriptions: &[Subscription]) -> anyhow::Result<()> {
    let deadline = Instant::now() + BOOTING;
    let link = loop {
        match broker.connect("declare").await {
            Ok(link) => break link,
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(_) => tokio::time::sleep(LOOKING).await,
        }
    };
    let declaring = async {
        for subscription in subscriptions {
            let queue = broker.name(&queue_name(broker.service(), subscription.name));
            let wanted = Wanted {
                queue: &queue,
                kinds: subscription.events.to_vec(),
                dropped: subscription.dropped,
                ordered: !subscription.shared,
            };
            declare_consumer(&link, broker, &wanted).await?;
        }
        anyhow::Ok(())
    };
    let declared = tokio::time::timeout(OPEN_DEADLINE, declaring).await;
    link.close().await;
    declared.context("the broker does not answer")?
}

/// Waits until the queue of a consumer (`timelines.follows`) is there, which may take longer than
/// [`Consumer::start`] waits: what is published before that reaches nobody.
///
/// # Errors
/// When it is not there after `patience`.
pub async fn declared(broker: &Broker, queue: &str, patience: Duration) -> anyhow::Result<()> {
    let deadline = Instant::now() + patience;
    loop {
        match dead_letters::waiting(broker, queue).await {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(_) => tokio::time::sleep(LOOKING).await,
        }
    }
}
