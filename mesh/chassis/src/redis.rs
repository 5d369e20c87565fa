//! Redis: for what may be lost (D28). Whoever asks must be able to go on without it.
//!
//! A [`Redis`] connects and reconnects behind, looking its host up anew each time. While it is
//! known to be away, an operation fails at once, so that requests do not wait for it one by one.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt as _;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::{mpsc, watch};
use tracing::Instrument as _;

use ::redis::{AsyncConnectionConfig, Client, RedisError, RedisResult, aio::MultiplexedConnection};
pub use ::redis::{Cmd, FromRedisValue, Pipeline, Script, ScriptInvocation, Value, cmd, pipe};

use crate::{Context, stores};

/// What connecting may take.
const CONNECT_DEADLINE: Duration = Duration::from_secs(1);
/// Messages that wait for a listener before Redis has to.
const HEARD: usize = 1024;
/// Pauses between attempts to connect: from, to.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// Where Redis is.
#[derive(Debug, Clone, clap::Args)]
#[group(id = "redis")]
pub struct Settings {
    /// URL of Redis
    #[arg(
        long,
        env = "REDIS_URL",
        hide_env_values = true,
        default_value = "redis://127.0.0.1:6379/0"
    )]
    pub redis_url: SecretString,
    /// Milliseconds that one operation may take: a cache that is slower is no help
    #[arg(long, env = "REDIS_TIMEOUT_MILLIS", default_value_t = 250, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pub redis_timeout_millis: u64,
}

/// Redis did not answer, or with an error: the operation may or may not have happened.
#[derive(Debug, thiserror::Error)]
pub enum Away {
    /// There is no connection now.
    #[error("Redis is away")]
    Disconnected,
    /// No answer in time.
    #[error("Redis did not answer in time")]
    Timeout,
    /// The connection broke, or the server refused.
    #[error("Redis: {0}")]
    Failed(#[from] RedisError),
}

/// What a listener hears ([`Redis::listen`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Somebody said something.
    Message(Vec<u8>),
    /// From now on everything is heard; what was said before may be lost.
    Connected,
    /// From now on nothing is heard.
    Lost,
}

/// A connection with a number, so that a late failure of an old one does not end its successor.
type Numbered = (u64, MultiplexedConnection);

/// One connection that all requests share.
#[derive(Clone)]
pub struct Redis {
    connection: Arc<watch::Sender<Option<Numbered>>>,
    deadline: Duration,
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Redis")
    }
}

impl Redis {
    /// Starts to connect, and waits a second at most: without Redis the service starts too.
    pub async fn connect(settings: &Settings, context: &Context) -> Self {
        let redis = Self {
            connection: Arc::new(watch::Sender::new(None)),
            deadline: Duration::from_millis(settings.redis_timeout_millis),
        };
        let (keeper, dns, url) = (
            redis.clone(),
            context.dns.clone(),
            settings.redis_url.clone(),
        );
        context.spawn(async move { keeper.keep(&dns, &url).await });
        let mut connected = redis.connection.subscribe();
        let connected = connected.wait_for(Option::is_some);
        let _ = tokio::time::timeout(CONNECT_DEADLINE, connected).await;
        redis
    }

    /// Listens to a channel, over a connection of its own that comes back when it is lost.
    pub fn listen(
        settings: &Settings,
        context: &Context,
        channel: &'static str,
    ) -> mpsc::Receiver<Heard> {
        let (heard, hears) = mpsc::channel(HEARD);
        let (dns, url) = (context.dns.clone(), settings.redis_url.clone());
        context.spawn(async move {
            let mut pause = PAUSES.0;
            loop {
                if let Err(error) = hear(&dns, &url, channel, &heard).await {
                    tracing::debug!(cause = format!("{error:#}"), "redis is not heard");
                } else {
                    tracing::warn!("redis is not heard any more");
                    pause = PAUSES.0;
                }
                if heard.send(Heard::Lost).await.is_err() {
                    return;
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSES.1);
            }
        });
        hears
    }

    /// Whether it is connected now.
    pub fn is_connected(&self) -> bool {
        self.connection.borrow().is_some()
    }

    /// Runs one command, in a span `redis.<name>`.
    ///
    /// # Errors
    /// When Redis is away, too slow, or refuses.
    pub async fn run<T: FromRedisValue>(
        &self,
        name: &'static str,
        command: &Cmd,
    ) -> Result<T, Away> {
        self.ask(name, async |mut connection| {
            command.query_async(&mut connection).await
        })
        .await
    }

    /// Runs many commands in one round trip, in a span `redis.<name>`.
    ///
    /// # Errors
    /// As [`Redis::run`].
    pub async fn pipe<T: FromRedisValue>(
        &self,
        name: &'static str,
        commands: &Pipeline,
    ) -> Result<T, Away> {
        self.ask(name, async |mut connection| {
            commands.query_async(&mut connection).await
        })
        .await
    }

    /// Runs a script, loading it where it is new, in a span `redis.<name>`.
    ///
    /// # Errors
    /// As [`Redis::run`].
    pub async fn script<T: FromRedisValue>(
        &self,
        name: &'static str,
        invocation: &ScriptInvocation<'_>,
    ) -> Result<T, Away> {
        self.ask(name, async |mut connection| {
            invocation.invoke_async(&mut connection).await
        })
        .await
    }

    async fn ask<T>(
        &self,
        name: &'static str,
        operation: impl AsyncFnOnce(MultiplexedConnection) -> RedisResult<T>,
    ) -> Result<T, Away> {
        let Some((number, connection)) = self.connection.borrow().clone() else {
            count(name, "away");
            return Err(Away::Disconnected);
        };
        let span = tracing::info_span!(
            "redis",
            otel.name = format!("redis.{name}"),
            otel.kind = "client",
            db.system = "redis"
        );
        let started = tokio::time::Instant::now();
        let asked = operation(connection).instrument(span);
        let answered = tokio::time::timeout(self.deadline, asked).await;
        stores::operation("redis", name, started.elapsed());
        match answered {
            Ok(Ok(answer)) => {
                count(name, "ok");
                Ok(answer)
            }
            Ok(Err(error)) => {
                count(name, "error");
                if error.is_io_error() || error.is_unrecoverable_error() {
                    self.give_up(number);
                }
                Err(error.into())
            }
            Err(_) => {
                count(name, "timeout");
                self.give_up(number);
                Err(Away::Timeout)
            }
        }
    }

    /// Drops a connection that failed, unless another took its place already.
    fn give_up(&self, failed: u64) {
        self.connection.send_if_modified(|current| {
            let same = current
                .as_ref()
                .is_some_and(|(number, _)| *number == failed);
            if same {
                *current = None;
            }
            same
        });
    }

    /// Connects, waits until the connection is given up, and again. Endless.
    async fn keep(&self, dns: &discovery::Dns, url: &SecretString) {
        let mut watched = self.connection.subscribe();
        let mut pause = PAUSES.0;
        for number in 0.. {
            match open(dns, url).await {
                Ok(connection) => {
                    tracing::info!("redis is connected");
                    metrics::gauge!("redis_connected").set(1.0);
                    self.connection.send_replace(Some((number, connection)));
                    pause = PAUSES.0;
                    let _ = watched.wait_for(Option::is_none).await;
                    metrics::gauge!("redis_connected").set(0.0);
                    tracing::warn!("redis is away: answers come from the stores");
                }
                Err(error) => {
                    tracing::debug!(cause = format!("{error:#}"), "redis is still away");
                    metrics::gauge!("redis_connected").set(0.0);
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }
}

/// Passes on what is said in a channel until the connection ends.
async fn hear(
    dns: &discovery::Dns,
    url: &SecretString,
    channel: &str,
    heard: &mpsc::Sender<Heard>,
) -> anyhow::Result<()> {
    let url = dns.resolve_url(url.expose_secret()).await?;
    let client = Client::open(url)?;
    let opening = async {
        let mut listener = client.get_async_pubsub().await?;
        listener.subscribe(channel).await?;
        RedisResult::Ok(listener)
    };
    let mut messages = tokio::time::timeout(CONNECT_DEADLINE, opening)
        .await??
        .into_on_message();
    heard.send(Heard::Connected).await?;
    while let Some(message) = messages.next().await {
        heard
            .send(Heard::Message(message.get_payload_bytes().to_vec()))
            .await?;
    }
    Ok(())
}

async fn open(dns: &discovery::Dns, url: &SecretString) -> anyhow::Result<MultiplexedConnection> {
    let url = dns.resolve_url(url.expose_secret()).await?;
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_DEADLINE))
        // The deadline of `ask` is the one that counts.
        .set_response_timeout(None);
    let client = Client::open(url)?;
    let connecting = client.get_multiplexed_async_connection_with_config(&config);
    Ok(tokio::time::timeout(CONNECT_DEADLINE, connecting).await??)
}

fn count(operation: &'static str, outcome: &'static str) {
    metrics::counter!("redis_operations_total", "operation" => operation, "outcome" => outcome)
        .increment(1);
}
