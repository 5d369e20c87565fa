//! Somebody else at the broker, who knows nothing of our rules.

use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    options::{
        BasicPublishOptions, ExchangeDeleteOptions, QueueDeclareOptions, QueueDeleteOptions,
    },
    types::{AMQPValue, FieldTable},
};
use mesh_messaging::EXCHANGE;

use crate::helpers::Place;

#[derive(Debug)]
pub(crate) struct Stranger {
    connection: Connection,
    channel: Channel,
    prefix: String,
}

impl Stranger {
    pub(crate) async fn connect(place: &Place) -> Self {
        let (url, prefix) = place.amqp.split_once("?prefix=").unwrap();
        let url = format!("{}/%2f", url.trim_end_matches("%2f").trim_end_matches('/'));
        let connection = Connection::connect(&url, ConnectionProperties::default());
        let connection = connection.await.unwrap();
        Self {
            channel: connection.create_channel().await.unwrap(),
            connection,
            prefix: prefix.to_owned(),
        }
    }

    /// Publishes anything as if it were an event.
    pub(crate) async fn publish(&self, body: &[u8], headers: FieldTable) {
        let exchange = format!("{}{EXCHANGE}", self.prefix);
        let properties = BasicProperties::default()
            .with_message_id("stranger".into())
            .with_headers(headers);
        let options = BasicPublishOptions::default();
        let key = "counter.counted".into();
        let published = self
            .channel
            .basic_publish(exchange.into(), key, options, body, properties);
        published.await.unwrap();
    }

    /// Declares a queue that is not like ours.
    pub(crate) async fn take(&self, queue: &str) {
        let name = format!("{}{queue}", self.prefix);
        let options = QueueDeclareOptions::durable();
        let declared = self
            .channel
            .queue_declare(name.into(), options, FieldTable::default());
        declared.await.unwrap();
    }

    /// Declares a queue as it was before each service had an exchange of its own: dead letters went by the default one.
    pub(crate) async fn declare_as_before(&self, queue: &str) {
        let name = format!("{}{queue}", self.prefix);
        let text = |value: &str| AMQPValue::LongString(value.into());
        let mut table = FieldTable::default();
        table.insert("x-queue-type".into(), text("quorum"));
        table.insert("x-dead-letter-exchange".into(), text(""));
        let dead = format!("{name}.dead");
        table.insert("x-dead-letter-routing-key".into(), text(&dead));
        table.insert("x-dead-letter-strategy".into(), text("at-least-once"));
        table.insert("x-overflow".into(), text("reject-publish"));
        table.insert("x-delivery-limit".into(), AMQPValue::LongInt(20));
        table.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
        let options = QueueDeclareOptions::durable();
        let declared = self.channel.queue_declare(name.into(), options, table);
        declared.await.unwrap();
    }

    pub(crate) async fn delete_queue(&self, queue: &str) {
        let name = format!("{}{queue}", self.prefix);
        let deleted = self
            .channel
            .queue_delete(name.into(), QueueDeleteOptions::default());
        deleted.await.unwrap();
    }

    /// Deletes the exchange of all events, and with it all bindings.
    pub(crate) async fn delete_exchange(&self) {
        let name = format!("{}{EXCHANGE}", self.prefix);
        let deleted = self
            .channel
            .exchange_delete(name.into(), ExchangeDeleteOptions::default());
        deleted.await.unwrap();
    }

    pub(crate) async fn leave(self) {
        self.connection.close(200, "done".into()).await.unwrap();
    }
}
