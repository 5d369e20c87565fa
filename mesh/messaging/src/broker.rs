//! The way to RabbitMQ: where it is, what things are called there, and links to it.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use chassis::Context;
use discovery::Dns;
use futures_util::StreamExt as _;
use lapin::{Connection, ConnectionProperties, Event, uri::AMQPUri};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::watch;

use crate::{failpoint::Failpoints, metrics, publish::Publisher};

/// What connecting may take.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// What closing a link in order may take.
const CLOSE_DEADLINE: Duration = Duration::from_secs(1);
/// A broker that is silent for twice as long, in seconds, is gone.
const HEARTBEAT: u16 = 10;
/// How long a failed event waits for its second, third, fourth and fifth try.
const RETRY_DELAYS: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_mins(2),
];

/// The settings of a service with events.
#[derive(Debug, Clone, clap::Args)]
#[group(id = "messaging")]
pub struct Settings {
    /// URL of RabbitMQ; `?prefix=` puts a text before the names of exchanges and queues
    #[arg(
        long,
        env = "AMQP_URL",
        hide_env_values = true,
        default_value = "amqp://rabbitmq.service.consul/",
        hide_default_value = true
    )]
    pub amqp_url: SecretString,
    /// For tests of failures: the process dies when it comes to this place for the first time
    #[arg(long, env = "MESSAGING_FAILPOINT", hide = true)]
    pub messaging_failpoint: Option<String>,
}

/// The broker, as one service knows it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Broker {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    service: String,
    instance: String,
    dns: Dns,
    url: SecretString,
    prefix: String,
    delays: Vec<Duration>,
    failpoints: Failpoints,
    publisher: Publisher,
    /// Queues that an earlier version made.
    older: Mutex<BTreeSet<String>>,
    /// Somebody waited for it in vain, and nobody has reached it since.
    is_away: AtomicBool,
}

impl Broker {
    /// The broker for `service`. Nothing is connected yet: a broker that is away is no reason not
    /// to start.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn new(service: &str, settings: &Settings, context: &Context) -> anyhow::Result<Self> {
        Self::with_delays(service, settings, context, &RETRY_DELAYS)
    }

    /// As [`Broker::new`], with other pauses before the second try and those after it.
    ///
    /// # Errors
    /// As [`Broker::new`].
    pub fn with_delays(
        service: &str,
        settings: &Settings,
        context: &Context,
        delays: &[Duration],
    ) -> anyhow::Result<Self> {
        let broker = Self::build(service, &context.instance, &context.dns, settings, delays)?;
        if let Some(name) = &settings.messaging_failpoint {
            anyhow::ensure!(
                context.settings.plaza_env == chassis::Environment::Development,
                "MESSAGING_FAILPOINT is for tests: it is refused in production"
            );
            broker.failpoints().abort_at(name);
        }
        Ok(broker)
    }

    /// The broker for a person at work on it: for [`dead_letters`](crate::dead_letters).
    ///
    /// # Errors
    /// As [`Broker::new`].
    pub fn operated(settings: &Settings, dns: &Dns) -> anyhow::Result<Self> {
        Self::build("operator", "operator", dns, settings, &RETRY_DELAYS)
    }

    fn build(
        service: &str,
        instance: &str,
        dns: &Dns,
        settings: &Settings,
        delays: &[Duration],
    ) -> anyhow::Result<Self> {
        let (url, prefix) = split_prefix(settings.amqp_url.expose_secret());
        // A host of Consul's zone has no port yet, but is a URL already.
        parse(&url).context("AMQP_URL")?;
        Ok(Self {
            inner: Arc::new(Inner {
                service: service.to_owned(),
                instance: instance.to_owned(),
                dns: dns.clone(),
                url: url.into(),
                prefix,
                delays: delays.to_vec(),
                failpoints: Failpoints::default(),
                publisher: Publisher::default(),
                older: Mutex::default(),
                is_away: AtomicBool::new(false),
            }),
        })
    }

    /// The service's name.
    pub fn service(&self) -> &str {
        &self.inner.service
    }

    /// Where this process may be made to die, for tests.
    pub fn failpoints(&self) -> &Failpoints {
        &self.inner.failpoints
    }

    /// The link that all publications of the process take.
    pub(crate) fn publisher(&self) -> &Publisher {
        &self.inner.publisher
    }

    /// Whether it is of no use to wait: somebody did in vain, and nobody has reached it since.
    pub(crate) fn is_away(&self) -> bool {
        self.inner.is_away.load(Ordering::Relaxed)
    }

    /// Says that somebody waited in vain.
    pub(crate) fn give_up(&self) {
        self.inner.is_away.store(true, Ordering::Relaxed);
    }

    /// How long a failed event waits for each try after the first.
    pub(crate) fn delays(&self) -> &[Duration] {
        &self.inner.delays
    }

    /// Whether an earlier version made a queue.
    pub(crate) fn is_older(&self, queue: &str) -> bool {
        let older = self.inner.older.lock();
        let older = older.unwrap_or_else(PoisonError::into_inner);
        older.contains(queue)
    }

    pub(crate) fn set_older(&self, queue: &str, is_older: bool) {
        let older = self.inner.older.lock();
        let mut older = older.unwrap_or_else(PoisonError::into_inner);
        if is_older {
            older.insert(queue.to_owned());
        } else {
            older.remove(queue);
        }
    }

    /// A name at the broker.
    pub(crate) fn name(&self, name: &str) -> String {
        format!("{}{name}", self.inner.prefix)
    }

    /// Connects once. The broker's address is looked up anew each time: it may have moved.
    pub(crate) async fn connect(&self, role: &str) -> anyhow::Result<Link> {
        let connecting = async {
            let url = self.inner.url.expose_secret();
            let url = self.inner.dns.resolve_url(url).await?;
            let name = format!("{} {role}", self.inner.instance);
            let properties = ConnectionProperties::default().with_connection_name(name.into());
            anyhow::Ok(Connection::connect_uri(parse(&url)?, properties).await?)
        };
        let connection = tokio::time::timeout(CONNECT_DEADLINE, connecting)
            .await
            .context("the broker does not answer in time")??;
        self.inner.is_away.store(false, Ordering::Relaxed);
        let (sender, blocked) = watch::channel(false);
        tokio::spawn(follow(connection.events_listener(), sender));
        Ok(Link {
            connection,
            blocked,
        })
    }
}

/// A connection, and whether the broker reads from it.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) connection: Connection,
    pub(crate) blocked: watch::Receiver<bool>,
}

impl Link {
    /// Closes it in order, which gives back what is not acknowledged. A link that is only dropped
    /// may stay open as long as something waits for it.
    pub(crate) async fn close(&self) {
        let closing = self.connection.close(200, "done".into());
        let _ = tokio::time::timeout(CLOSE_DEADLINE, closing).await;
    }
}

/// Notes when the broker stops and starts to read; ends with the connection.
async fn follow(
    events: impl futures_util::Stream<Item = Event> + Send,
    sender: watch::Sender<bool>,
) {
    let mut events = std::pin::pin!(events);
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            // The link is dropped.
            () = sender.closed() => None,
        };
        match event {
            Some(Event::ConnectionBlocked(reason)) => {
                tracing::warn!(reason, "broker takes no events");
                metrics::blocked(true);
                sender.send_replace(true);
            }
            Some(Event::ConnectionUnblocked) => {
                tracing::info!("broker takes events again");
                metrics::blocked(false);
                sender.send_replace(false);
            }
            Some(Event::Error(_)) | None => break,
            Some(_) => {}
        }
    }
    if *sender.borrow() {
        metrics::blocked(false);
    }
}

fn parse(url: &str) -> anyhow::Result<AMQPUri> {
    // Its own refusal says the URL, and the password in it, back.
    let mut uri: AMQPUri = url
        .parse()
        .map_err(|_| anyhow::anyhow!("it must be amqp://user:password@host/"))?;
    if uri.vhost.is_empty() {
        "/".clone_into(&mut uri.vhost);
    }
    uri.query.heartbeat.get_or_insert(HEARTBEAT);
    Ok(uri)
}

/// The URL without `prefix`, and the prefix.
fn split_prefix(url: &str) -> (String, String) {
    let Some((start, query)) = url.split_once('?') else {
        return (url.to_owned(), String::new());
    };
    let mut prefix = String::new();
    let mut kept = Vec::new();
    for pair in query.split('&') {
        match pair.strip_prefix("prefix=") {
            Some(value) => value.clone_into(&mut prefix),
            None => kept.push(pair),
        }
    }
    let mark = if kept.is_empty() { "" } else { "?" };
    (format!("{start}{mark}{}", kept.join("&")), prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_is_ours_and_the_rest_is_the_brokers() {
        let split = |url| split_prefix(url);
        let of = |url: &str, prefix: &str| (url.to_owned(), prefix.to_owned());
        assert_eq!(split("amqp://h/"), of("amqp://h/", ""));
        assert_eq!(split("amqp://h/?prefix=t."), of("amqp://h/", "t."));
        assert_eq!(
            split("amqp://h/v?heartbeat=5&prefix=t."),
            of("amqp://h/v?heartbeat=5", "t.")
        );
    }

    #[test]
    fn no_path_is_the_default_virtual_host() {
        assert_eq!(parse("amqp://u:p@127.0.0.1:1/").unwrap().vhost, "/");
        assert_eq!(parse("amqp://u:p@127.0.0.1:1/x").unwrap().vhost, "x");
        for bad in ["http://u:canary@127.0.0.1", "amqp:canary", "canary"] {
            let refused = format!("{:#}", parse(bad).unwrap_err());
            assert!(!refused.contains("canary"), "{refused}");
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        #[derive(Debug, clap::Parser)]
        struct Cli {
            #[command(flatten)]
            settings: Settings,
        }
        let flags = ["x", "--amqp-url", "amqp://u:canary@h/"];
        let cli = <Cli as clap::Parser>::parse_from(flags);
        assert!(!format!("{cli:?}").contains("canary"));
    }
}
