//! Comments: documents of their own, numbered within their post.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use chassis::{
    Error,
    documents::{Claims, Collection, Database, numbers, turn},
};
use chrono::{DateTime, Utc};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use moka::sync::Cache;
use mongodb::bson::doc;
use tokio::sync::Mutex;

use super::create_indexes;
use crate::model::{Comment, CommentId, NewComment, PostId};

/// Discussions whose last number is remembered.
const REMEMBERED: u64 = 10_000;
/// Point reads at once for one list.
const READS_AT_ONCE: usize = 8;

#[derive(Debug, Clone)]
pub(crate) struct Comments {
    collection: Collection<Comment>,
    claims: Claims,
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
            collection: database.collection("comments"),
            claims: Claims::of(database),
            known: Cache::new(REMEMBERED),
        }
    }

    pub(super) async fn create_indexes(&self) -> Result<(), Error> {
        create_indexes(&self.collection, &[doc! { "post_id": 1 }]).await
    }

    /// Adds a comment at the next free place; of an operation that may be repeated, one.
    pub(crate) async fn append(
        &self,
        post: PostId,
        new: NewComment,
        now: DateTime<Utc>,
    ) -> Result<Comment, Error> {
        let discussion = self.discussion(post);
        let _turn = turn(&discussion.adding).await?;
        let mut last = discussion.last.load(Relaxed);
        if let Some(operation) = &new.operation {
            let claim = format!("comment/{operation}");
            let exact = self.last(post, &discussion).await?;
            last = self.claims.claim(claim, exact).await?;
        }
        loop {
            let id = CommentId {
                post,
                number: last + 1,
            };
            let comment = Comment::new(id, &new, now);
            let added = self.collection.insert("comments.append", &comment).await?;
            discussion.last.fetch_max(id.number, Relaxed);
            if added {
                return Ok(comment);
            }
            // Others were here, or an earlier request of the same operation: to find its comment,
            // no place behind the claim is left out.
            last = match &new.operation {
                None => self.last(post, &discussion).await?,
                Some(_) => match self.at(id).await? {
                    Some(found) if found.operation == new.operation => return Ok(found),
                    _ => id.number,
                },
            };
        }
    }

    /// The comment, or 404.
    pub(crate) async fn get(&self, id: CommentId) -> Result<Comment, Error> {
        let comment = self.at(id).await?.filter(|comment| !comment.removed);
        comment.ok_or_else(|| Error::not_found("Comment not found"))
    }

    /// Writes a changed or emptied comment.
    pub(crate) async fn update(&self, comment: &Comment) -> Result<(), Error> {
        let replace = self
            .collection
            .replace("comments.update", &comment.id, comment);
        replace.await?;
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

    /// The comments at up to `limit` places after one, in order, with the last place of those and
    /// that of the discussion. Without a place to begin from, only the latter.
    pub(crate) async fn after(
        &self,
        post: PostId,
        after: Option<u64>,
        limit: u64,
    ) -> Result<(Vec<Comment>, u64, u64), Error> {
        let last = self.last(post, &self.discussion(post)).await?;
        let first = after.unwrap_or(last).min(last);
        let until = last.min(first + limit);
        let numbers = first + 1..=until;
        let places: Vec<Option<Comment>> =
            stream::iter(numbers.map(|number| self.at(CommentId { post, number })))
                .buffered(READS_AT_ONCE)
                .try_collect()
                .await?;
        let comments = places.into_iter().flatten();
        let comments = comments.filter(|comment| !comment.removed).collect();
        Ok((comments, until, last))
    }

    /// Removes the whole discussion. A walk over all comments where there is no index.
    pub(crate) async fn remove_all(&self, post: PostId) -> Result<(), Error> {
        if self.last(post, &self.discussion(post)).await? == 0 {
            return Ok(());
        }
        let of_post = doc! { "post_id": post.to_string() };
        let remove = |comments: mongodb::Collection<Comment>| async move {
            comments.delete_many(of_post).await
        };
        self.collection.run("comments.remove_all", remove).await?;
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
        self.collection.find("comments.find", &id).await
    }
}
