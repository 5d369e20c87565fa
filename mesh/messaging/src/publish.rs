//! Publishing with confirms, over one link that is made again when it is lost.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use lapin::{
    BasicProperties, Channel, Confirmation, PublisherConfirm,
    options::{BasicPublishOptions, ConfirmSelectOptions},
    types::{FieldTable, ShortString},
};
use tokio::sync::{Mutex, watch};
use topology::EXCHANGE;

use crate::{
    Broker, Envelope, Event, Failure, broker::Link, declare, event::CONTENT_TYPE, metrics,
};

/// Kept over a restart of the broker.
const PERSISTENT: u8 = 2;
/// A broker that neither confirms nor says that it is blocked for this long is as good as gone.
const DEADLINE: Duration = Duration::from_secs(10);

/// One message to publish.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) exchange: String,
    pub(crate) key: String,
    pub(crate) id: String,
    pub(crate) body: Vec<u8>,
    pub(crate) headers: FieldTable,
    /// The type that it is counted under; none when it was counted before.
    pub(crate) kind: Option<String>,
}

impl Message {
    /// An event for everybody.
    pub(crate) fn event(broker: &Broker, kind: &str, id: &str, body: Vec<u8>) -> Self {
        Self {
            exchange: broker.name(EXCHANGE),
            key: kind.to_owned(),
            id: id.to_owned(),
            body,
            headers: FieldTable::default(),
            kind: Some(kind.to_owned()),
        }
    }
}

impl Broker {
    /// Publishes an event that no change in a store is behind: whoever says it can say it again. All others go by an outbox.
    ///
    /// # Errors
    /// When the broker is away, or nobody wants it.
    pub async fn publish<E: Event>(&self, event: &E) -> Result<(), Failure> {
        self.publish_as(E::TYPE, event).await
    }

    /// The same under another type.
    pub(crate) async fn publish_as<E: Event>(&self, kind: &str, event: &E) -> Result<(), Failure> {
        let mut envelope = Envelope::new(self.service(), event).map_err(Failure::of)?;
        kind.clone_into(&mut envelope.kind);
        let body = envelope.to_json().map_err(Failure::of)?.into_bytes();
        let message = Message::event(self, kind, &envelope.id, body);
        let published = self.publisher().publish(self, vec![message]).await;
        match published.map_err(Failure::Wait)?.as_slice() {
            [Fate::Confirmed] => Ok(()),
            _ => Err(Failure::Retry(anyhow::anyhow!("no queue wants {kind}"))),
        }
    }
}

/// What the broker said to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It has it.
    Confirmed,
    /// It has read it, and no queue wanted it.
    Unrouted,
}

/// The link of one process for everything that it publishes.
#[derive(Debug, Default)]
pub(crate) struct Publisher {
    link: Mutex<Option<Arc<Open>>>,
}

#[derive(Debug)]
struct Open {
    link: Link,
    channel: Channel,
}

impl Publisher {
    /// Waits until there is a broker that takes messages, for one attempt to connect.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) async fn ready(&self, broker: &Broker) -> anyhow::Result<()> {
        let open = self.open(broker).await?;
        let mut blocked = open.link.blocked.clone();
        blocked.wait_for(|blocked| !blocked).await?;
        Ok(())
    }

    /// Publishes in order and waits until the broker has every one; their fates, in order.
    ///
    /// After an error each of them may or may not have arrived: they have to be sent again.
    ///
    /// # Errors
    /// When the broker is away, blocked, or refuses one.
    pub(crate) async fn publish(
        &self,
        broker: &Broker,
        messages: Vec<Message>,
    ) -> anyhow::Result<Vec<Fate>> {
        let open = self.open(broker).await?;
        let kinds: Vec<Option<String>> = messages
            .iter()
            .map(|message| message.kind.clone())
            .collect();
        match open.send(messages).await {
            Ok(fates) => {
                for (kind, fate) in kinds.iter().zip(&fates) {
                    match (kind, fate) {
                        (Some(kind), Fate::Confirmed) => metrics::confirmed(kind),
                        (Some(kind), Fate::Unrouted) => metrics::unrouted(kind),
                        (None, _) => {}
                    }
                }
                Ok(fates)
            }
            Err(error) => {
                // A link that is merely blocked stays: its end would only hide that.
                if !*open.link.blocked.borrow() {
                    self.discard(&open).await;
                }
                Err(error)
            }
        }
    }

    async fn open(&self, broker: &Broker) -> anyhow::Result<Arc<Open>> {
        let mut link = self.link.lock().await;
        if let Some(open) = link.as_ref() {
            if open.link.connection.status().connected() && open.channel.status().connected() {
                return Ok(Arc::clone(open));
            }
            metrics::connected("publish", false);
            *link = None;
        }
        let opening = tokio::time::timeout(DEADLINE, Open::new(broker));
        let open = Arc::new(opening.await.context("the broker does not answer")??);
        metrics::connected("publish", true);
        *link = Some(Arc::clone(&open));
        Ok(open)
    }

    /// Forgets a link that failed, unless that is done already.
    async fn discard(&self, failed: &Arc<Open>) {
        let mut link = self.link.lock().await;
        if link.as_ref().is_some_and(|open| Arc::ptr_eq(open, failed)) {
            *link = None;
            metrics::connected("publish", false);
            let failed = Arc::clone(failed);
            tokio::spawn(async move { failed.link.close().await });
        }
    }
}

impl Open {
    async fn new(broker: &Broker) -> anyhow::Result<Self> {
        let link = broker.connect("publish").await?;
        declare::declare_events(&link, broker).await?;
        let channel = link.connection.create_channel().await?;
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await?;
        Ok(Self { link, channel })
    }

    async fn send(&self, messages: Vec<Message>) -> anyhow::Result<Vec<Fate>> {
        let mut blocked = self.link.blocked.clone();
        let mut pending = Vec::with_capacity(messages.len());
        for message in messages {
            pending.push(patiently(self.start(message), &mut blocked).await??);
        }
        let mut fates = Vec::with_capacity(pending.len());
        for confirm in pending {
            fates.push(fate(&patiently(confirm, &mut blocked).await??)?);
        }
        Ok(fates)
    }

    async fn start(&self, message: Message) -> lapin::Result<PublisherConfirm> {
        if let Some(kind) = &message.kind {
            metrics::published(kind);
        }
        let properties = BasicProperties::default()
            .with_content_type(ShortString::from(CONTENT_TYPE))
            .with_delivery_mode(PERSISTENT)
            .with_message_id(ShortString::from(message.id.as_str()))
            .with_headers(message.headers);
        let options = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        let (exchange, key) = (message.exchange.as_str(), message.key.as_str());
        self.channel
            .basic_publish(
                exchange.into(),
                key.into(),
                options,
                &message.body,
                properties,
            )
            .await
    }
}

/// Waits for the broker, but not while it is blocked, and not for ever.
async fn patiently<T>(
    waiting: impl Future<Output = T>,
    blocked: &mut watch::Receiver<bool>,
) -> anyhow::Result<T> {
    tokio::select! {
        biased;
        done = waiting => Ok(done),
        Ok(_) = blocked.wait_for(|blocked| *blocked) => anyhow::bail!("the broker takes no events"),
        () = tokio::time::sleep(DEADLINE) => anyhow::bail!("the broker does not confirm"),
    }
}

fn fate(confirmation: &Confirmation) -> anyhow::Result<Fate> {
    match confirmation {
        Confirmation::Ack(None) => Ok(Fate::Confirmed),
        Confirmation::Ack(Some(_)) => Ok(Fate::Unrouted),
        Confirmation::Nack(_) => anyhow::bail!("the broker refused an event"),
        Confirmation::NotRequested => anyhow::bail!("the channel has no confirms"),
    }
}
