//! Comments: documents of their own, numbered within their post.
//!
//! A comment that is deleted is marked by an insert, before its text goes: somebody who changes it
//! at the same time may write it once more, on a store whose updates are not atomic, but finds the
//! mark afterwards, and so does everybody who reads a comment that was changed. See
//! `docs/adr/0034`.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use chassis::{
    Error, clock,
    documents::{Claims, Collection, Database, Gone, Part, Place, numbers, turn},
};
use chrono::{DateTime, Utc};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use moka::sync::Cache;
use mongodb::bson::{Document, doc};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use super::{SCAN_DEADLINE, create_indexes};
use crate::model::{Comment, CommentId, CommentText, NewComment, PostId};

/// Discussions whose last number is remembered.
const REMEMBERED: u64 = 10_000;
/// Point reads at once for one list.
const READS_AT_ONCE: usize = 8;

#[derive(Debug, Clone)]
pub(crate) struct Comments {
    collection: Collection<Comment>,
    removals: Collection<Removal>,
    gone: Gone,
    claims: Claims,
    known: Cache<PostId, Arc<Discussion>>,
    tasks: TaskTracker,
}

/// That a comment is deleted, for ever.
#[derive(Debug, Serialize, Deserialize)]
struct Removal {
    #[serde(rename = "_id")]
    id: CommentId,
    /// The post, for deleting all of it at once.
    post_id: PostId,
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
    pub(super) fn new(database: &Database, tasks: TaskTracker) -> Self {
        Self {
            collection: database.collection("comments"),
            removals: database.collection("removed_comments"),
            gone: Gone::new(database, "gone_comments"),
            claims: Claims::of(database),
            known: Cache::new(REMEMBERED),
            tasks,
        }
    }

    pub(super) async fn create_indexes(&self) -> Result<(), Error> {
        let by = [doc! { "post_id": 1 }, doc! { "user_id": 1 }];
        create_indexes(&self.collection, &by).await?;
        create_indexes(&self.removals, &[doc! { "post_id": 1 }]).await
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
        match self.place(id).await? {
            Place::Here(comment) => Ok(comment),
            Place::Gone | Place::Empty => Err(not_found()),
        }
    }

    /// Gives a comment another text; 404 when it is deleted meanwhile.
    pub(crate) async fn change(
        &self,
        comment: Comment,
        text: &CommentText,
    ) -> Result<Comment, Error> {
        let changed = comment.changed(text, clock::now());
        let at = bson(&changed.updated_at)?;
        let members = doc! { "text": &changed.text, "updated_at": at };
        let comments = self.clone();
        let id = changed.id;
        let change = async move {
            let there = comments.collection.set("comments.update", &id, members);
            if there.await? && !comments.is_removed(id).await? {
                return Ok(true);
            }
            comments.empty(id).await?;
            Ok(false)
        };
        if self.to_the_end(change).await? {
            Ok(changed)
        } else {
            Err(not_found())
        }
    }

    /// Deletes a comment: what is left is its place.
    pub(crate) async fn remove(&self, id: CommentId) -> Result<(), Error> {
        let comments = self.clone();
        self.to_the_end(async move {
            let removal = Removal {
                id,
                post_id: id.post,
            };
            comments
                .removals
                .insert("comments.remove", &removal)
                .await?;
            comments.empty(id).await?;
            let discussion = comments.discussion(id.post);
            let last = discussion.last.fetch_max(id.number, Relaxed).max(id.number);
            let key = id.post.to_string();
            comments.gone.note(&key, &[id.number], last).await;
            Ok(())
        })
        .await
    }

    /// The newest comments before the place `after`.
    pub(crate) async fn list(
        &self,
        post: PostId,
        after: Option<u64>,
        limit: u64,
    ) -> Result<Vec<Comment>, Error> {
        let part = Part {
            last: self.look(post).await?,
            before: after,
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
        };
        let read = |number| self.place(CommentId { post, number });
        self.gone.list(&post.to_string(), part, read).await
    }

    /// How many comments there are, by what is noted: of those that are gone, some may count.
    pub(crate) async fn count(&self, post: PostId) -> Result<u64, Error> {
        let last = self.look(post).await?;
        Ok(self.gone.remaining(&post.to_string(), last))
    }

    /// The comments after a place, up to `limit`, in order, with the place that they reach to and
    /// the last of the discussion. Without a place to begin from, only the latter.
    pub(crate) async fn after(
        &self,
        post: PostId,
        after: Option<u64>,
        limit: u64,
    ) -> Result<(Vec<Comment>, u64, u64), Error> {
        let last = self.look(post).await?;
        let first = after.unwrap_or(last).min(last);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let numbers = self.gone.after(&post.to_string(), first, last, limit);
        let whole = numbers.len() < limit;
        let until = numbers.last().copied().filter(|_| !whole).unwrap_or(last);
        let places: Vec<Place<Comment>> = stream::iter(numbers)
            .map(|number| self.place(CommentId { post, number }))
            .buffered(READS_AT_ONCE)
            .try_collect()
            .await?;
        let comments = places.into_iter().filter_map(|place| match place {
            Place::Here(comment) => Some(comment),
            Place::Gone | Place::Empty => None,
        });
        Ok((comments.collect(), until, last))
    }

    /// Comments of a person that are not removed, some of them. A walk over all comments where there is no index.
    pub(crate) async fn list_of(&self, user_id: i64, limit: u64) -> Result<Vec<Comment>, Error> {
        let theirs = doc! { "user_id": user_id, "removed": { "$ne": true } };
        let list = |comments: mongodb::Collection<Comment>| async move {
            let found = comments.find(theirs).limit(limit.cast_signed()).await?;
            found.try_collect().await
        };
        self.collection
            .run_within(SCAN_DEADLINE, "comments.list_of", list)
            .await
    }

    /// Removes the whole discussion. A walk over all comments where there is no index.
    pub(crate) async fn remove_all(&self, post: PostId) -> Result<(), Error> {
        if self.last(post, &self.discussion(post)).await? == 0 {
            return Ok(());
        }
        let of_post = || doc! { "post_id": post.to_string() };
        remove_many(&self.collection, of_post()).await?;
        remove_many(&self.removals, of_post()).await?;
        self.gone.forget(&post.to_string()).await
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

    /// The last number of a discussion, with what is noted of it.
    async fn look(&self, post: PostId) -> Result<u64, Error> {
        let noted = self.gone.look(&post.to_string()).await?;
        let discussion = self.discussion(post);
        discussion.last.fetch_max(noted, Relaxed);
        self.last(post, &discussion).await
    }

    /// What is at a place, removed or not.
    async fn at(&self, id: CommentId) -> Result<Option<Comment>, Error> {
        self.collection.find("comments.find", &id).await
    }

    /// What there is to be shown at a place.
    async fn place(&self, id: CommentId) -> Result<Place<Comment>, Error> {
        let Some(comment) = self.at(id).await? else {
            return Ok(Place::Empty);
        };
        if comment.removed {
            return Ok(Place::Gone);
        }
        // Only a change can have written a comment again that was deleted.
        if comment.updated_at.is_some() && self.is_removed(id).await? {
            self.empty(id).await?;
            return Ok(Place::Gone);
        }
        Ok(Place::Here(comment))
    }

    async fn is_removed(&self, id: CommentId) -> Result<bool, Error> {
        let removal = self.removals.find("comments.removal", &id).await?;
        Ok(removal.is_some())
    }

    /// Leaves nothing of a comment but its place.
    async fn empty(&self, id: CommentId) -> Result<(), Error> {
        let nothing = doc! { "text": "", "removed": true };
        self.collection.set("comments.empty", &id, nothing).await?;
        Ok(())
    }

    /// Does all of `work`, even when the client goes away meanwhile.
    async fn to_the_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let work = self.tasks.spawn(work.in_current_span());
        work.await.map_err(Error::internal)?
    }
}

async fn remove_many<T: Send + Sync + 'static>(
    collection: &Collection<T>,
    filter: Document,
) -> Result<(), Error> {
    let remove =
        |documents: mongodb::Collection<T>| async move { documents.delete_many(filter).await };
    collection.run("comments.remove_all", remove).await?;
    Ok(())
}

fn bson(value: &impl Serialize) -> Result<mongodb::bson::Bson, Error> {
    mongodb::bson::serialize_to_bson(value).map_err(Error::internal)
}

fn not_found() -> Error {
    Error::not_found("Comment not found")
}
