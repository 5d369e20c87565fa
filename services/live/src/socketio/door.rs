//! What clients say before they have a WebSocket.
//!
//! A client begins with two or three requests of HTTP and opens its WebSocket meanwhile; each of
//! them may reach another instance. What they say is kept in Redis, for a moment, for the
//! instance that gets the WebSocket: so nothing has to stick to anything.

use std::time::Duration;

use chassis::{
    Error, clock,
    redis::{self, Away, Redis},
};

use super::{
    UNKNOWN_SESSION,
    packet::{self, CLOSE, NOOP, SEPARATOR},
};

/// How long a client may take to open its WebSocket. Then the first ping still comes in time: it
/// has counted the seconds since its first request.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);
/// Seconds after which a session is forgotten whose client went away: longer than that, so that
/// it is told why it does not get on.
const WORTH: u64 = 45;
/// How long a poll is held: a client changes to its WebSocket when no poll is open.
const HOLD: Duration = Duration::from_millis(200);
/// Requests in which a client may say something.
const MAX_POSTS: usize = 8;

/// Sessions that have no WebSocket yet.
#[derive(Debug)]
pub(crate) struct Door {
    redis: Redis,
}

impl Door {
    pub(crate) fn new(redis: Redis) -> Self {
        Self { redis }
    }

    /// Begins a session.
    ///
    /// # Errors
    /// 503 without Redis, as of all that follow.
    pub(super) async fn open(&self, session: &str) -> Result<(), Error> {
        let mut open = redis::pipe();
        let now = clock::now().timestamp_millis();
        open.cmd("RPUSH").arg(key(session)).arg(now).ignore();
        open.cmd("EXPIRE").arg(key(session)).arg(WORTH).ignore();
        self.redis.pipe("live.open", &open).await.map_err(away)
    }

    /// How long ago it began; `None` when there is none.
    pub(super) async fn age(&self, session: &str) -> Result<Option<Duration>, Error> {
        let mut begin = redis::cmd("LINDEX");
        begin.arg(key(session)).arg(0);
        let began: Option<i64> = self.redis.run("live.age", &begin).await.map_err(away)?;
        let age = began.map(|began| clock::now().timestamp_millis() - began);
        // Clocks of two instances may differ by a little.
        Ok(age.map(|age| Duration::from_millis(u64::try_from(age).unwrap_or(0))))
    }

    /// Holds a poll for a moment; what it is answered.
    pub(super) async fn wait(&self, session: &str) -> Result<String, Error> {
        let age = self.age(session).await?;
        let age = age.ok_or_else(|| Error::malformed(UNKNOWN_SESSION))?;
        tokio::time::sleep(HOLD).await;
        if age < PATIENCE {
            return Ok(NOOP.to_owned());
        }
        let error = Error::unacceptable(
            "Your WebSocket did not come, and nothing else is served here: \
             let WebSockets through, or say transports: [\"websocket\"] to see why it fails",
        );
        Ok(packet::refused(packet::MAIN, &error).to_string())
    }

    /// Keeps what a client says for the instance that gets its WebSocket.
    pub(super) async fn keep(&self, session: &str, payload: &str) -> Result<(), Error> {
        if payload.split(SEPARATOR).any(|packet| packet == CLOSE) {
            return self.close(session).await;
        }
        let mut push = redis::cmd("RPUSHX");
        push.arg(key(session)).arg(payload);
        let kept: usize = self.redis.run("live.keep", &push).await.map_err(away)?;
        match kept {
            0 => Err(Error::malformed(UNKNOWN_SESSION)),
            _ if kept > 1 + MAX_POSTS => {
                self.close(session).await?;
                Err(Error::too_many("Open your WebSocket first", PATIENCE))
            }
            _ => Ok(()),
        }
    }

    /// Hands over what a client said, once and for all.
    pub(super) async fn take(&self, session: &str) -> Result<Vec<String>, Error> {
        let mut take = redis::pipe();
        take.atomic();
        take.cmd("LRANGE").arg(key(session)).arg(1).arg(-1);
        take.cmd("DEL").arg(key(session)).ignore();
        let taken = self.redis.pipe("live.take", &take).await;
        let (payloads,): (Vec<String>,) = taken.map_err(away)?;
        let packets = payloads.iter().flat_map(|text| text.split(SEPARATOR));
        Ok(packets.map(str::to_owned).collect())
    }

    async fn close(&self, session: &str) -> Result<(), Error> {
        let mut delete = redis::cmd("DEL");
        delete.arg(key(session));
        self.redis.run("live.close", &delete).await.map_err(away)
    }
}

fn key(session: &str) -> String {
    format!("live:door:{session}")
}

fn away(cause: Away) -> Error {
    Error::unavailable("Only transports: [\"websocket\"] work now: Redis is away").caused_by(cause)
}
