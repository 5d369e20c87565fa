//! Names of rooms, and what is said in them.

use std::fmt;

use chassis::{
    Text, json as read,
    socket::{Frame, MAX_MESSAGE},
    text,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Longest part of a room's name that a client chooses, in characters.
const MAX_NAME: usize = 100;

/// The text of a comment, or of what is said about a car.
pub type Words = Text<1, 2_000>;
/// The title of a review.
pub type Title = Text<1, 200>;

/// The longest that anybody says has room in a message however it is escaped, with its envelope and the names of rooms.
const _: () = assert!(Words::WIDEST + 3 * MAX_NAME * text::WIDEST < MAX_MESSAGE);

/// The name of a room: what it is about, and which one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RoomName(String);

impl RoomName {
    /// The comments on a post.
    pub fn of_post(post_id: &str) -> Option<Self> {
        Self::named("posts", post_id)
    }

    /// The discussion of a car model, in whatever spelling: blanks and case do not count, nor how letters are composed.
    pub fn of_topic(car_model: &str) -> Option<Self> {
        let words: Vec<&str> = car_model.split_whitespace().collect();
        Self::named("topics", &text::folded(&words.join(" ")))
    }

    /// The room of a movie, or of whatever its members call so.
    pub fn of_reviews(room_id: &str) -> Option<Self> {
        Self::named("reviews", room_id)
    }

    fn named(kind: &str, name: &str) -> Option<Self> {
        let length = name.chars().count();
        let sound = (1..=MAX_NAME).contains(&length)
            && !name.chars().any(char::is_control)
            && !text::is_blank(name);
        sound.then(|| Self(format!("{kind}:{name}")))
    }

    /// The name as text: `posts:<post_id>`, `topics:<car model>`, `reviews:<room_id>`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it is about, and which one.
    pub fn parts(&self) -> (&str, &str) {
        self.0.split_once(':').unwrap_or(("", &self.0))
    }

    /// Reads a name as it is written.
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once(':')? {
            ("posts", id) => Self::of_post(id),
            ("topics", model) => Self::of_topic(model),
            ("reviews", id) => Self::of_reviews(id),
            _ => None,
        }
    }
}

impl fmt::Display for RoomName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A comment as S0-11 shows it.
pub fn comment(comment: &proto::discussions::Comment) -> Frame {
    let shown = json!({
        "comment_id": comment.comment_id,
        "user_id": comment.user_id,
        "comment_text": comment.text,
        "timestamp": comment.timestamp,
    });
    shown.to_string().into()
}

/// An event as D23 frames it.
pub fn event(name: &str, data: &Value) -> Frame {
    json!({ "event": name, "data": data }).to_string().into()
}

/// The event of S3-21 to S3-24 that tells a room something.
pub fn message(text: &str) -> Frame {
    event("message", &json!({ "message": text }))
}

/// What a client is told that said something wrong (D23).
pub fn error(text: &str) -> Frame {
    event("error", &json!({ "message": text }))
}

/// What a client says on a post or about a car; other members are ignored (S0-27).
#[derive(Debug, Deserialize)]
pub struct Said {
    /// The words.
    pub comment_text: Words,
}

/// What a client says in the rooms of movies (D23).
#[derive(Debug, PartialEq, Eq)]
pub enum Notice {
    /// S3-21
    Join(Place),
    /// S3-23
    Leave(Place),
    /// S3-22
    NewReview(Place, String),
}

/// Who is where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The account that the member `user_id` names, if it is the number of one; what else it says is nobody's name.
    pub user_id: Option<i64>,
    /// The member `room_id`, as text.
    pub room_id: String,
    /// The room of that id.
    pub room: RoomName,
}

impl Notice {
    /// Reads a frame.
    ///
    /// # Errors
    /// What its sender is told.
    pub fn parse(text: &str) -> Result<Self, String> {
        let frame: Value = read::from_str(text).map_err(|misfit| misfit.of("The frame"))?;
        let event = frame["event"]
            .as_str()
            .ok_or("A frame has a text `event` and an object `data`")?;
        Self::read(event, &frame["data"])
    }

    /// Reads an event.
    ///
    /// # Errors
    /// What its sender is told.
    pub fn read(event: &str, data: &Value) -> Result<Self, String> {
        // Some clients write the object into a text first.
        let written = data.as_str().map(read::from_str::<Value>);
        let data = match &written {
            Some(Ok(written)) if written.is_object() => written,
            _ => data,
        };
        match event {
            "join_notification" => Ok(Self::Join(place(data)?)),
            "leave_notification" => Ok(Self::Leave(place(data)?)),
            "new_review" => {
                let title = data["review_title"].as_str();
                let title = Title::new(title.ok_or("`review_title` must be a text")?);
                let title = title.map_err(|error| format!("`review_title`: {error}"))?;
                Ok(Self::NewReview(place(data)?, title.into_string()))
            }
            _ => Err(
                "Unknown event: join_notification, leave_notification and new_review are possible"
                    .to_owned(),
            ),
        }
    }
}

fn place(data: &Value) -> Result<Place, String> {
    let (user_id, room_id) = (number(&id(data, "user_id")?), id(data, "room_id")?);
    let room = RoomName::of_reviews(&room_id);
    let room = room.ok_or_else(|| format!("`room_id` must have 1 to {MAX_NAME} characters"))?;
    Ok(Place {
        user_id,
        room_id,
        room,
    })
}

/// The number of an account, in digits; as a number of JSON it may have a fraction of nothing.
fn number(user_id: &str) -> Option<i64> {
    let digits = user_id.strip_suffix(".0").unwrap_or(user_id);
    let sound = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| sound)
}

/// An id is a text in the socket and a number in the table (S3-48): both are taken.
fn id(data: &Value, name: &str) -> Result<String, String> {
    let text = match &data[name] {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return Err(format!("`{name}` must be a text")),
    };
    let length = text.chars().count();
    if !(1..=MAX_NAME).contains(&length) || text.chars().any(char::is_control) {
        return Err(format!("`{name}` must have 1 to {MAX_NAME} characters"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d10_spellings_of_a_model_meet_in_one_room() {
        let room = RoomName::of_topic("  Golf   GTI ").unwrap();
        assert_eq!(room.as_str(), "topics:golf gti");
        assert_eq!(RoomName::parse("topics:GOLF gti"), Some(room));
        let composed = RoomName::of_topic("Citro\u{eb}n STRA\u{1e9e}E");
        assert_eq!(composed, RoomName::of_topic("citroe\u{308}n strasse"));
        for none in [
            "",
            "posts:",
            "other:1",
            "posts",
            "posts:\u{7}",
            "topics:\u{200b}",
        ] {
            assert_eq!(RoomName::parse(none), None, "{none}");
        }
        assert_eq!(RoomName::of_reviews(&"x".repeat(101)), None);
    }

    #[test]
    fn d23_bad_frames_are_explained() {
        for bad in [
            "",
            "no json",
            "[]",
            "{}",
            r#"{"event":1}"#,
            r#"{"event":"shout","data":{}}"#,
            r#"{"event":"join_notification"}"#,
            r#"{"event":"join_notification","data":{"user_id":"1","room_id":""}}"#,
            r#"{"event":"new_review","data":{"user_id":"1","room_id":"2"}}"#,
        ] {
            assert!(Notice::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn s3_48_an_id_is_a_text_or_a_number() {
        let join = |id: &str| {
            let text = format!(
                r#"{{"event":"join_notification","data":{{"user_id":{id},"room_id":"2"}}}}"#
            );
            Notice::parse(&text).unwrap()
        };
        assert_eq!(join("7"), join("\"7\""));
        assert_eq!(join("7.0"), join("7"));
    }

    #[test]
    fn data_may_be_json_in_a_text() {
        let data = json!({"user_id": "1", "room_id": "2", "review_title": "So \"true\""});
        for name in ["join_notification", "leave_notification", "new_review"] {
            let object = Notice::read(name, &data).unwrap();
            let text = Notice::read(name, &data.to_string().into()).unwrap();
            assert_eq!(object, text);
        }
        for bad in ["", "text", "[1]", "\"{}\"", "7"] {
            assert!(
                Notice::read("join_notification", &bad.into()).is_err(),
                "{bad}"
            );
        }
    }

    #[test]
    fn an_account_is_named_by_its_number_alone() {
        for (text, account) in [
            ("7", Some(7)),
            ("007", Some(7)),
            ("7.0", Some(7)),
            ("\u{ff17}", None),
            ("+7", None),
            ("-7", None),
            ("7.5", None),
            (".0", None),
            ("", None),
            ("ada", None),
            ("9223372036854775808", None),
        ] {
            assert_eq!(number(text), account, "{text}");
        }
    }
}
