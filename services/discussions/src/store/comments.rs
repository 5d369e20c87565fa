//! Comments: documents of their own, numbered within their post.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use chassis::{Error, documents};
use chrono::{DateTime, Utc};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use moka::sync::Cache;
use mongodb::{Collection, Database, bson::doc};
use tokio::sync::Mutex;

use super::{by_id, create_indexes, numbers, turn};
use crate::model::{Comment, CommentId, CommentText, PostId};

/// Discussions whose last number is remembered.
const REMEMBERED: u64 = 10_000;
/// Point reads at once for one list.
const READS_AT_ONCE: usize = 8;

#[derive(Debug, Clone)]
pub(crate) struct Comments {
    comments: Collection<Comment>,
    known: Cache<PostId, Arc<Discussion>>,
}

/// What this process knows of a discussion.
#[derive(Debug, Default)]
struct Discussion {
    /// Some number that is taken; mostly the last.
    last: AtomicU64,
    /// Held while a comment is added, so that requests of one process do not race for numbers.
    adding: Mutex<()>,
}

impl Comments {
    pub(super) fn new(database: &Database) -> Self {
        Self {
            comments: database.collection("comments"),
            known: Cache::new(REMEMBERED),
        }
    }

    pub(super) async fn create_indexes(&self) -> Result<(), Error> {
        create_indexes(&self.comments, &[doc! { "post_id": 1 }]).await
    }

    /// Adds a comment at the next free place.
    pub(crate) async fn append(
        &self,
        post: PostId,
        user_id: i64,
        text: &CommentText,
        now: DateTime<Utc>,
    ) -> Result<Comment, Error> {
        let discussion = self.discussion(post);
        let _turn = turn(&discussion.adding).await?;
        loop {
            let number = discussion.last.load(Relaxed) + 1;
            let comment = Comment::new(CommentId { post, number }, user_id, text, now);
            let added = documents::insert("comments.append", &self.comments, &comment).await?;
            discussion.last.fetch_max(number, Relaxed);
            if added {
                return Ok(comment);
            }
            // Others were here.
            self.last(post, &discussion).await?;
        }
    }

    /// The comment, or 404.
    pub(crate) async fn get(&self, id: CommentId) -> Result<Comment, Error> {
        let comment = self.at(id).await?.filter(|comment| !comment.removed);
        comment.ok_or_else(|| Error::not_found("Comment not found"))
    }

    /// Writes a changed or emptied comment.
    pub(crate) async fn update(&self, comment: &Comment) -> Result<(), Error> {
        let replace = self.comments.replace_one(by_id(&comment.id), comment);
        documents::run("comments.update", replace).await?;
        Ok(())
    }

    /// The newest comments before the place `after`.
    pub(crate) async fn list(
        &self,
        post: PostId,
        after: Option<u64>,
        limit: u64,
    ) -> Result<Vec<Comment>, Error> {
        let last = self.last(post, &self.discussion(post)).await?;
        let mut next = after.map_or(last, |after| after.saturating_sub(1).min(last));
        let mut comments = Vec::new();
        while next > 0 && (comments.len() as u64) < limit {
            let first = next.saturating_sub(limit - comments.len() as u64);
            let numbers = (first + 1..=next).rev();
            let places: Vec<Option<Comment>> =
                stream::iter(numbers.map(|number| self.at(CommentId { post, number })))
                    .buffered(READS_AT_ONCE)
                    .try_collect()
                    .await?;
            comments.extend(
                places
                    .into_iter()
                    .flatten()
                    .filter(|comment| !comment.removed),
            );
            next = first;
        }
        Ok(comments)
    }

    /// Removes the whole discussion. A walk over all comments where there is no index.
    pub(crate) async fn remove_all(&self, post: PostId) -> Result<(), Error> {
        if self.last(post, &self.discussion(post)).await? == 0 {
            return Ok(());
        }
        let remove = self
            .comments
            .delete_many(doc! { "post_id": post.to_string() });
        documents::run("comments.remove_all", remove).await?;
        Ok(())
    }

    fn discussion(&self, post: PostId) -> Arc<Discussion> {
        self.known.get_with(post, Arc::default)
    }

    async fn last(&self, post: PostId, discussion: &Discussion) -> Result<u64, Error> {
        let exists =
            |number| async move { Ok(self.at(CommentId { post, number }).await?.is_some()) };
        let last = numbers::last(discussion.last.load(Relaxed), exists).await?;
        discussion.last.fetch_max(last, Relaxed);
        Ok(last)
    }

    /// What is at a place, removed or not.
    async fn at(&self, id: CommentId) -> Result<Option<Comment>, Error> {
        documents::run("comments.find", self.comments.find_one(by_id(&id))).await
    }
}
