//! The rooms of this instance, and what passes between them and those of others.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use chassis::{Code, Context, Error, flight::Flights, redis::Heard, socket::Frame};
use moka::sync::Cache;
use prost::Message as _;
use proto::discussions::{
    AddCommentRequest, CommentStored, CommentsAfterRequest, CommentsAfterResponse,
};
use tokio::{
    sync::{Semaphore, mpsc},
    time::Instant,
};

use crate::{
    bus::{Bus, Saying},
    clients::Discussions,
    metrics,
    model::{self, RoomName},
    room::{Member, REMEMBERED, Room},
    trace,
};

/// Comments that are fetched at once.
const PAGE: u32 = 200;

/// Pages that are asked for at the same time. When an instance ends, everybody who was there comes back at once: more than
/// these would be late for the deadline of a call, given up, and asked for again, by which the store does the more work.
const AT_ONCE: usize = 4;
/// How long a page may wait for its turn.
const TURN: Duration = Duration::from_secs(10);

/// Places that are read before those that somebody misses: others who come back with them miss about as much.
const ABOUT: u64 = 32;

/// How late something may come back by Redis that its speaker's instance has told already, because Redis did not answer.
const LATE: Duration = Duration::from_mins(1);
/// Sayings that are remembered for that.
const SAYINGS: u64 = 10_000;

/// What members get to read a page before the next one comes.
const BETWEEN_PAGES: Duration = Duration::from_millis(20);

type Rooms = HashMap<RoomName, Arc<Room>>;

/// The rooms.
#[derive(Debug)]
pub(crate) struct Hub {
    rooms: Mutex<Rooms>,
    bus: Bus,
    discussions: Discussions,
    /// Rooms that are being opened, and such that are being told what they were not there for.
    opening: Arc<Flights<RoomName, Arc<Room>>>,
    recalling: Arc<Flights<RoomName, ()>>,
    /// Pages for those who wait for them, and such that rooms look at by themselves: who comes does not queue behind these.
    reading: Semaphore,
    looking: Semaphore,
    look: Duration,
    /// What was said lately in rooms that keep nothing.
    told: Cache<String, ()>,
    context: Context,
    sockets: AtomicU64,
}

impl Hub {
    pub(crate) fn new(
        bus: Bus,
        discussions: Discussions,
        look: Duration,
        context: &Context,
    ) -> Arc<Self> {
        Arc::new(Self {
            rooms: Mutex::default(),
            bus,
            discussions,
            opening: Arc::default(),
            recalling: Arc::default(),
            reading: Semaphore::new(AT_ONCE),
            looking: Semaphore::new(AT_ONCE),
            told: Cache::builder()
                .max_capacity(SAYINGS)
                .time_to_live(LATE)
                .build(),
            look,
            context: context.clone(),
            sockets: AtomicU64::new(1),
        })
    }

    /// A number for a socket.
    pub(crate) fn number(&self) -> u64 {
        self.sockets.fetch_add(1, Relaxed)
    }

    /// The room of a post's comments. Many who come at once, as after the end of another instance, cost one question.
    ///
    /// # Errors
    /// 404 when there is no such post, 503 when nobody knows.
    pub(crate) async fn of_post(self: &Arc<Self>, post_id: &str) -> Result<Arc<Room>, Error> {
        let no_post = || Error::not_found("Post not found");
        let name = RoomName::of_post(post_id).ok_or_else(no_post)?;
        if let Some(room) = self.find(&name) {
            return Ok(room);
        }
        let (hub, post_id) = (Arc::clone(self), post_id.to_owned());
        let open = |name| async move {
            let last = hub.comments_after(&post_id, None).await?.last;
            let room = Arc::new(Room::of_post(name, post_id, last));
            Ok(hub.add(&mut hub.rooms(), &room))
        };
        self.opening.join(name.clone(), || open(name)).await
    }

    /// Whether a room has room for what was said after a place.
    pub(crate) fn could_remember(&self, room: &Arc<Room>, after: u64) -> bool {
        let room = self.find(&room.name).unwrap_or_else(|| Arc::clone(room));
        room.last().saturating_sub(after) <= REMEMBERED as u64
    }

    /// Has a room remember what was said after a place, as far as it has room for that: once for all who miss it.
    ///
    /// # Errors
    /// As [`Hub::comments_after`].
    pub(crate) async fn recall(
        self: &Arc<Self>,
        room: &Arc<Room>,
        after: u64,
    ) -> Result<(), Error> {
        let (hub, name) = (Arc::clone(self), room.name.clone());
        let room = self.find(&name).unwrap_or_else(|| Arc::clone(room));
        let recall = || async move {
            let post_id = room.post_id.as_deref().unwrap_or_default();
            let most = room.last().saturating_sub(REMEMBERED as u64);
            let from = after.saturating_sub(ABOUT).max(most);
            let changes = room.changes();
            let (mut until, mut comments) = (from, Vec::new());
            while until < room.since() {
                let page = hub.comments_after(post_id, Some(until)).await?;
                if page.until <= until {
                    break;
                }
                until = page.until;
                comments.extend(frames(&page));
            }
            room.recall(from, comments, until);
            room.forget_if_changed(changes);
            Ok(())
        };
        self.recalling.join(name, recall).await
    }

    /// Lets somebody into a room, as [`Room::join`]; the room that they are in.
    pub(crate) fn join(
        self: &Arc<Self>,
        room: &Arc<Room>,
        member: &Member,
        after: Option<u64>,
    ) -> Result<Arc<Room>, u64> {
        let mut rooms = self.rooms();
        let known = rooms.get(&room.name);
        known.unwrap_or(room).join(member, after)?;
        Ok(self.add(&mut rooms, room))
    }

    /// Adds a room, unless there is one of this name; the one that there is.
    fn add(self: &Arc<Self>, rooms: &mut Rooms, room: &Arc<Room>) -> Arc<Room> {
        if let Some(known) = rooms.get(&room.name) {
            return Arc::clone(known);
        }
        rooms.insert(room.name.clone(), Arc::clone(room));
        metrics::rooms(rooms.len());
        let (hub, kept) = (Arc::clone(self), Arc::clone(room));
        self.context.spawn(async move { hub.keep(&kept).await });
        Arc::clone(room)
    }

    /// Stores a comment, and tells everybody on the post; those elsewhere hear of it by
    /// `discussions`.
    ///
    /// # Errors
    /// What `discussions` says.
    pub(crate) async fn comment(
        &self,
        room: &Room,
        user_id: i64,
        text: String,
    ) -> Result<(), Error> {
        let post_id = room.post_id.clone().unwrap_or_default();
        let request = AddCommentRequest {
            post_id,
            user_id,
            text,
        };
        let comment = self.discussions.add_comment(request).await?;
        let frame = model::comment(&comment);
        room.offer(comment.number, frame);
        Ok(())
    }

    /// Tells everybody in a room, in the order in which Redis has it. Without Redis, those here are told.
    pub(crate) async fn say(&self, room: &RoomName, frame: Frame) {
        let saying = Saying::new(room, &frame);
        let said = self.bus.say(&saying).await.is_ok();
        if !(said && self.bus.hears()) {
            self.tell(&saying);
        }
    }

    /// Tells those here, unless they have heard it: what Redis did not answer in time it may still tell.
    fn tell(&self, saying: &Saying) {
        let id = saying.id.as_ref();
        let fresh = id.is_none_or(|id| self.told.entry_by_ref(id).or_insert(()).is_fresh());
        if fresh && let Some(room) = self.find(&saying.room) {
            room.tell(&saying.frame.as_str().into());
        }
    }

    /// Says something on behalf of nobody here: all or nothing.
    ///
    /// # Errors
    /// 503 when Redis is away.
    pub(crate) async fn announce(&self, room: &RoomName, frame: &Frame) -> Result<(), Error> {
        let saying = Saying::new(room, frame);
        let said = self.bus.say(&saying).await;
        said.map_err(|away| Error::unavailable("Redis is away").caused_by(away))
    }

    /// The comments after a place, a page of them.
    ///
    /// # Errors
    /// What `discussions` says; 503 when too many ask.
    pub(crate) async fn comments_after(
        &self,
        post_id: &str,
        after: Option<u64>,
    ) -> Result<CommentsAfterResponse, Error> {
        let turn = tokio::time::timeout(TURN, self.reading.acquire()).await;
        let Ok(_turn) = turn else {
            return Err(Error::unavailable("Too many ask for comments; try again"));
        };
        self.page(post_id, after).await
    }

    async fn page(
        &self,
        post_id: &str,
        after: Option<u64>,
    ) -> Result<CommentsAfterResponse, Error> {
        let request = CommentsAfterRequest {
            post_id: post_id.to_owned(),
            after,
            limit: PAGE,
        };
        self.discussions.comments_after(request).await
    }

    /// Hears what is said, until the process ends.
    pub(crate) async fn listen(self: Arc<Self>, mut heard: mpsc::Receiver<Heard>) {
        while let Some(heard) = heard.recv().await {
            match heard {
                Heard::Message(text) => self.hear(&text),
                Heard::Connected => self.bus.set_hears(true),
                Heard::Lost => self.bus.set_hears(false),
            }
        }
    }

    /// Hears of comments from who stores them, until the process ends.
    pub(crate) async fn follow(self: Arc<Self>, mut stored: mpsc::Receiver<Heard>) {
        while let Some(stored) = stored.recv().await {
            match stored {
                Heard::Message(bytes) => self.stored(&bytes),
                Heard::Connected => {
                    for room in self.all() {
                        // Comments that were changed meanwhile, too.
                        room.forget(u64::MAX);
                        room.missed.notify_one();
                    }
                }
                Heard::Lost => {}
            }
        }
    }

    fn stored(&self, bytes: &[u8]) {
        let stored = CommentStored::decode(bytes).unwrap_or_default();
        let (Some(name), Some(comment)) = (RoomName::of_post(&stored.post_id), stored.comment)
        else {
            tracing::warn!("something else speaks on the channel of comments");
            return;
        };
        if let Some(room) = self.find(&name) {
            if stored.changed {
                room.forget(comment.number);
                return;
            }
            let _delivery = trace::delivery(&name, &stored.traceparent).entered();
            room.offer(comment.number, model::comment(&comment));
        }
    }

    fn hear(&self, text: &[u8]) {
        let Ok(saying) = serde_json::from_slice::<Saying>(text) else {
            tracing::warn!("something else speaks on the channel of rooms");
            return;
        };
        if self.find(&saying.room).is_some() {
            let traceparent = saying.traceparent.as_deref().unwrap_or_default();
            let _delivery = trace::delivery(&saying.room, traceparent).entered();
            self.tell(&saying);
        }
    }

    /// Keeps a room current while somebody is in it: fetches what nobody told of. The last comment before a silence is that:
    /// each other one is missed by its successor. So only a quiet room is looked at.
    async fn keep(&self, room: &Arc<Room>) {
        loop {
            let quiet = room.current_at() + self.look;
            let missed = tokio::select! {
                () = room.missed.notified() => true,
                () = tokio::time::sleep_until(quiet) => false,
            };
            if self.remove_if_empty(room) {
                return;
            }
            let look = missed || room.current_at() + self.look <= Instant::now();
            if look {
                if let Some(post_id) = &room.post_id {
                    self.fetch(room, post_id).await;
                }
                room.looked();
            }
        }
    }

    async fn fetch(&self, room: &Room, post_id: &str) {
        loop {
            let _turn = self.looking.acquire().await;
            let changes = room.changes();
            match self.page(post_id, Some(room.last())).await {
                Ok(page) => {
                    let (until, last) = (page.until, page.last);
                    let frames = frames(&page);
                    metrics::fetched(frames.len());
                    room.catch_up(frames, until);
                    room.forget_if_changed(changes);
                    if until >= last {
                        return;
                    }
                    // A page fits a queue; another one behind it at once might not.
                    tokio::time::sleep(BETWEEN_PAGES).await;
                }
                Err(error) => {
                    if error.code() == Code::NotFound {
                        room.end();
                    }
                    return;
                }
            }
        }
    }

    fn remove_if_empty(&self, room: &Arc<Room>) -> bool {
        let mut rooms = self.rooms();
        let empty = room.is_empty();
        if empty {
            rooms.remove(&room.name);
            metrics::rooms(rooms.len());
        }
        empty
    }

    /// A room that somebody here is in.
    pub(crate) fn find(&self, name: &RoomName) -> Option<Arc<Room>> {
        self.rooms().get(name).cloned()
    }

    /// All rooms that somebody here is in.
    pub(crate) fn all(&self) -> Vec<Arc<Room>> {
        self.rooms().values().cloned().collect()
    }

    fn rooms(&self) -> MutexGuard<'_, Rooms> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The comments of a page with their places, as they are told.
fn frames(page: &CommentsAfterResponse) -> Vec<(u64, Frame)> {
    let comments = page.comments.iter();
    comments
        .map(|comment| (comment.number, model::comment(comment)))
        .collect()
}
