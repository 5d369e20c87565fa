//! One socket, from its opening to its end.

use std::{pin::pin, sync::Arc, time::Duration};

use chassis::{
    Error, Identity, Tokens,
    socket::{Ending, Frame, Received},
};
use telemetry::propagation::{self, Origin};
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::{
    Live,
    limits::{Bucket, Seat},
    line::{Line, SENDING},
    metrics, model,
    room::{Cut, Member},
    trace,
};

/// How often a socket is asked whether it is still there. Proxies cut what is silent for minutes.
pub(crate) const PING: Duration = Duration::from_secs(20);
/// A socket that says nothing for so long, not even that it is there, is not there.
const SILENCE: Duration = Duration::from_mins(1);
/// Pings, pongs and other things nobody needs, a second.
const CONTROL_FRAMES: u32 = 10;
/// Messages beyond the limit that are still answered, and how many of them a second forgives.
const STRIKES: u32 = 100;
const FORGIVEN: u32 = 1;

const SLOW: Ending = Ending::new(1013, "You read too slowly: connect again");
const SILENT: Ending = Ending::new(1001, "Nothing was heard from you");
const FLOOD: Ending = Ending::new(1008, "You say too much");

/// What one kind of socket does.
pub(crate) trait Speech: Send + 'static {
    /// What its frames are called in traces.
    const KIND: &'static str;

    /// Joins rooms, after telling what was missed.
    fn open(
        &mut self,
        member: &Member,
        line: &mut Line,
    ) -> impl Future<Output = Result<(), Ending>> + Send;

    /// Takes in what a client says; what it alone is answered.
    fn say(
        &mut self,
        member: &Member,
        writer: &Writer,
        line: &mut Line,
        text: &str,
    ) -> impl Future<Output = Option<Frame>> + Send;

    /// Leaves rooms.
    fn close(&mut self, member: &Member);
}

/// What a client may do by its token: checked again for each message.
#[derive(Debug)]
pub(crate) struct Writer {
    identity: Option<Identity>,
    tokens: Arc<Tokens>,
}

impl Writer {
    /// Who writes.
    ///
    /// # Errors
    /// 401 without a token, and when it has expired or was logged out since.
    pub(crate) fn identity(&self) -> Result<&Identity, Error> {
        let identity = self.identity.as_ref();
        let identity =
            identity.ok_or_else(|| Error::unauthenticated("A token is needed to write"))?;
        self.tokens.still_good(identity)?;
        Ok(identity)
    }
}

/// A socket with a seat.
#[derive(Debug)]
pub(crate) struct Session {
    id: u64,
    /// Messages of rooms that may wait.
    queue: usize,
    cut: Arc<Cut>,
    writer: Writer,
    messages: Bucket,
    control: Bucket,
    strikes: Bucket,
    heard_at: Instant,
    /// The request that opened it.
    opened: Origin,
    _seat: Seat,
}

impl Session {
    /// A session of whoever has the seat.
    pub(crate) fn new(live: &Live, identity: Option<Identity>, seat: Seat) -> Self {
        Self {
            id: live.hub.number(),
            queue: live.limits.queue as usize,
            cut: Arc::default(),
            writer: Writer {
                identity,
                tokens: Arc::clone(&live.tokens),
            },
            messages: Bucket::new(live.limits.messages_per_second),
            control: Bucket::new(CONTROL_FRAMES),
            strikes: Bucket::holding(STRIKES, FORGIVEN),
            heard_at: Instant::now(),
            opened: propagation::origin(),
            _seat: seat,
        }
    }

    /// Who it is of, if they said so.
    pub(crate) fn identity(&self) -> Option<&Identity> {
        self.writer.identity.as_ref()
    }

    /// Talks until one of both ends it.
    pub(crate) async fn run(mut self, mut line: Line, mut speech: impl Speech) {
        metrics::opened();
        let member = self.member(&line);
        let (life, cut) = (line.life(), Arc::clone(&self.cut));
        // Who is being told what was missed hears of the end, too.
        let opened = tokio::select! {
            opened = speech.open(&member, &mut line) => opened,
            ending = life.over() => Err(ending),
            ending = cut.ended() => Err(ending),
        };
        let ending = match opened {
            Ok(()) => self.talk(&member, &mut line, &mut speech).await,
            Err(ending) => Some(ending),
        };
        speech.close(&member);
        let why = match ending {
            None => "gone",
            Some(Ending::RESTART) => "restart",
            Some(SLOW) => "slow",
            Some(SILENT) => "silent",
            Some(ending) if ending.code == Ending::UNAUTHENTICATED => "token",
            Some(_) => "rules",
        };
        if let Some(ending) = ending {
            line.close(ending).await;
        }
        metrics::closed(why);
    }

    fn member(&self, line: &Line) -> Member {
        let identity = self.writer.identity.as_ref();
        Member {
            id: self.id,
            user_id: identity.map(|identity| identity.user_id),
            ear: line.ear(self.queue),
            cut: Arc::clone(&self.cut),
        }
    }

    /// How it ended; `None` when nobody is there to be told.
    async fn talk(
        &mut self,
        member: &Member,
        line: &mut Line,
        speech: &mut impl Speech,
    ) -> Option<Ending> {
        let cut = Arc::clone(&self.cut);
        let mut cut = pin!(cut.ended());
        let mut ping = tokio::time::interval_at(Instant::now() + PING, PING);
        loop {
            let step = tokio::select! {
                ending = &mut cut => Err(Some(ending)),
                received = line.next() => self.received(member, line, speech, received).await,
                _ = ping.tick() => self.ping(line).await,
            };
            if let Err(ending) = step {
                return ending;
            }
        }
    }

    /// Answers behind what waits: who joins a room or says something there has heard it then.
    async fn answer(&mut self, line: &mut Line, frame: Frame) -> Result<(), Option<Ending>> {
        let life = line.life();
        let sending = async { line.feed(frame).await && line.flush().await };
        tokio::select! {
            // Mostly it can be sent at once.
            biased;
            sent = tokio::time::timeout(SENDING, sending) => match sent {
                Ok(true) => Ok(()),
                Ok(false) => Err(None),
                Err(_) => Err(Some(SLOW)),
            },
            ending = self.cut.ended() => Err(Some(ending)),
            ending = life.token_over() => Err(Some(ending)),
        }
    }

    async fn ping(&mut self, line: &mut Line) -> Result<(), Option<Ending>> {
        if self.heard_at.elapsed() > SILENCE {
            return Err(Some(SILENT));
        }
        let life = line.life();
        tokio::select! {
            biased;
            sent = tokio::time::timeout(SENDING, line.ping()) => match sent {
                Ok(true) => Ok(()),
                Ok(false) => Err(None),
                Err(_) => Err(Some(SLOW)),
            },
            ending = life.token_over() => Err(Some(ending)),
        }
    }

    async fn received<S: Speech>(
        &mut self,
        member: &Member,
        line: &mut Line,
        speech: &mut S,
        received: Received,
    ) -> Result<(), Option<Ending>> {
        self.heard_at = Instant::now();
        let answer = match received {
            Received::Gone => return Err(None),
            Received::Broken(ending) | Received::Over(ending) => return Err(Some(ending)),
            Received::Ping | Received::Pong => {
                return if self.control.take() {
                    Ok(())
                } else {
                    Err(Some(FLOOD))
                };
            }
            Received::Text(_) | Received::Binary if !self.messages.take() => {
                if !self.strikes.take() {
                    return Err(Some(FLOOD));
                }
                Some(model::error("Too many messages: wait a second"))
            }
            Received::Binary => Some(model::error("A frame must be text")),
            Received::Text(text) => {
                let life = line.life();
                let saying = speech.say(member, &self.writer, line, &text);
                let saying = saying.instrument(trace::frame(S::KIND, &self.opened));
                tokio::select! {
                    biased;
                    answer = saying => answer,
                    // What others say is heard while this waits for its answer.
                    ending = life.token_over() => return Err(Some(ending)),
                }
            }
        };
        match answer {
            Some(frame) => self.answer(line, frame).await,
            None => Ok(()),
        }
    }
}
