//! The service under test with a mail server, people and a broker's queues of its own.

use lapin::{
    BasicProperties, Connection, ConnectionProperties,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};
use messaging::{Broker, EXCHANGE, Envelope, Event, dead_letters, dead_letters::DeadLetter};
use notifications::Notifications;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{PATIENCE, Reply, TestService, eventually, stores, unique};

use crate::{people::People, smtp::Smtp};

/// Who asks in most tests.
pub const ANNA: i64 = 7;
/// Somebody else.
pub const BEN: i64 = 8;
/// The consumer of jobs.
pub const MAIL: &str = "notifications.mail";
/// The consumer of what happens elsewhere.
pub const EVENTS: &str = "notifications.events";

/// Where the suite's notifications are kept.
#[derive(Debug, Clone, Copy)]
pub enum Backend {
    Sqlite,
    Postgres,
}

/// Runs each test once a backend, as `sqlite::<test>` and `postgres::<test>`.
#[macro_export]
macro_rules! on_each_store {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test] async fn $test() { super::$test($crate::helpers::Backend::Sqlite).await })+
        }
        mod postgres {
            $(#[tokio::test] async fn $test() { super::$test($crate::helpers::Backend::Postgres).await })+
        }
    };
}

/// The service with all that it needs.
pub struct Plaza {
    pub service: TestService<Notifications>,
    pub smtp: Smtp,
    pub people: People,
    pub amqp: String,
    /// What every further instance is started with too.
    pub flags: Vec<String>,
}

impl Plaza {
    pub async fn start(backend: Backend) -> Self {
        Self::start_with(backend, &[]).await
    }

    pub async fn start_with(backend: Backend, flags: &[&str]) -> Self {
        Self::start_at(backend, Smtp::start().await, flags).await
    }

    /// With this mail server.
    pub async fn start_at(backend: Backend, smtp: Smtp, more: &[&str]) -> Self {
        let (people, url) = People::start();
        let amqp = stores::amqp();
        let mut flags: Vec<String> = [
            format!("--upstream-urls=users={url},discussions={url}"),
            format!("--amqp-url={amqp}"),
            "--smtp-host=127.0.0.1".into(),
            format!("--smtp-port={}", smtp.port),
            "--smtp-timeout-seconds=20".into(),
            "--mail-retry-seconds=0.1,0.1,0.5,3".into(),
        ]
        .into();
        if let Backend::Postgres = backend {
            let url = stores::postgres().await;
            flags.push(format!("--notifications-database-url={url}"));
        }
        // What a test says counts, for every instance but `--roles`.
        let name = |flag: &str| flag.split('=').next().unwrap().to_owned();
        flags.retain(|flag| !more.iter().any(|other| name(other) == name(flag)));
        let (own, common): (Vec<&str>, Vec<&str>) = more
            .iter()
            .copied()
            .partition(|flag| flag.starts_with("--roles"));
        flags.extend(common.into_iter().map(str::to_owned));
        let all: Vec<&str> = flags.iter().map(String::as_str).chain(own).collect();
        Self {
            service: TestService::start(&all).await,
            smtp,
            people,
            amqp,
            flags,
        }
    }

    /// One instance more over the same data.
    pub async fn another(&self) -> TestService<Notifications> {
        let flags: Vec<&str> = self.flags.iter().map(String::as_str).collect();
        TestService::start_in(self.service.data(), &flags).await
    }

    pub async fn send(&self, user_id: i64, body: &Value) -> Reply {
        send(&self.service, user_id, body).await
    }

    /// Has a mail sent; its id.
    pub async fn mail(&self, to: &str) -> String {
        let body = json!({"type": "email", "recipient": to, "message": "Hello"});
        let reply = self.send(ANNA, &body).await;
        reply.expect(202)["notification"]["id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    pub async fn get_as(&self, user_id: i64, path: &str) -> Reply {
        get_as(&self.service, user_id, path).await
    }

    /// Waits until a notification of Anna's has this status.
    pub async fn fate(&self, id: &str, status: &str) -> Value {
        let path = format!("/notifications/{id}");
        eventually(status, || async {
            let reply = self.get_as(ANNA, &path).await;
            let fate = reply.expect(200).clone();
            if fate["status"] == status {
                Ok(fate)
            } else {
                Err(reply.text)
            }
        })
        .await
    }

    pub fn broker(&self) -> Broker {
        let settings = messaging::Settings {
            amqp_url: self.amqp.clone().into(),
            messaging_failpoint: None,
        };
        Broker::new("probe", &settings, &self.service.context).unwrap()
    }

    /// Waits until a queue is there: what is published before reaches nobody.
    pub async fn declared(&self, queue: &str) {
        let found = messaging::declared(&self.broker(), queue, PATIENCE).await;
        found.unwrap();
    }

    /// Dead letters of the consumer of jobs.
    pub async fn dead(&self) -> Result<Vec<DeadLetter>, String> {
        let letters = dead_letters::list(&self.broker(), MAIL, 1000).await;
        letters.map_err(|error| format!("{error:#}"))
    }

    /// Waits until there is a dead letter.
    pub async fn first_dead(&self) -> DeadLetter {
        eventually("a dead letter", || async {
            let mut letters = self.dead().await?.into_iter();
            letters.next().ok_or_else(|| "none".into())
        })
        .await
    }

    /// Publishes an event as its service would; its id.
    pub async fn publish<E: Event>(&self, event: &E) -> String {
        let service = E::TYPE.split('.').next().unwrap();
        let envelope = Envelope::new(service, event).unwrap();
        self.publish_again(&envelope).await;
        envelope.id
    }

    /// Publishes an event that may have been published before.
    pub async fn publish_again(&self, envelope: &Envelope) {
        let (url, prefix) = self.amqp.split_once("?prefix=").unwrap();
        let slash = if url.ends_with('/') { "%2f" } else { "" };
        let properties = ConnectionProperties::default();
        let url = format!("{url}{slash}");
        let connection = Connection::connect(&url, properties).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        let confirms = ConfirmSelectOptions::default();
        channel.confirm_select(confirms).await.unwrap();
        let properties = BasicProperties::default()
            .with_delivery_mode(2)
            .with_message_id(envelope.id.as_str().into());
        let body = envelope.to_json().unwrap().into_bytes();
        channel
            .basic_publish(
                format!("{prefix}{EXCHANGE}").into(),
                envelope.kind.as_str().into(),
                BasicPublishOptions::default(),
                &body,
                properties,
            )
            .await
            .unwrap()
            .await
            .unwrap();
        connection.close(200, "done".into()).await.unwrap();
    }
}

pub async fn send(service: &TestService<Notifications>, user_id: i64, body: &Value) -> Reply {
    let token = service.token(user_id, &format!("user{user_id}"));
    service
        .call(Method::POST, "/notifications/send", &token, body)
        .await
}

pub async fn get_as(service: &TestService<Notifications>, user_id: i64, path: &str) -> Reply {
    let token = service.token(user_id, &format!("user{user_id}"));
    service.call(Method::GET, path, &token, &Value::Null).await
}

/// An address that no other test uses.
pub fn address() -> String {
    format!("{}@example.com", unique("to"))
}
