//! What passes between instances, over Redis channels that all of them hear.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use chassis::{
    Context, clock,
    redis::{self, Away, Heard, Redis},
    socket::Frame,
};
use proto::discussions::COMMENTS_CHANNEL;
use serde::{Deserialize, Serialize};
use telemetry::propagation;
use tokio::sync::mpsc;

use crate::model::RoomName;

/// The channel of what is said in rooms that keep nothing.
const CHANNEL: &str = "live:rooms";

/// Something that is said in a room.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Saying {
    /// Another one for each: nothing is told twice. Nothing from instances that were started before there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    pub(crate) room: RoomName,
    /// The frame that its members get.
    pub(crate) frame: String,
    /// The trace in which it was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) traceparent: Option<String>,
}

impl Saying {
    /// What is said now, in the current trace.
    pub(crate) fn new(room: &RoomName, frame: &Frame) -> Self {
        Self {
            id: Some(clock::id().simple().to_string()),
            room: room.clone(),
            frame: frame.to_string(),
            traceparent: propagation::current(),
        }
    }
}

/// Redis, as far as `live` needs it.
#[derive(Debug, Clone)]
pub(crate) struct Bus {
    redis: Redis,
    hears: Arc<AtomicBool>,
}

impl Bus {
    /// The bus, what is heard on it, and what `discussions` tells of comments.
    pub(crate) async fn connect(
        settings: &redis::Settings,
        context: &Context,
    ) -> (Self, mpsc::Receiver<Heard>, mpsc::Receiver<Heard>) {
        let heard = Redis::listen(settings, context, CHANNEL);
        let stored = Redis::listen(settings, context, COMMENTS_CHANNEL);
        let bus = Self {
            redis: Redis::connect(settings, context).await,
            hears: Arc::default(),
        };
        (bus, heard, stored)
    }

    /// Redis itself.
    pub(crate) fn redis(&self) -> &Redis {
        &self.redis
    }

    /// Whether this instance hears what is said.
    pub(crate) fn hears(&self) -> bool {
        self.hears.load(Relaxed)
    }

    /// Notes whether this instance hears what is said.
    pub(crate) fn set_hears(&self, hears: bool) {
        self.hears.store(hears, Relaxed);
    }

    /// Says something to all instances, this one included.
    pub(crate) async fn say(&self, saying: &Saying) -> Result<(), Away> {
        let text = serde_json::to_string(saying).unwrap_or_default();
        let mut publish = redis::cmd("PUBLISH");
        publish.arg(CHANNEL).arg(text);
        let _: i64 = self.redis.run("live.say", &publish).await?;
        Ok(())
    }
}
