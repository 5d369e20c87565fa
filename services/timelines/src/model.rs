//! Posts and jobs and their rules; nothing here knows of HTTP, SQL or Redis.

use std::str::FromStr;

use chassis::{Error, Text, is_username, is_web_url};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// What a post says.
pub type PostText = Text<1, 280>;

/// The address of what a post repeats: `http` or `https`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, max_length = 2048, format = "uri", pattern = "^https?://.*$", examples("https://example.com/pass"))]
pub struct RepostUrl(String);

impl RepostUrl {
    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RepostUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if !is_web_url(&text) {
            return Err(
                "repost_original_url must be an http or https URL of at most 2048 characters, without a user in it".into(),
            );
        }
        Ok(Self(text))
    }
}

/// A username in a path: one that somebody may have, as it is compared (D1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Username(String);

impl Username {
    /// As it is compared: without case.
    pub fn key(&self) -> &str {
        &self.0
    }
}

impl FromStr for Username {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if is_username(text) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(no_such_user())
        }
    }
}

/// What is said about a username that nobody has.
pub fn no_such_user() -> Error {
    Error::not_found("User not found")
}

/// A post to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPost {
    /// Who writes it.
    pub user_id: i64,
    /// The author's name.
    pub username: String,
    /// What it says.
    pub text: PostText,
    /// What it repeats, if anything.
    pub repost_original_url: Option<RepostUrl>,
}

/// A post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    /// Its number, from 1; later ones are greater.
    pub id: i64,
    /// Who wrote it.
    pub user_id: i64,
    /// The author's name.
    pub username: String,
    /// What it says.
    pub text: String,
    /// What it repeats, if anything.
    pub repost_original_url: Option<String>,
    /// When it was written.
    pub created_at: DateTime<Utc>,
}

impl Post {
    /// Refuses everybody but the author.
    ///
    /// # Errors
    /// 403 for others.
    pub fn require_author(&self, user_id: i64) -> Result<(), Error> {
        if self.user_id == user_id {
            Ok(())
        } else {
            Err(Error::forbidden("Only its author can delete a post"))
        }
    }
}

/// A post that is to be made behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its id.
    pub id: Uuid,
    /// Who asked for it.
    pub user_id: i64,
    /// How far it is.
    pub state: JobState,
}

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobState {
    /// It waits.
    Queued,
    /// The post is there.
    Done {
        /// The post's number.
        post_id: i64,
    },
    /// There will be no post.
    Failed {
        /// Why.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d17_a_repost_names_a_web_address() {
        let url = |text: &str| RepostUrl::try_from(text.to_owned());
        assert!(url("http://localhost:8080/posts/id/7").is_ok());
        assert!(url("https://example.com/a?b=c").is_ok());
        let long = format!("https://example.com/{}", "x".repeat(2048));
        for bad in [
            "",
            "javascript:alert(1)",
            "/posts/id/7",
            "ftp://h/",
            "http://a b/",
            "https://ada:secret@example.com/",
            &long,
        ] {
            assert!(url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn d1_usernames_are_compared_without_case_and_impossible_ones_are_nobody() {
        assert_eq!("Ada.L".parse::<Username>().unwrap().key(), "ada.l");
        for bad in ["", "ab", &"x".repeat(51), "a b c", "adä", "a\0bc", "a/b"] {
            assert!(bad.parse::<Username>().is_err(), "{bad}");
        }
    }
}
