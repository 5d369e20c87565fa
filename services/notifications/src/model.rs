//! Notifications and their rules; nothing here knows of HTTP, SQL or SMTP.

use std::{fmt, str::FromStr};

use chassis::{Text, is_mailable, text};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Deserializer, Serialize, de};
use utoipa::ToSchema;

/// What is said, when somebody else writes it.
pub type Message = Text<1, 10_000>;
/// Longest text message, in characters: ten parts of a long SMS.
pub const LONGEST_SMS: usize = 1_600;
/// Longest subject, in characters.
pub const LONGEST_SUBJECT: usize = 200;
/// Longest name of a recipient, in characters.
const LONGEST_NAME: usize = 254;
/// Digits of a phone number (E.164).
const DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

/// The way a notification goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(title = "NotificationKind")]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A mail, over SMTP.
    Email,
    /// A text message; simulated (S1-08).
    Sms,
    /// A note that is kept here for its reader, and goes nowhere.
    Note,
}

impl Kind {
    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Sms => "sms",
            Self::Note => "note",
        }
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Email, Self::Sms, Self::Note];
        let known = all.into_iter().find(|kind| kind.as_str() == text);
        known.ok_or_else(|| "this is no kind of notification".into())
    }
}

/// A way out of here: what people may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(title = "NotificationCarrier")]
#[schema(rename_all = "lowercase")]
pub enum Carrier {
    /// A mail.
    Email,
    /// A text message.
    Sms,
}

impl Carrier {
    /// As a sentence has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Email => "Email",
            Self::Sms => "SMS",
        }
    }
}

impl From<Carrier> for Kind {
    fn from(carrier: Carrier) -> Self {
        match carrier {
            Carrier::Email => Self::Email,
            Carrier::Sms => Self::Sms,
        }
    }
}

impl FromStr for Carrier {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Email, Self::Sms];
        let known = all
            .into_iter()
            .find(|carrier| carrier.name().eq_ignore_ascii_case(text));
        known.ok_or_else(|| "type must be email or sms".into())
    }
}

impl<'de> Deserialize<'de> for Carrier {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// One address, phone number or name: never a list, never a second line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient(String);

impl Recipient {
    /// Checks.
    ///
    /// # Errors
    /// A sentence that says what is allowed.
    pub fn new(carrier: Carrier, text: &str) -> Result<Self, String> {
        let text = text.trim();
        let fits = match carrier {
            Carrier::Email => is_mailable(text),
            Carrier::Sms => is_phone(text),
        };
        match (fits, carrier) {
            (true, _) => Ok(Self(text.to_owned())),
            (false, Carrier::Email) => Err("recipient must be one e-mail address".into()),
            (false, Carrier::Sms) => Err(format!(
                "recipient must be one phone number, of {} to {} digits",
                DIGITS.start(),
                DIGITS.end()
            )),
        }
    }

    /// A person of ours by their name: where a note goes.
    pub(crate) fn person(username: &str) -> Self {
        Self(line(username, LONGEST_NAME))
    }

    /// One that was checked when it came in.
    pub(crate) fn stored(text: String) -> Self {
        Self(text)
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_phone(text: &str) -> bool {
    let number = text.strip_prefix('+').unwrap_or(text);
    let digits = number.bytes().filter(u8::is_ascii_digit).count();
    let allowed = |byte: u8| byte.is_ascii_digit() || b" -.()".contains(&byte);
    DIGITS.contains(&digits) && number.len() <= 2 * DIGITS.end() && number.bytes().all(allowed)
}

/// The subject of a mail: one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject(String);

impl Subject {
    /// Takes what somebody wrote.
    ///
    /// # Errors
    /// A sentence that says what is allowed.
    pub fn new(text: &str) -> Result<Self, String> {
        let composed = text::composed(text.trim());
        let text = if text::is_blank(&composed) {
            ""
        } else {
            &composed
        };
        if composed.chars().any(|c| c.is_control() || is_line_end(c)) {
            return Err("subject may not contain control characters".into());
        }
        if !(1..=LONGEST_SUBJECT).contains(&text.chars().count()) {
            return Err(format!(
                "subject must have 1 to {LONGEST_SUBJECT} characters"
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// Makes one line of any text.
    pub fn of(text: &str) -> Self {
        Self(line(text, LONGEST_SUBJECT))
    }

    /// The line.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Any text as one line of at most `longest` characters.
pub fn line(text: &str, longest: usize) -> String {
    let blank = |c: char| {
        if c.is_control() || is_line_end(c) {
            ' '
        } else {
            c
        }
    };
    let text: String = text.chars().map(blank).collect();
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(longest).collect()
}

/// What Unicode ends a line with, beside control characters.
fn is_line_end(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

/// Where a notification stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Waits for its first or another try.
    Queued,
    /// Some process gives it to the mail server right now, or died doing that.
    Sending,
    /// The mail server has it.
    Sent,
    /// Nobody tries any more.
    Failed,
    /// The process or the link ended just then: it may have been sent. Only a person may send it again.
    Unclear,
}

impl Status {
    const ALL: [Self; 5] = [
        Self::Queued,
        Self::Sending,
        Self::Sent,
        Self::Failed,
        Self::Unclear,
    ];

    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Unclear => "unclear",
        }
    }

    /// As it is shown: `queued`, `sent` or `failed`.
    pub fn shown(self) -> &'static str {
        match self {
            Self::Queued | Self::Sending => "queued",
            Self::Sent => "sent",
            Self::Failed | Self::Unclear => "failed",
        }
    }
}

impl FromStr for Status {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|status| status.as_str() == text);
        known.ok_or_else(|| "this is no status".into())
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A notification to be made.
#[derive(Debug, Clone)]
pub struct NewNotification {
    /// Its id.
    pub id: String,
    /// Whose it is: who asked for it, or whom an event is told.
    pub user_id: i64,
    /// The way it goes.
    pub kind: Kind,
    /// Where it goes.
    pub recipient: Recipient,
    /// The line above it; of a mail.
    pub subject: Subject,
    /// What somebody asked to be said, or the whole text of a mail about an event.
    pub message: String,
    /// The body of the mail.
    pub body: Body,
    /// The event that it tells of, and to whom: there is one notification of each.
    pub source: Option<String>,
}

/// What a mail says, twice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Body {
    /// As plain text.
    pub text: String,
    /// As HTML; empty for none.
    pub html: String,
}

/// A notification.
#[derive(Debug, Clone)]
pub struct Notification {
    /// What was to be made.
    pub content: NewNotification,
    /// Where it stands.
    pub status: Status,
    /// Why it is not sent (yet).
    pub reason: Option<String>,
    /// How often it was tried.
    pub attempts: i32,
    /// Since when it stands there.
    pub changed_at: DateTime<Utc>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When the mail server took it.
    pub sent_at: Option<DateTime<Utc>>,
}

/// What may be done with a notification that is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing: it is sent.
    Done,
    /// Send it.
    Send,
    /// Somebody else may be sending it: look again later.
    Wait,
    /// It may have been sent: leave it to a person.
    Doubt,
}

impl Notification {
    /// What a process does that is told to send it. `replayed`: a person said so, who saw that it
    /// failed. `patience`: the longest that sending takes.
    pub fn step(&self, replayed: bool, patience: TimeDelta, now: DateTime<Utc>) -> Step {
        match self.status {
            Status::Sent => Step::Done,
            Status::Queued | Status::Failed => Step::Send,
            Status::Sending if now - self.changed_at < patience => Step::Wait,
            Status::Sending | Status::Unclear if replayed => Step::Send,
            Status::Sending | Status::Unclear => Step::Doubt,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d13_an_email_has_one_recipient_and_no_second_line() {
        for good in [
            "a@b.c",
            "  ada+x@example.com ",
            "o'neil@example.co.uk",
            "jürgen@bücher.example",
        ] {
            assert!(Recipient::new(Carrier::Email, good).is_ok(), "{good}");
        }
        let long = format!("{}@example.com", "x".repeat(250));
        for bad in [
            "",
            "ada",
            "a@b.c, d@e.f",
            "a@b.c;d@e.f",
            "a@b.c d@e.f",
            "Ada <a@b.c>",
            "<a@b.c>",
            "a@b.c\r\nBcc: d@e.f",
            "a@b.c\nBcc: d@e.f",
            "\"a\r\n\"@b.c",
            "a@b.c>\r\nRCPT TO:<d@e.f",
            "a@[127.0.0.1]",
            "a\0@b.c",
            "\"a b\"@example.com",
            &long,
        ] {
            assert!(Recipient::new(Carrier::Email, bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn d13_an_sms_has_one_number() {
        for good in [
            "+4915112345678",
            "(030) 123 45-67",
            "123-456-7890",
            "1234567",
        ] {
            assert!(Recipient::new(Carrier::Sms, good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "123456",
            "+1234567890123456",
            "12345678, 12345679",
            "a@b.c",
            "123\n4567",
            "++1234567",
            "1234567+",
        ] {
            assert!(Recipient::new(Carrier::Sms, bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn d13_a_subject_is_one_line() {
        assert_eq!(Subject::new(" Grüße ").unwrap().as_str(), "Grüße");
        for bad in [
            "",
            "a\r\nBcc: x@y.z",
            "a\nb",
            "a\rb",
            "a\u{2028}b",
            "a\0b",
            &"x".repeat(201),
        ] {
            assert!(Subject::new(bad).is_err(), "{bad:?}");
        }
        assert_eq!(Subject::of("a\r\nBcc: b\t c").as_str(), "a Bcc: b c");
        assert_eq!(Subject::of(&"ä".repeat(300)).as_str().chars().count(), 200);
    }

    #[test]
    fn d13_types_are_known_in_any_case() {
        assert_eq!("Email".parse(), Ok(Carrier::Email));
        assert_eq!("sms".parse(), Ok(Carrier::Sms));
        // Nobody may leave notes to others, or have them left.
        for bad in ["fax", "note"] {
            assert!(bad.parse::<Carrier>().is_err(), "{bad}");
        }
        for kind in [Kind::Email, Kind::Sms, Kind::Note] {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
    }

    #[test]
    fn every_status_is_stored_and_read_back() {
        for status in Status::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
            assert!(["queued", "sent", "failed"].contains(&status.shown()));
        }
    }
}
