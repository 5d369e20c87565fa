//! Rooms of movies (S3-19 to S3-25, D23): one socket, and as many rooms as its client joins.

use std::{collections::BTreeMap, sync::Arc};

use chassis::{
    Error,
    socket::{Ending, Frame},
};

use crate::{
    hub::Hub,
    line::Line,
    model::{self, Notice, Place, RoomName},
    room::{Member, Room},
    session::{Speech, Writer},
};

/// Rooms that one socket may be in.
pub(crate) const MAX_ROOMS: usize = 32;
/// As whom everybody is told of who has no token.
const GUEST: &str = "a guest";

/// A socket of S3.
#[derive(Debug)]
pub(crate) struct Reviews {
    pub(crate) hub: Arc<Hub>,
    pub(crate) rooms: BTreeMap<RoomName, Arc<Room>>,
}

impl Reviews {
    pub(crate) fn new(hub: &Arc<Hub>) -> Self {
        Self {
            hub: Arc::clone(hub),
            rooms: BTreeMap::new(),
        }
    }

    /// Does what a client says; what it alone is answered.
    pub(crate) async fn act(
        &mut self,
        member: &Member,
        writer: &Writer,
        notice: Notice,
    ) -> Result<Option<Frame>, Error> {
        match notice {
            Notice::Join(place) => {
                let who = name(member.user_id, &place)?;
                self.join(member, &place)?;
                let text = format!("User {who} has joined the room {}", place.room_id);
                self.hub.say(&place.room, model::message(&text)).await;
                Ok(None)
            }
            Notice::Leave(place) => {
                let who = name(member.user_id, &place)?;
                let room = self.rooms.remove(&place.room);
                let room = room.ok_or_else(|| Error::conflict("You are not in this room"))?;
                room.leave(member.id);
                let text = format!("User {who} has left the room {}", place.room_id);
                let frame = model::message(&text);
                self.hub.say(&place.room, frame.clone()).await;
                // Who leaves is told as well, and hears nothing else of the room.
                Ok(Some(frame))
            }
            Notice::NewReview(place, title) => {
                let who = name(Some(writer.identity()?.user_id), &place)?;
                let text = format!("User {who} added a new review: {title}");
                self.hub.say(&place.room, model::message(&text)).await;
                Ok(None)
            }
        }
    }

    fn join(&mut self, member: &Member, place: &Place) -> Result<(), Error> {
        if self.rooms.len() >= MAX_ROOMS && !self.rooms.contains_key(&place.room) {
            let message = format!("You are in {MAX_ROOMS} rooms: leave one first");
            return Err(Error::conflict(message));
        }
        let room = Arc::new(Room::new(place.room.clone()));
        if let Ok(room) = self.hub.join(&room, member, None) {
            self.rooms.insert(place.room.clone(), room);
        }
        Ok(())
    }
}

/// As whom a room is told of somebody. Anybody may read a room; but who has signed in is nobody else, and who has not is
/// nobody: what a guest calls itself is for nobody to hear.
fn name(user_id: Option<i64>, place: &Place) -> Result<String, Error> {
    match user_id {
        None => Ok(GUEST.to_owned()),
        Some(user_id) if place.user_id == Some(user_id) => Ok(user_id.to_string()),
        Some(_) => Err(Error::forbidden("`user_id` must be your own")),
    }
}

impl Speech for Reviews {
    const KIND: &'static str = "review";

    async fn open(&mut self, _: &Member, _: &mut Line) -> Result<(), Ending> {
        Ok(())
    }

    async fn say(
        &mut self,
        member: &Member,
        writer: &Writer,
        _: &mut Line,
        text: &str,
    ) -> Option<Frame> {
        let answer = match Notice::parse(text) {
            Ok(notice) => self.act(member, writer, notice).await,
            Err(error) => Err(Error::unacceptable(error)),
        };
        answer.unwrap_or_else(|error| Some(model::error(error.message())))
    }

    fn close(&mut self, member: &Member) {
        for room in self.rooms.values() {
            room.leave(member.id);
        }
    }
}
