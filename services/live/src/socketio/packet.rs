//! Packets of Engine.IO 4, and of Socket.IO 5 inside them, as text.

use chassis::{
    Error, json as read,
    socket::{Frame, MAX_MESSAGE, Received},
};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use crate::{model, session::PING as PING_INTERVAL};

/// Asks a client whether it is still there.
pub(crate) const PING: Frame = Frame::from_static("2");
/// A client asks so, over a new WebSocket, whether it can change to it.
pub(crate) const PROBE: &str = "2probe";
/// It can.
pub(crate) const PROBED: Frame = Frame::from_static("3probe");
/// A client changes to the WebSocket.
pub(crate) const UPGRADE: &str = "5";
/// Nothing: ends a poll.
pub(crate) const NOOP: &str = "6";
/// A client goes, or is told to.
pub(crate) const CLOSE: &str = "1";
/// Stands between the packets of a poll.
pub(crate) const SEPARATOR: char = '\u{1e}';
/// The only namespace there is.
pub(crate) const MAIN: &str = "/";

/// What an Engine.IO message says to Socket.IO.
#[derive(Debug, PartialEq)]
pub(crate) enum Packet {
    /// Somebody wants in, and perhaps says who it is, or what is wrong with how it is said.
    Connect(String, Result<Auth, String>),
    /// A client leaves a namespace.
    Disconnect,
    /// An event.
    Event(String, Event),
}

/// Who a client says it is.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Auth {
    pub(crate) token: Option<String>,
}

/// An event of a client.
#[derive(Debug, PartialEq)]
pub(crate) struct Event {
    /// The number under which an answer is expected.
    pub(crate) id: Option<u64>,
    pub(crate) name: String,
    pub(crate) data: Value,
}

/// What is no news, but keeps a connection up, or ends it.
pub(crate) fn upkeep(text: &str) -> Option<Received> {
    let kind = text.get(..2).unwrap_or(text);
    match kind {
        CLOSE | "41" if !text.starts_with("41/") => Some(Received::Gone),
        _ if text.starts_with('2') => Some(Received::Ping),
        // Nobody here asks for acknowledgements.
        "43" | "41" => Some(Received::Pong),
        _ if text.starts_with(['3', '5', '6']) => Some(Received::Pong),
        _ => None,
    }
}

impl Packet {
    /// Reads what a client sent.
    ///
    /// # Errors
    /// What its sender is told.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let nonsense = || "This is no packet of Socket.IO 5".to_owned();
        let message = text.strip_prefix('4').ok_or_else(nonsense)?;
        let kind = message.chars().next().ok_or_else(nonsense)?;
        let (namespace, rest) = namespace(&message[kind.len_utf8()..]);
        match kind {
            '0' => Ok(Self::Connect(namespace.to_owned(), auth(rest))),
            '1' => Ok(Self::Disconnect),
            '2' => Ok(Self::Event(namespace.to_owned(), event(rest)?)),
            '5' | '6' => Err("Binary data is not taken".to_owned()),
            _ => Err(nonsense()),
        }
    }
}

/// The namespace in front of the rest; the main one is left out.
fn namespace(text: &str) -> (&str, &str) {
    if text.starts_with('/') {
        text.split_once(',').unwrap_or((text, ""))
    } else {
        (MAIN, text)
    }
}

/// A token, under either of the names that clients give it.
#[derive(Default, Deserialize)]
struct Said {
    token: Option<String>,
    access_token: Option<String>,
}

fn auth(text: &str) -> Result<Auth, String> {
    if text.is_empty() {
        return Ok(Auth::default());
    }
    let said = read::from_str::<Option<Said>>(text);
    let said = said.map_err(|_| "`auth` must be an object with a text `token`".to_owned())?;
    let Said {
        token,
        access_token,
    } = said.unwrap_or_default();
    // Who has no token (yet) sends an empty one.
    let mut tokens = [token, access_token].into_iter().flatten();
    let token = tokens.find(|token| !token.trim().is_empty());
    Ok(Auth { token })
}

fn event(text: &str) -> Result<Event, String> {
    let digits = text.find(|character: char| !character.is_ascii_digit());
    let (id, json) = text.split_at(digits.unwrap_or(text.len()));
    let id = match id {
        "" => None,
        id => Some(
            id.parse()
                .map_err(|_| "The number of the packet is too large")?,
        ),
    };
    let said: Vec<Value> =
        read::from_str(json).map_err(|_| "An event must be a JSON array".to_owned())?;
    let mut said = said.into_iter();
    match said.next() {
        Some(Value::String(name)) => Ok(Event {
            id,
            name,
            data: said.next().unwrap_or_default(),
        }),
        _ => Err("An event must have a text as its name".to_owned()),
    }
}

/// The first packet of a connection.
pub(crate) fn open(session: &str, upgrades: &[&str]) -> Frame {
    let interval = PING_INTERVAL.as_millis();
    let open = json!({
        "sid": session,
        "upgrades": upgrades,
        "pingInterval": interval,
        "pingTimeout": interval,
        "maxPayload": MAX_MESSAGE,
    });
    format!("0{open}").into()
}

/// Lets a client in.
pub(crate) fn connected(id: &str) -> Frame {
    format!("40{}", json!({ "sid": id })).into()
}

/// Does not let a client in; it will not try again of itself.
pub(crate) fn refused(namespace: &str, error: &Error) -> Frame {
    let namespace = match namespace {
        MAIN => String::new(),
        other => format!("{other},"),
    };
    let status = error.code().status().as_u16();
    let message = error.message();
    let said = json!({ "message": message, "data": { "status": status, "message": message } });
    format!("44{namespace}{said}").into()
}

/// Says why a client has to go, and tells it to.
pub(crate) fn farewell(reason: &str) -> [Frame; 2] {
    let why = of_frame(model::error(reason));
    [why, Frame::from_static("41")]
}

/// Answers an event that asked for it.
pub(crate) fn answer(id: u64, outcome: Result<(), &Error>) -> Frame {
    let said = match outcome {
        Ok(()) => json!([{ "ok": true }]),
        Err(error) => json!([{ "ok": false, "message": error.message() }]),
    };
    format!("43{id}{said}").into()
}

/// A frame of a plain socket as an event: of its own name, or else it is a comment (S0-11). What
/// is a packet already stays as it is.
pub(crate) fn of_frame(frame: Frame) -> Frame {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        event: Option<&'a RawValue>,
        #[serde(borrow)]
        data: Option<&'a RawValue>,
    }
    if !frame.starts_with('{') {
        return frame;
    }
    let packet = match serde_json::from_str(&frame) {
        Ok(Named {
            event: Some(event),
            data: Some(data),
        }) => format!("42[{event},{data}]"),
        _ => format!("42[\"comment\",{frame}]"),
    };
    packet.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Packet {
        Packet::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn d23b_packets_are_read_as_clients_write_them() {
        let connect = |namespace: &str, token: Option<&str>| {
            let token = token.map(str::to_owned);
            Packet::Connect(namespace.to_owned(), Ok(Auth { token }))
        };
        assert_eq!(parsed("40"), connect("/", None));
        assert_eq!(
            parsed(r#"40{"token":"t","more":1}"#),
            connect("/", Some("t"))
        );
        assert_eq!(parsed(r#"40{"access_token":"t"}"#), connect("/", Some("t")));
        for nobody in ["null", "{}", r#"{"token":null}"#, r#"{"token":""}"#] {
            assert_eq!(parsed(&format!("40{nobody}")), connect("/", None));
        }
        assert_eq!(parsed("40/admin,"), connect("/admin", None));
        assert_eq!(parsed("40/admin"), connect("/admin", None));
        let event = |id, data| Event {
            id,
            name: "join".to_owned(),
            data,
        };
        let room = json!({"room": "posts/1"});
        for (text, expected) in [
            (
                r#"42["join",{"room":"posts/1"}]"#,
                event(None, room.clone()),
            ),
            (r#"4217["join",{"room":"posts/1"}]"#, event(Some(17), room)),
            (r#"42["join"]"#, event(None, Value::Null)),
            (r#"42["join","posts/1",3]"#, event(None, json!("posts/1"))),
        ] {
            assert_eq!(
                parsed(text),
                Packet::Event("/".to_owned(), expected),
                "{text}"
            );
        }
    }

    #[test]
    fn d23b_what_is_no_packet_is_explained() {
        let deep = format!("42{}", "[".repeat(10_000));
        let number = format!("42{}[\"x\"]", "9".repeat(40));
        for bad in [
            "",
            "4",
            "é",
            "4é",
            "9",
            "0{}",
            "hello",
            "42",
            "42{}",
            "42[]",
            "42[1]",
            "42[\"x\"",
            "421",
            "42/admin",
            "44{}",
            "47",
            "451-[\"x\"]",
            r#"{"event":"join_notification"}"#,
            &deep,
            &number,
        ] {
            assert!(Packet::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn who_says_who_it_is_in_another_way_still_wants_in() {
        for odd in [
            "[]",
            "[1]",
            "5",
            "\"a text\"",
            "{\"token\":5}",
            "{\"token\":true}",
            "{\"token\":[\"t\"]}",
            "no json",
        ] {
            let Packet::Connect(_, Err(told)) = parsed(&format!("40{odd}")) else {
                panic!("{odd}");
            };
            assert!(
                !told.contains(|letter: char| letter.is_ascii_digit()),
                "{told}"
            );
        }
    }

    #[test]
    fn d23b_upkeep_is_no_message() {
        for (text, expected) in [
            ("1", Received::Gone),
            ("41", Received::Gone),
            ("2", Received::Ping),
            ("2probe", Received::Ping),
            ("3", Received::Pong),
            ("5", Received::Pong),
            ("41/admin,", Received::Pong),
            ("431[1]", Received::Pong),
        ] {
            assert_eq!(upkeep(text), Some(expected), "{text}");
        }
        for text in ["", "é", "42[\"x\"]", "40", "x", "4"] {
            assert_eq!(upkeep(text), None, "{text}");
        }
    }

    #[test]
    fn d23b_frames_become_events() {
        let frame = |frame| of_frame(frame).to_string();
        let message = model::message("User \"7\" says 42[]");
        assert_eq!(
            frame(message),
            r#"42["message",{"message":"User \"7\" says 42[]"}]"#
        );
        let comment = r#"{"comment_id":"p.1","comment_text":"data"}"#;
        assert_eq!(frame(comment.into()), format!(r#"42["comment",{comment}]"#));
        assert_eq!(frame(answer(3, Ok(()))), r#"433[{"ok":true}]"#);
        let error = Error::not_found("no");
        assert_eq!(
            frame(refused("/a", &error)),
            r#"44/a,{"data":{"message":"no","status":404},"message":"no"}"#
        );
    }
}
