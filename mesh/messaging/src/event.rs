//! Events: what a service says has happened, as `CloudEvents` 1.0 in JSON.

use chassis::{clock, json};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

/// The content type of an event in structured mode.
pub(crate) const CONTENT_TYPE: &str = "application/cloudevents+json";
/// The version of `CloudEvents` that is written and read.
const SPEC_VERSION: &str = "1.0";
/// The longest type: a routing key has 255 bytes.
const LONGEST_TYPE: usize = 200;

/// The longest id: it is a key of the inbox.
const LONGEST_ID: usize = 200;
/// The longest event, in bytes of JSON: events tell what happened, they are no way to move files.
pub(crate) const LONGEST_EVENT: usize = 256 * 1024;

/// A thing that happened, as one service tells the others.
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// #[derive(Debug, Serialize, Deserialize)]
/// struct Registered {
///     user_id: i64,
/// }
///
/// impl messaging::Event for Registered {
///     const TYPE: &'static str = "users.registered";
///     fn subject(&self) -> String {
///         self.user_id.to_string()
///     }
/// }
/// # extern crate mesh_messaging as messaging;
/// ```
pub trait Event: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The type, which is the routing key too: `users.registered`.
    const TYPE: &'static str;
    /// The version of the payload, greater by one with every change that old readers misread.
    const VERSION: u32 = 1;

    /// The aggregate that it happened to: events of one source and subject keep their order.
    fn subject(&self) -> String;
}

/// One event as it travels (`CloudEvents` 1.0, structured mode).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// The version of `CloudEvents`.
    specversion: String,
    /// The id: unique in its source, the same each time that the event is delivered.
    pub id: String,
    /// The service that it happened in: `/users`.
    pub source: String,
    /// What happened: `users.registered`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The aggregate that it happened to.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// When it happened.
    pub time: DateTime<Utc>,
    /// The media type of `data`.
    datacontenttype: String,
    /// The version of the payload (an extension attribute).
    #[serde(default = "first_version")]
    pub dataversion: u32,
    /// The trace that it happened in (the extension for distributed tracing).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The payload.
    pub data: Value,
}

fn first_version() -> u32 {
    1
}

/// Why a message can never be handled, however often it is delivered. Reasons stand in headers and logs: they name
/// members, and never what is in them.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Poison {
    /// Not JSON, or not a `CloudEvent`.
    #[error("not a CloudEvent in JSON: {0}")]
    Malformed(String),
    /// A version of `CloudEvents` that does not exist yet.
    #[error("specversion must be {SPEC_VERSION}")]
    SpecVersion,
    /// A payload that this consumer is too old for.
    #[error("version {found} of {kind} is unknown: this consumer reads up to {known}")]
    Version {
        /// The type.
        kind: String,
        /// The version it has.
        found: u32,
        /// The latest version that is known.
        known: u32,
    },
    /// Longer than any event is.
    #[error("{0} bytes are too long for an event")]
    Length(usize),
    /// Without an id, two events could not be told apart.
    #[error("the id has {0} characters, not 1 to {LONGEST_ID}")]
    Id(usize),
    /// The payload does not fit its type.
    #[error("the payload is no {kind}: {cause}")]
    Payload {
        /// The type.
        kind: String,
        /// What does not fit.
        cause: String,
    },
    /// A type that the queue is bound to, but nobody handles; empty where it is none.
    #[error("nobody handles events of this type: {0}")]
    Unhandled(String),
}

impl Envelope {
    /// Wraps an event of `service`: it happened now, in the current trace.
    ///
    /// # Errors
    /// When the payload cannot be written as JSON, or the type is no routing key.
    pub fn new<E: Event>(service: &str, event: &E) -> anyhow::Result<Self> {
        anyhow::ensure!(is_type(E::TYPE), "`{}` is no type of an event", E::TYPE);
        Ok(Self {
            specversion: SPEC_VERSION.to_owned(),
            id: clock::id().to_string(),
            source: format!("/{service}"),
            kind: E::TYPE.to_owned(),
            subject: event.subject(),
            time: clock::now(),
            datacontenttype: "application/json".to_owned(),
            dataversion: E::VERSION,
            traceparent: crate::trace::current(),
            data: serde_json::to_value(event)?,
        })
    }

    /// Reads what was delivered.
    ///
    /// # Errors
    /// When it is no event of a version that is known.
    pub fn parse(bytes: &[u8]) -> Result<Self, Poison> {
        if bytes.len() > LONGEST_EVENT {
            return Err(Poison::Length(bytes.len()));
        }
        let envelope: Self = serde_json::from_slice(bytes)
            .or_else(|_| json::from_slice(bytes))
            .map_err(|misfit| Poison::Malformed(misfit.of("the message")))?;
        if envelope.specversion != SPEC_VERSION {
            return Err(Poison::SpecVersion);
        }
        let length = envelope.id.chars().count();
        if !(1..=LONGEST_ID).contains(&length) {
            return Err(Poison::Id(length));
        }
        Ok(envelope)
    }

    /// Reads the payload.
    ///
    /// # Errors
    /// When it is of a later version than `E`, or does not fit it.
    pub fn payload<E: Event>(&self) -> Result<E, Poison> {
        if self.dataversion > E::VERSION {
            return Err(Poison::Version {
                kind: E::TYPE.to_owned(),
                found: self.dataversion,
                known: E::VERSION,
            });
        }
        E::deserialize(&self.data)
            .or_else(|_| json::from_value(&self.data))
            .map_err(|misfit| Poison::Payload {
                kind: E::TYPE.to_owned(),
                cause: misfit.of("`data`"),
            })
    }

    /// The JSON that is sent.
    ///
    /// # Errors
    /// When it is longer than 256 KiB: no consumer would take it.
    pub fn to_json(&self) -> anyhow::Result<String> {
        let text = serde_json::to_string(self)?;
        anyhow::ensure!(
            text.len() <= LONGEST_EVENT,
            "an event of type {} has {} bytes, more than {LONGEST_EVENT}",
            self.kind,
            text.len()
        );
        Ok(text)
    }
}

/// Words of small letters, digits and `_`, parted by dots.
pub(crate) fn is_type(text: &str) -> bool {
    text.len() <= LONGEST_TYPE
        && text.split('.').all(|word| {
            !word.is_empty()
                && word
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        })
}

/// A text that fits a header and a log line.
pub(crate) fn shorten(text: &str) -> String {
    text.chars().take(500).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Renamed {
        user_id: i64,
    }

    impl Event for Renamed {
        const TYPE: &'static str = "users.renamed";
        const VERSION: u32 = 2;
        fn subject(&self) -> String {
            self.user_id.to_string()
        }
    }

    fn altered(change: impl FnOnce(&mut Value)) -> Vec<u8> {
        let envelope = Envelope::new("users", &Renamed { user_id: 7 }).unwrap();
        let mut value = serde_json::to_value(envelope).unwrap();
        change(&mut value);
        value.to_string().into_bytes()
    }

    #[test]
    fn an_event_travels_as_a_cloud_event() {
        let value: Value = serde_json::from_slice(&altered(|_| {})).unwrap();
        assert_eq!(value["specversion"], "1.0");
        assert_eq!(value["source"], "/users");
        assert_eq!(value["type"], "users.renamed");
        assert_eq!(value["subject"], "7");
        assert_eq!(value["datacontenttype"], "application/json");
        assert_eq!(value["data"], serde_json::json!({ "user_id": 7 }));
        assert!(value["time"].as_str().unwrap().ends_with('Z'));
    }

    #[test]
    fn what_is_written_is_read() {
        let envelope = Envelope::parse(&altered(|_| {})).unwrap();
        assert_eq!(
            envelope.payload::<Renamed>().unwrap(),
            Renamed { user_id: 7 }
        );
    }

    #[test]
    fn what_no_consumer_would_take_is_not_written() {
        let mut envelope = Envelope::new("users", &Renamed { user_id: 7 }).unwrap();
        envelope.data = "x".repeat(LONGEST_EVENT).into();
        assert!(envelope.to_json().is_err());
    }

    #[test]
    fn attributes_of_others_do_not_disturb() {
        let bytes = altered(|value| value["partitionkey"] = "x".into());
        assert!(Envelope::parse(&bytes).is_ok());
    }

    #[test]
    fn f18_what_can_never_be_handled_is_poison() {
        assert!(matches!(Envelope::parse(b"{"), Err(Poison::Malformed(_))));
        let bytes = altered(|value| value["specversion"] = "2.0".into());
        assert_eq!(Envelope::parse(&bytes), Err(Poison::SpecVersion));
        let nameless = altered(|value| value["id"] = "".into());
        assert_eq!(Envelope::parse(&nameless), Err(Poison::Id(0)));
        let endless = altered(|value| value["data"] = "x".repeat(LONGEST_EVENT).into());
        assert!(matches!(
            Envelope::parse(&endless),
            Err(Poison::Length(LONGEST_EVENT..))
        ));
        let later = Envelope::parse(&altered(|value| value["dataversion"] = 3.into())).unwrap();
        assert!(matches!(
            later.payload::<Renamed>(),
            Err(Poison::Version { found: 3, .. })
        ));
        let other = Envelope::parse(&altered(|value| value["data"] = "x".into())).unwrap();
        assert!(matches!(
            other.payload::<Renamed>(),
            Err(Poison::Payload { .. })
        ));
    }

    #[test]
    fn a_reason_never_holds_what_was_sent() {
        let message = |member: &str, value: Value| altered(|event| event[member] = value);
        for (bytes, expected) in [
            (
                b"canary".to_vec(),
                "not a CloudEvent in JSON: the message is not valid JSON",
            ),
            (
                b"\"canary\"".to_vec(),
                "not a CloudEvent in JSON: the message must be an object",
            ),
            (
                message("type", serde_json::json!({"canary": 1})),
                "not a CloudEvent in JSON: `type` must be a text",
            ),
            (
                message("specversion", "canary".into()),
                "specversion must be 1.0",
            ),
        ] {
            let told = Envelope::parse(&bytes).unwrap_err().to_string();
            assert_eq!(told, expected);
        }
        for (data, expected) in [
            ("canary".into(), "`data` must be an object"),
            (
                serde_json::json!({"user_id": "canary"}),
                "`user_id` must be a whole number",
            ),
        ] {
            let event = Envelope::parse(&message("data", data)).unwrap();
            let told = event.payload::<Renamed>().unwrap_err().to_string();
            assert_eq!(told, format!("the payload is no users.renamed: {expected}"));
        }
    }

    #[test]
    fn a_type_is_a_routing_key_without_wildcards() {
        for good in ["users.registered", "likes.post_liked", "a1"] {
            assert!(is_type(good), "{good}");
        }
        for bad in ["", "users.", "users.*", "#", "Users.Registered"] {
            assert!(!is_type(bad), "{bad}");
        }
    }
}
