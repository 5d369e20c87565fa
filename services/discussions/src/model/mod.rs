//! What posts, comments and subscriptions are, and who may do what with them.

mod id;
mod value;

use chassis::{Error, Text};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use id::{CommentId, PostId, Revision};
pub use value::{CarModel, Kind, Rating, Topic};

/// The title of a post.
pub type Title = Text<1, 200>;
/// The body of a post.
pub type Content = Text<1, 10_000>;
/// The text of a comment.
pub type CommentText = Text<1, 2_000>;

/// What its author says in a new post.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The title.
    pub title: Title,
    /// The body.
    pub content: Content,
    /// The car it is about.
    pub car_model: CarModel,
    /// What kind of post it is.
    pub kind: Kind,
    /// The author's rating of the car.
    pub rating: Option<Rating>,
}

/// What its author changes in a post; `None` leaves a member as it is.
#[derive(Debug, Clone)]
pub struct Change {
    /// The new title.
    pub title: Title,
    /// The new body.
    pub content: Content,
    /// The car it is about now.
    pub car_model: CarModel,
    /// Another kind.
    pub kind: Option<Kind>,
    /// Another rating; `Some(None)` takes it back.
    pub rating: Option<Option<Rating>>,
}

/// A post: one document, without its comments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Post {
    /// Later posts have greater ids.
    #[serde(rename = "_id")]
    pub id: PostId,
    /// The author.
    pub user_id: i64,
    /// The title.
    pub title: String,
    /// The body.
    pub content: String,
    /// The car, as the author wrote it.
    pub car_model: String,
    /// The car, as it is compared.
    pub topic: Topic,
    /// What kind of post it is.
    pub kind: Kind,
    /// The author's rating of the car.
    #[serde(default)]
    pub rating: Option<Rating>,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    #[serde(default)]
    pub updated_at: Option<DateTime<Utc>>,
    /// Another one after every change.
    pub revision: Revision,
    /// The event that told of it; a change keeps it, since it may not be published yet.
    #[serde(default)]
    pub event_id: Option<String>,
}

impl Post {
    /// A new post of `user_id`.
    pub fn new(id: PostId, draft: Draft, user_id: i64, now: DateTime<Utc>) -> Self {
        Self {
            id,
            user_id,
            title: draft.title.into_string(),
            content: draft.content.into_string(),
            topic: draft.car_model.topic(),
            car_model: draft.car_model.into_string(),
            kind: draft.kind,
            rating: draft.rating,
            created_at: now,
            updated_at: None,
            revision: Revision::new(),
            event_id: None,
        }
    }

    /// The post after a change; its author, id and time of writing stay.
    #[must_use]
    pub fn changed(self, change: Change, now: DateTime<Utc>) -> Self {
        Self {
            title: change.title.into_string(),
            content: change.content.into_string(),
            topic: change.car_model.topic(),
            car_model: change.car_model.into_string(),
            kind: change.kind.unwrap_or(self.kind),
            rating: change.rating.unwrap_or(self.rating),
            updated_at: Some(now),
            revision: Revision::new(),
            ..self
        }
    }

    /// Refuses everybody but the author (D6).
    ///
    /// # Errors
    /// 403
    pub fn require_author(&self, user_id: i64) -> Result<(), Error> {
        if self.user_id == user_id {
            Ok(())
        } else {
            Err(Error::forbidden(
                "Only its author may change or delete a post",
            ))
        }
    }
}

/// A comment: one document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comment {
    /// The post, and the place in its discussion.
    #[serde(rename = "_id")]
    pub id: CommentId,
    /// The post once more, for deleting all its comments at once.
    pub post_id: PostId,
    /// The author.
    pub user_id: i64,
    /// The text.
    pub text: String,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    #[serde(default)]
    pub updated_at: Option<DateTime<Utc>>,
    /// A deleted comment keeps its place, empty, so that no place is ever given twice.
    #[serde(default)]
    pub removed: bool,
    /// What wrote it, where that may be repeated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
}

/// A comment to be added.
#[derive(Debug, Clone)]
pub struct NewComment {
    /// The author.
    pub user_id: i64,
    /// The text.
    pub text: CommentText,
    /// What writes it, where that may be repeated.
    pub operation: Option<String>,
}

impl Comment {
    /// A new comment at the place that `id` names.
    pub fn new(id: CommentId, new: &NewComment, now: DateTime<Utc>) -> Self {
        Self {
            id,
            post_id: id.post,
            user_id: new.user_id,
            text: new.text.to_string(),
            created_at: now,
            updated_at: None,
            removed: false,
            operation: new.operation.clone(),
        }
    }

    /// The comment with another text.
    #[must_use]
    pub fn changed(self, text: &CommentText, now: DateTime<Utc>) -> Self {
        Self {
            text: text.to_string(),
            updated_at: Some(now),
            ..self
        }
    }

    /// What is left of a deleted comment: its place.
    #[must_use]
    pub fn emptied(self) -> Self {
        Self {
            text: String::new(),
            removed: true,
            ..self
        }
    }

    /// Refuses everybody but the author (D8).
    ///
    /// # Errors
    /// 403
    pub fn require_author(&self, user_id: i64) -> Result<(), Error> {
        if self.user_id == user_id {
            Ok(())
        } else {
            Err(Error::forbidden(
                "Only its author may change or delete a comment",
            ))
        }
    }
}

/// That somebody wants to hear of new posts about a car.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// `<user_id>/<topic>`, so that nobody subscribes twice.
    #[serde(rename = "_id")]
    pub id: String,
    /// Who.
    pub user_id: i64,
    /// To what, as it is compared.
    pub topic: Topic,
    /// To what, as the subscriber wrote it.
    pub car_model: String,
    /// Since when.
    pub created_at: DateTime<Utc>,
}

impl Subscription {
    /// A new subscription.
    pub fn new(user_id: i64, car_model: CarModel, now: DateTime<Utc>) -> Self {
        let topic = car_model.topic();
        Self {
            id: Self::key(user_id, &topic),
            user_id,
            topic,
            car_model: car_model.into_string(),
            created_at: now,
        }
    }

    /// The id of somebody's subscription to a topic.
    pub fn key(user_id: i64, topic: &Topic) -> String {
        format!("{user_id}/{topic}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft() -> Draft {
        Draft {
            title: Title::new("Title").unwrap(),
            content: Content::new("Content").unwrap(),
            car_model: "Model S".parse().unwrap(),
            kind: Kind::Review,
            rating: Some(Rating::try_from(4).unwrap()),
        }
    }

    #[test]
    fn a_change_keeps_author_id_and_time_and_what_it_does_not_name() {
        let post = Post::new(PostId::new(), draft(), 7, chassis::clock::now());
        let change = Change {
            title: Title::new("Other").unwrap(),
            content: Content::new("Words").unwrap(),
            car_model: "Model X".parse().unwrap(),
            kind: None,
            rating: None,
        };
        let changed = post.clone().changed(change.clone(), chassis::clock::now());
        assert_eq!((changed.id, changed.user_id), (post.id, 7));
        assert_eq!(changed.created_at, post.created_at);
        assert_eq!((changed.kind, changed.rating), (post.kind, post.rating));
        assert_eq!(changed.topic.to_string(), "model x");
        assert_ne!(changed.revision, post.revision);
        let cleared = post.changed(
            Change {
                rating: Some(None),
                ..change
            },
            chassis::clock::now(),
        );
        assert_eq!(cleared.rating, None);
    }

    #[test]
    fn d6_only_the_author_may_change_a_post() {
        let post = Post::new(PostId::new(), draft(), 7, chassis::clock::now());
        assert!(post.require_author(7).is_ok());
        assert_eq!(
            post.require_author(8).unwrap_err().code(),
            chassis::Code::Forbidden
        );
    }

    #[test]
    fn an_emptied_comment_keeps_nothing_of_its_text() {
        let id = CommentId {
            post: PostId::new(),
            number: 1,
        };
        let new = NewComment {
            user_id: 7,
            text: CommentText::new("secret").unwrap(),
            operation: None,
        };
        let comment = Comment::new(id, &new, chassis::clock::now()).emptied();
        assert!(comment.removed && comment.text.is_empty());
    }
}
