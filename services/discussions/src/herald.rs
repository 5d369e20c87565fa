//! Says over Redis what was stored, so that those who listen need not look for it (ADR 21).

use chassis::{
    Context,
    redis::{self, Redis},
};
use prost::Message as _;
use proto::discussions::{COMMENTS_CHANNEL, CommentStored};
use telemetry::propagation;

use crate::model::Comment;

#[derive(Debug)]
pub(crate) struct Herald(Redis);

impl Herald {
    pub(crate) async fn connect(settings: &redis::Settings, context: &Context) -> Self {
        Self(Redis::connect(settings, context).await)
    }

    /// Tells of a comment. Where nobody hears it, because Redis is away, it is found in the store.
    pub(crate) async fn tell(&self, comment: &Comment) {
        self.say(comment, false).await;
    }

    /// Tells that a comment was changed or removed.
    pub(crate) async fn tell_changed(&self, comment: &Comment) {
        self.say(comment, true).await;
    }

    async fn say(&self, comment: &Comment, changed: bool) {
        let stored = CommentStored {
            post_id: comment.id.post.to_string(),
            comment: Some(comment.clone().into()),
            traceparent: propagation::current().unwrap_or_default(),
            changed,
        };
        let mut publish = redis::cmd("PUBLISH");
        publish.arg(COMMENTS_CHANNEL).arg(stored.encode_to_vec());
        let told: Result<i64, _> = self.0.run("comments.tell", &publish).await;
        if let Err(away) = told {
            tracing::debug!(cause = %away, "a comment was not told");
        }
    }
}
