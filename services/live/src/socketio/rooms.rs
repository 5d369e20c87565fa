//! All rooms on one connection: comments on posts, topics, and movies.

use std::{collections::BTreeMap, sync::Arc};

use chassis::{
    Error, json,
    socket::{Ending, Frame},
};
use serde_json::Value;

use super::{
    packet::{self, Event, MAIN, Packet},
    visit::nowhere,
};
use crate::{
    comments::{self, Comments},
    hub::Hub,
    line::Line,
    model::{self, Notice, RoomName, Said},
    reviews::{MAX_ROOMS, Reviews},
    room::{Member, Room},
    session::{Speech, Writer},
    topics::Topic,
};

/// A room that has a plain socket to itself.
#[derive(Debug)]
enum Talk {
    Comments(Comments),
    Topic(Topic),
}

/// What a client of Socket.IO is in.
#[derive(Debug)]
pub(super) struct Rooms {
    hub: Arc<Hub>,
    reviews: Reviews,
    talks: BTreeMap<RoomName, Talk>,
}

impl Rooms {
    pub(super) fn new(hub: &Arc<Hub>) -> Self {
        Self {
            hub: Arc::clone(hub),
            reviews: Reviews::new(hub),
            talks: BTreeMap::new(),
        }
    }

    /// Does what an event says; what its sender hears of it beside the answer.
    async fn act(
        &mut self,
        member: &Member,
        writer: &Writer,
        line: &mut Line,
        event: &Event,
    ) -> Result<Option<Frame>, Error> {
        match event.name.as_str() {
            "join" => self.join(member, line, &event.data).await?,
            "leave" => self.leave(member, &event.data)?,
            "comment" | "message" => self.comment(writer, &event.data).await?,
            name @ ("join_notification" | "leave_notification" | "new_review") => {
                let notice = Notice::read(name, &event.data).map_err(Error::unacceptable)?;
                return self.reviews.act(member, writer, notice).await;
            }
            _ => {
                return Err(Error::unacceptable(
                    "Unknown event: join, leave, comment, join_notification, leave_notification \
                     and new_review are possible",
                ));
            }
        }
        Ok(None)
    }

    /// Goes into a room, after what was missed there is told.
    async fn join(&mut self, member: &Member, line: &mut Line, data: &Value) -> Result<(), Error> {
        let Place { room, after } = Place::read(data)?;
        let room = room.ok_or_else(|| Error::unacceptable(WHICH))?;
        if self.talks.contains_key(&room) {
            return Err(Error::conflict("You are in this room already"));
        }
        if self.talks.len() >= MAX_ROOMS {
            let message = format!("You are in {MAX_ROOMS} rooms: leave one first");
            return Err(Error::conflict(message));
        }
        let hub = Arc::clone(&self.hub);
        let mut talk = match room.parts() {
            ("posts", post_id) => Talk::Comments(Comments {
                after: after
                    .map(|after| comments::place(post_id, &after))
                    .transpose()?,
                room: hub.of_post(post_id).await?,
                hub,
            }),
            _ => Talk::Topic(Topic {
                room: Arc::new(Room::new(room.clone())),
                hub,
            }),
        };
        let opened = match &mut talk {
            Talk::Comments(comments) => comments.open(member, line).await,
            Talk::Topic(topic) => topic.open(member, line).await,
        };
        opened.map_err(|ending| Error::unavailable(ending.reason))?;
        self.talks.insert(room, talk);
        Ok(())
    }

    fn leave(&mut self, member: &Member, data: &Value) -> Result<(), Error> {
        let room = Place::read(data)?.room;
        let room = room.ok_or_else(|| Error::unacceptable(WHICH))?;
        let talk = self.talks.remove(&room);
        talk.ok_or_else(not_there)?.close(member);
        Ok(())
    }

    /// Says something in a room; it need not be named where there is but one.
    async fn comment(&self, writer: &Writer, data: &Value) -> Result<(), Error> {
        let talk = match Place::read(data)?.room {
            Some(room) => self.talks.get(&room),
            None if self.talks.len() > 1 => return Err(Error::unacceptable(WHICH)),
            None => self.talks.values().next(),
        };
        let talk = talk.ok_or_else(not_there)?;
        let said = json::from_value::<Said>(data).map_err(|misfit| comments::unfit(&misfit))?;
        match talk {
            Talk::Comments(comments) => comments.write(writer, said).await,
            Talk::Topic(topic) => topic.write(writer, said).await,
        }
    }
}

impl Talk {
    fn close(&mut self, member: &Member) {
        match self {
            Self::Comments(comments) => comments.close(member),
            Self::Topic(topic) => topic.close(member),
        }
    }
}

impl Speech for Rooms {
    const KIND: &'static str = "event";

    async fn open(&mut self, _: &Member, _: &mut Line) -> Result<(), Ending> {
        Ok(())
    }

    async fn say(
        &mut self,
        member: &Member,
        writer: &Writer,
        line: &mut Line,
        text: &str,
    ) -> Option<Frame> {
        let event = match Packet::parse(text) {
            Ok(Packet::Event(namespace, event)) if namespace == MAIN => event,
            Ok(Packet::Connect(namespace, _)) if namespace != MAIN => {
                return Some(nowhere(&namespace));
            }
            // It is in already, or leaves a namespace where it never was.
            Ok(Packet::Connect(..) | Packet::Disconnect) => return None,
            Ok(Packet::Event(..)) => return Some(model::error("Invalid namespace")),
            Err(error) => return Some(model::error(&error)),
        };
        let outcome = self.act(member, writer, line, &event).await;
        match (outcome, event.id) {
            (Ok(heard), None) => heard,
            (Err(error), None) => Some(model::error(error.message())),
            (Ok(heard), Some(id)) => {
                if let Some(heard) = heard {
                    line.feed(heard).await;
                }
                Some(packet::answer(id, Ok(())))
            }
            (Err(error), Some(id)) => Some(packet::answer(id, Err(&error))),
        }
    }

    fn close(&mut self, member: &Member) {
        self.reviews.close(member);
        for talk in self.talks.values_mut() {
            talk.close(member);
        }
    }
}

const WHICH: &str = "`room` must be posts/<post_id> or topics/<car_model>";

fn not_there() -> Error {
    Error::conflict("You are not in this room")
}

/// What a client says of where it goes or speaks.
#[derive(Debug)]
struct Place {
    room: Option<RoomName>,
    after: Option<String>,
}

impl Place {
    /// Reads `{"room","after"}`, or the name of a room alone.
    fn read(data: &Value) -> Result<Self, Error> {
        let name = if data.is_string() {
            data
        } else {
            &data["room"]
        };
        let room = match name {
            Value::Null => None,
            name => Some(
                name.as_str()
                    .and_then(room)
                    .ok_or_else(|| Error::unacceptable(WHICH))?,
            ),
        };
        let after = match &data["after"] {
            Value::Null => None,
            Value::String(after) => Some(after.clone()),
            Value::Number(after) => Some(after.to_string()),
            _ => return Err(Error::unacceptable("`after` must be the id of a comment")),
        };
        Ok(Self { room, after })
    }
}

/// The rooms of movies have events of their own, which say who comes.
fn room(name: &str) -> Option<RoomName> {
    match name.split_once('/')? {
        ("posts", post_id) => RoomName::of_post(post_id),
        ("topics", car_model) => RoomName::of_topic(car_model),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn d23b_a_room_is_named_alone_or_with_a_place() {
        let read = |data: Value| Place::read(&data).map(|place| place.room);
        let post = RoomName::of_post("1").unwrap();
        assert_eq!(read(json!("posts/1")).unwrap(), Some(post.clone()));
        let with = Place::read(&json!({"room": "posts/1", "after": "1.7"})).unwrap();
        assert_eq!(
            (with.room, with.after.as_deref()),
            (Some(post), Some("1.7"))
        );
        let topic = read(json!({"room": "topics/Golf  GTI"})).unwrap().unwrap();
        assert_eq!(topic.parts(), ("topics", "golf gti"));
        assert_eq!(read(json!({"comment_text": "x"})).unwrap(), None);
        assert_eq!(read(Value::Null).unwrap(), None);
        for bad in ["", "posts", "posts/", "reviews/1", "posts:1", "rooms/1"] {
            assert!(read(json!(bad)).is_err(), "{bad}");
        }
        for bad in [json!({"room": 1}), json!({"room": "posts/1", "after": []})] {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
    }
}
