//! What a like is, and the rules that hold for it.

use chrono::{DateTime, TimeDelta, Utc};

/// How long what `timelines` said of a post is believed; after that the next like asks again.
const BELIEVED: TimeDelta = TimeDelta::minutes(10);

/// What is known of a post here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    /// Its number.
    pub id: i64,
    /// How many people like it.
    pub likes: i64,
    /// Greater with every change of its likes: microseconds since the epoch, where clocks allow.
    pub version: i64,
    /// Its author took it back: nobody can like it any more.
    pub deleted: bool,
    /// Who wrote it, once `timelines` was asked.
    pub author_id: Option<i64>,
    /// When that was, in microseconds since the epoch.
    pub checked_at: Option<i64>,
}

impl Post {
    /// The version of a change that happens now.
    pub fn next_version(&self, now: DateTime<Utc>) -> i64 {
        now.timestamp_micros().max(self.version + 1)
    }

    /// Who wrote it, if that need not be asked again.
    pub fn believed_author(&self, now: DateTime<Utc>) -> Option<i64> {
        let since = (now - BELIEVED).timestamp_micros();
        self.author_id
            .filter(|_| self.checked_at.is_some_and(|checked| checked > since))
    }
}

/// A post with its likes, as the ranking shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ranked {
    /// Its number.
    pub post_id: i64,
    /// How many people like it.
    pub likes: i64,
}

/// How many like a post, and as of which version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// The post.
    pub post_id: i64,
    /// How many people like it.
    pub likes: i64,
    /// The post's version.
    pub version: i64,
}

/// A person's likes are other ones since this version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touched {
    /// The person's name, as [`username_key`] writes it.
    pub username_key: String,
    /// The version of the change.
    pub version: i64,
}

/// One like of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Liked {
    /// The post.
    pub post_id: i64,
    /// The version of the like, which is when it was given.
    pub version: i64,
}

/// What a person likes, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LikesOf {
    /// The name as its owner writes it.
    pub username: String,
    /// The first of the likes, or all.
    pub likes: Vec<Liked>,
}

/// The form in which names are compared: without case.
pub fn username_key(username: &str) -> String {
    username.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post() -> Post {
        Post {
            id: 1,
            likes: 1,
            version: 0,
            deleted: false,
            author_id: Some(7),
            checked_at: None,
        }
    }

    fn at(micros: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(micros).unwrap()
    }

    #[test]
    fn s2_68_versions_grow_even_when_a_clock_stands_or_goes_back() {
        let mut post = post();
        let versions: Vec<i64> = [5_000, 5_000, 4_000, 9_000]
            .into_iter()
            .map(|now| {
                post.version = post.next_version(at(now));
                post.version
            })
            .collect();
        assert_eq!(versions, [5_000, 5_001, 5_002, 9_000]);
    }

    #[test]
    fn s2_36_what_timelines_said_is_not_believed_for_ever() {
        let mut post = post();
        let now = at(3_600_000_000);
        assert_eq!(post.believed_author(now), None);
        post.checked_at = Some(now.timestamp_micros() - 60_000_000);
        assert_eq!(post.believed_author(now), Some(7));
        assert_eq!(post.believed_author(now + BELIEVED), None);
    }
}
