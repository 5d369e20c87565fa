//! Who is in a room, on all instances (S0-16): each one keeps its own part in Redis.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use chassis::{clock, redis};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{bus::Bus, hub::Hub, model::RoomName};

/// How often changes are told.
const ROUND: Duration = Duration::from_millis(500);
/// How many rounds may pass before an instance says again what has not changed.
const ROUNDS: u32 = 20;
/// Seconds after which the word of an instance that fell silent counts no more.
const WORTH: i64 = 30;
/// People that are named.
const MAX_PEOPLE: usize = 200;

/// Who is in a room.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Presence")]
pub(crate) struct PresenceResponse {
    room: String,
    /// Open sockets, of people who are signed in and others.
    sockets: usize,
    /// Who is signed in; 200 at most.
    user_ids: Vec<i64>,
    /// Whether more are signed in than are named.
    more: bool,
    /// Whether all instances are counted: not while Redis is away.
    complete: bool,
}

/// What one instance says of a room.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Part {
    sockets: usize,
    user_ids: Vec<i64>,
    at: i64,
}

#[derive(Debug)]
pub(crate) struct Presence {
    bus: Bus,
    hub: Arc<Hub>,
    instance: String,
}

impl Presence {
    /// `instance` must be another one for each process.
    pub(crate) fn new(bus: Bus, hub: Arc<Hub>, instance: &str) -> Arc<Self> {
        Arc::new(Self {
            bus,
            hub,
            // Instances that are started by hand may share a name.
            instance: format!("{instance}/{}", clock::id()),
        })
    }

    /// Who is in a room.
    pub(crate) async fn of(&self, room: &RoomName) -> PresenceResponse {
        let mut read = redis::cmd("HGETALL");
        read.arg(key(room));
        let parts: Result<HashMap<String, String>, _> =
            self.bus.redis().run("live.presence", &read).await;
        let complete = parts.is_ok();
        let oldest = clock::now().timestamp() - WORTH;
        let others = parts.unwrap_or_default().into_iter();
        let others = others
            .filter(|(instance, _)| *instance != self.instance)
            .filter_map(|(_, part)| serde_json::from_str::<Part>(&part).ok())
            .filter(|part| part.at >= oldest);
        let (mut sockets, mut user_ids) = match self.hub.find(room) {
            Some(room) => room.present(),
            None => (0, Vec::new()),
        };
        for part in others {
            sockets += part.sockets;
            user_ids.extend(part.user_ids);
        }
        user_ids.sort_unstable();
        user_ids.dedup();
        let more = user_ids.len() > MAX_PEOPLE;
        user_ids.truncate(MAX_PEOPLE);
        PresenceResponse {
            room: room.to_string(),
            sockets,
            user_ids,
            more,
            complete,
        }
    }

    /// Keeps this instance's part in Redis current.
    pub(crate) async fn keep_current(self: Arc<Self>) {
        let mut rounds = 0;
        let mut told: HashSet<RoomName> = HashSet::new();
        loop {
            tokio::time::sleep(ROUND).await;
            rounds = (rounds + 1) % ROUNDS;
            let rooms = self.hub.all();
            let mut write = redis::pipe();
            let mut some = false;
            let now: HashSet<RoomName> = rooms.iter().map(|room| room.name.clone()).collect();
            for name in told.difference(&now) {
                write
                    .cmd("HDEL")
                    .arg(key(name))
                    .arg(&self.instance)
                    .ignore();
                some = true;
            }
            for room in rooms {
                if !(room.take_changed() || rounds == 0) {
                    continue;
                }
                let (sockets, mut user_ids) = room.present();
                // One more tells that there are more.
                user_ids.truncate(MAX_PEOPLE + 1);
                let at = clock::now().timestamp();
                let part = Part {
                    sockets,
                    user_ids,
                    at,
                };
                let part = serde_json::to_string(&part).unwrap_or_default();
                let key = key(&room.name);
                write
                    .cmd("HSET")
                    .arg(&key)
                    .arg(&self.instance)
                    .arg(part)
                    .ignore();
                write.cmd("EXPIRE").arg(&key).arg(WORTH).ignore();
                some = true;
            }
            if some {
                // What Redis does not get now, it gets when it is all said again.
                let _: Result<(), _> = self.bus.redis().pipe("live.present", &write).await;
            }
            told = now;
        }
    }
}

fn key(room: &RoomName) -> String {
    format!("live:presence:{room}")
}
