//! The rooms of this instance, and what passes between them and those of others.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use chassis::{Code, Context, Error, redis::Heard, socket::Frame};
use prost::Message as _;
use proto::discussions::{
    AddCommentRequest, CommentStored, CommentsAfterRequest, CommentsAfterResponse,
};
use tokio::sync::{Semaphore, mpsc};

use crate::{
    bus::{Bus, Saying},
    clients::Discussions,
    metrics,
    model::{self, RoomName},
    room::{Member, Room},
    trace,
};

/// Comments that are fetched at once.
const PAGE: u32 = 200;

/// Pages that are asked for at the same time. When an instance ends, everybody who was there comes back at once: more than
/// these would be late for the deadline of a call, given up, and asked for again, by which the store does the more work.
const AT_ONCE: usize = 4;
/// How long a page may wait for its turn.
const TURN: Duration = Duration::from_secs(10);

/// What members get to read a page before the next one comes.
const BETWEEN_PAGES: Duration = Duration::from_millis(20);

/// The rooms.
#[derive(Debug)]
pub(crate) struct Hub {
    rooms: Mutex<HashMap<RoomName, Arc<Room>>>,
    bus: Bus,
    discussions: Discussions,
    reading: Semaphore,
    look: Duration,
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
            reading: Semaphore::new(AT_ONCE),
            look,
            context: context.clone(),
            sockets: AtomicU64::new(1),
        })
    }

    /// A number for a socket.
    pub(crate) fn number(&self) -> u64 {
        self.sockets.fetch_add(1, Relaxed)
    }

    /// The room of a post's comments.
    ///
    /// # Errors
    /// 404 when there is no such post, 503 when nobody knows.
    pub(crate) async fn of_post(&self, post_id: &str) -> Result<Arc<Room>, Error> {
        let no_post = || Error::not_found("Post not found");
        let name = RoomName::of_post(post_id).ok_or_else(no_post)?;
        if let Some(room) = self.find(&name) {
            return Ok(room);
        }
        let last = self.comments_after(post_id, None).await?.last;
        Ok(Arc::new(Room::of_post(name, post_id.to_owned(), last)))
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
        let joined = Arc::clone(known.unwrap_or(room));
        joined.join(member, after)?;
        if known.is_none() {
            rooms.insert(room.name.clone(), Arc::clone(room));
            metrics::rooms(rooms.len());
            let (hub, room) = (Arc::clone(self), Arc::clone(room));
            self.context.spawn(async move { hub.keep(&room).await });
        }
        Ok(joined)
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

    /// Tells everybody in a room, in the order in which Redis has it. Without Redis, those here
    /// are told; the answer is whether the others are too.
    pub(crate) async fn say(&self, room: &RoomName, frame: Frame) -> bool {
        let saying = Saying::new(room, &frame);
        let said = self.bus.say(&saying).await.is_ok();
        if !(said && self.bus.hears())
            && let Some(room) = self.find(room)
        {
            room.tell(&frame);
        }
        said
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
        let request = CommentsAfterRequest {
            post_id: post_id.to_owned(),
            after,
            limit: PAGE,
        };
        let turn = tokio::time::timeout(TURN, self.reading.acquire()).await;
        let Ok(_turn) = turn else {
            return Err(Error::unavailable("Too many ask for comments; try again"));
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
            let _delivery = trace::delivery(&name, &stored.traceparent).entered();
            room.offer(comment.number, model::comment(&comment));
        }
    }

    fn hear(&self, text: &[u8]) {
        let Ok(saying) = serde_json::from_slice::<Saying>(text) else {
            tracing::warn!("something else speaks on the channel of rooms");
            return;
        };
        let Some(room) = self.find(&saying.room) else {
            return;
        };
        let traceparent = saying.traceparent.unwrap_or_default();
        let _delivery = trace::delivery(&room.name, &traceparent).entered();
        room.tell(&saying.frame.into());
    }

    /// Keeps a room current while somebody is in it: fetches what nobody told of.
    async fn keep(&self, room: &Arc<Room>) {
        loop {
            tokio::select! {
                () = room.missed.notified() => {}
                () = tokio::time::sleep(self.look) => {}
            }
            if self.remove_if_empty(room) {
                return;
            }
            if let Some(post_id) = &room.post_id {
                self.fetch(room, post_id).await;
            }
        }
    }

    async fn fetch(&self, room: &Room, post_id: &str) {
        loop {
            match self.comments_after(post_id, Some(room.last())).await {
                Ok(page) => {
                    let (until, last) = (page.until, page.last);
                    let frames: Vec<_> = page
                        .comments
                        .iter()
                        .map(|comment| (comment.number, model::comment(comment)))
                        .collect();
                    metrics::fetched(frames.len());
                    room.catch_up(frames, until);
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

    fn rooms(&self) -> MutexGuard<'_, HashMap<RoomName, Arc<Room>>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
