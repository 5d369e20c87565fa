//! What clients say before they have a WebSocket.
//!
//! A client begins with two or three requests of HTTP and opens its WebSocket meanwhile; each of
//! them may reach another instance. What they say is kept in Redis, for a moment, for the
//! instance that gets the WebSocket: so nothing has to stick to anything.

use std::time::Duration;

use chassis::{
    Code, Error, clock,
    redis::{self, Away, Redis, Script},
};

use super::{
    UNKNOWN_SESSION,
    packet::{self, CLOSE, NOOP, SEPARATOR},
};
use crate::limits::{Asker, Limits};

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
/// Bytes that a session may hold: a token and some names.
const MAX_POSTED: usize = 8 * 1024;
/// What is counted for all together.
const ALL: &str = "all";

/// Begins a session (`KEYS[1]`), if each of those who hold one more by it (the other keys) may: the number of who may not,
/// or 0. They hold it until its WebSocket is open or it is forgotten, also when it is closed: else to begin and to close
/// would be free.
const OPEN: &str = "
local forgotten = tonumber(ARGV[1]) - tonumber(ARGV[2]) * 1000
for i = 2, #KEYS do
    redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', forgotten)
    if redis.call('ZCARD', KEYS[i]) >= tonumber(ARGV[i + 2]) then return i - 1 end
end
for i = 2, #KEYS do
    redis.call('ZADD', KEYS[i], ARGV[1], ARGV[3])
    redis.call('EXPIRE', KEYS[i], ARGV[2])
end
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 0";

/// Keeps what a client says, `ARGV[1]`: 0, or 1 when there is no such session, 2 when it has said too much, by which it is
/// over.
const KEEP: &str = "
local said = redis.call('LRANGE', KEYS[1], 0, -1)
if #said == 0 then return 1 end
local bytes = #ARGV[1]
for i = 2, #said do bytes = bytes + #said[i] end
if #said > tonumber(ARGV[2]) or bytes > tonumber(ARGV[3]) then
    redis.call('DEL', KEYS[1])
    return 2
end
redis.call('RPUSH', KEYS[1], ARGV[1])
return 0";

/// Sessions that have no WebSocket yet.
pub(crate) struct Door {
    redis: Redis,
    limits: Limits,
    open: Script,
    keep: Script,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Door")
    }
}

impl Door {
    pub(crate) fn new(redis: Redis, limits: Limits) -> Self {
        Self {
            redis,
            limits,
            open: Script::new(OPEN),
            keep: Script::new(KEEP),
        }
    }

    /// Begins a session.
    ///
    /// # Errors
    /// 429 when who asks has enough of them, 503 when all together have; 503 without Redis, as of all that follow.
    pub(super) async fn open(&self, session: &str, asker: Asker) -> Result<(), Error> {
        let holders = asker.sessions(&self.limits);
        let mut open = self.open.key(key(session));
        open.arg(clock::now().timestamp_millis()).arg(WORTH);
        open.arg(session);
        for (holder, limit) in &holders {
            open.key(held_by(holder)).arg(*limit);
        }
        open.key(held_by(ALL)).arg(self.limits.sockets);
        let full: usize = self.redis.script("live.open", &open).await.map_err(away)?;
        if full == 0 {
            return Ok(());
        }
        Err(match holders.get(full - 1) {
            Some((holder, limit)) => holder.refusal(*limit, "sessions without a WebSocket"),
            None => Error::unavailable("Too many sessions are without a WebSocket; try again"),
        })
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
        if payload.len() > MAX_POSTED {
            let message = format!("No more than {MAX_POSTED} bytes before the WebSocket is open");
            return Err(Error::new(Code::TooLarge, message));
        }
        let mut keep = self.keep.key(key(session));
        keep.arg(payload).arg(MAX_POSTS).arg(MAX_POSTED);
        let kept: u8 = self.redis.script("live.keep", &keep).await.map_err(away)?;
        match kept {
            0 => Ok(()),
            1 => Err(Error::malformed(UNKNOWN_SESSION)),
            _ => Err(Error::too_many("Open your WebSocket first", PATIENCE)),
        }
    }

    /// Hands over what a client said, once and for all. From here on it counts as a socket.
    pub(super) async fn take(&self, session: &str, asker: Asker) -> Result<Vec<String>, Error> {
        let mut take = redis::pipe();
        take.atomic();
        take.cmd("LRANGE").arg(key(session)).arg(1).arg(-1);
        take.cmd("DEL").arg(key(session)).ignore();
        let holders = asker.sessions(&self.limits);
        let holders = holders.iter().map(|(holder, _)| held_by(holder));
        for holder in holders.chain([held_by(ALL)]) {
            take.cmd("ZREM").arg(holder).arg(session).ignore();
        }
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

/// The sessions that somebody holds, by when they began.
fn held_by(holder: impl std::fmt::Display) -> String {
    format!("live:door:held:{holder}")
}

fn away(cause: Away) -> Error {
    Error::unavailable("Only transports: [\"websocket\"] work now: Redis is away").caused_by(cause)
}
