//! Ids: strings outside and in the store, because the embedded store finds only those quickly.

use std::{fmt, str::FromStr};

use chassis::clock;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A text that is no id: there is nothing of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoId;

impl fmt::Display for NoId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("this is no id")
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(into = "String", try_from = "String")]
        pub struct $name(Uuid);

        #[expect(clippy::new_without_default, reason = "every one is another")]
        impl $name {
            /// A new one.
            pub fn new() -> Self {
                Self(clock::id())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(formatter)
            }
        }

        impl FromStr for $name {
            type Err = NoId;

            /// Takes the one spelling that is given out: a thing has one address.
            fn from_str(text: &str) -> Result<Self, NoId> {
                let id = Self(Uuid::try_parse(text).map_err(|_| NoId)?);
                if id.to_string() == text { Ok(id) } else { Err(NoId) }
            }
        }

        string_conversions!($name);
    };
}

macro_rules! string_conversions {
    ($name:ident) => {
        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }

        impl TryFrom<String> for $name {
            type Error = NoId;

            fn try_from(text: String) -> Result<Self, NoId> {
                text.parse()
            }
        }
    };
}

uuid_id! {
    /// The id of a post: later posts have greater ids.
    PostId
}

uuid_id! {
    /// One state of a post.
    Revision
}

/// The id of a comment: its post, and its place in the discussion, counted from 1.
///
/// So the ids of a discussion are known without asking for them: see `docs/adr/0006`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct CommentId {
    /// The post.
    pub post: PostId,
    /// The place.
    pub number: u64,
}

impl fmt::Display for CommentId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.post, self.number)
    }
}

impl FromStr for CommentId {
    type Err = NoId;

    fn from_str(text: &str) -> Result<Self, NoId> {
        let (post, number) = text.split_once('.').ok_or(NoId)?;
        let id = Self {
            post: post.parse()?,
            number: number.parse().map_err(|_| NoId)?,
        };
        if id.number > 0 && id.to_string() == text {
            Ok(id)
        } else {
            Err(NoId)
        }
    }
}

string_conversions!(CommentId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_grow_and_have_one_spelling() {
        let (first, second) = (PostId::new(), PostId::new());
        assert!(first < second && first.to_string() < second.to_string());
        assert_eq!(first.to_string().parse(), Ok(first));
        for bad in [
            "",
            "x",
            "\0",
            "{0}",
            &first.to_string().to_uppercase(),
            &format!("{{{first}}}"),
        ] {
            assert_eq!(bad.parse::<PostId>(), Err(NoId), "{bad}");
        }
    }

    #[test]
    fn a_comment_id_names_its_post_and_place() {
        let id = CommentId {
            post: PostId::new(),
            number: 17,
        };
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in ["", ".", "x.1", &id.post.to_string()] {
            assert_eq!(bad.parse::<CommentId>(), Err(NoId), "{bad}");
        }
        for number in ["0", "01", "+1", "-1", "1.1", "", "99999999999999999999"] {
            assert_eq!(
                format!("{}.{number}", id.post).parse::<CommentId>(),
                Err(NoId),
                "{number}"
            );
        }
    }
}
