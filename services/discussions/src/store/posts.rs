//! Posts.
//!
//! A change is conditional on the state that it changes: it claims to be the one that follows that
//! state, by an insert that carries the new state, and then replaces the post. Of two changes of
//! one state the second finds the claim taken, and is made anew. A replacement that comes late may
//! overwrite a later one, on a store whose updates are not atomic; so whoever reads a post that was
//! changed looks for the claim that follows it, and puts things right. See `docs/adr/0034`.

use chassis::{
    Error,
    documents::{Claims, Collection, Database},
};
use futures_util::TryStreamExt as _;
use messaging::{documents::Outbox, events::CarPostCreated};
use mongodb::bson::{Document, doc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{SCAN_DEADLINE, create_indexes};
use crate::model::{Kind, Post, PostId, Revision, Topic};

#[derive(Debug, Clone)]
pub(crate) struct Posts {
    collection: Collection<Post>,
    claims: Claims,
    outbox: Outbox,
}

/// What lists need to know of a post.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    #[serde(rename = "_id")]
    pub(crate) id: PostId,
    pub(crate) user_id: i64,
    pub(crate) topic: Topic,
    pub(crate) kind: Kind,
    pub(crate) revision: Revision,
}

impl From<&Post> for Head {
    fn from(post: &Post) -> Self {
        Self {
            id: post.id,
            user_id: post.user_id,
            topic: post.topic.clone(),
            kind: post.kind,
            revision: post.revision,
        }
    }
}

/// Which posts a list is of; all conditions must hold.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub(crate) user_id: Option<i64>,
    pub(crate) topic: Option<Topic>,
    pub(crate) kind: Option<Kind>,
}

impl Filter {
    pub(crate) fn matches(&self, head: &Head) -> bool {
        self.user_id.is_none_or(|user_id| user_id == head.user_id)
            && self.topic.as_ref().is_none_or(|topic| *topic == head.topic)
            && self.kind.is_none_or(|kind| kind == head.kind)
    }

    fn document(&self) -> Document {
        let mut filter = Document::new();
        if let Some(user_id) = self.user_id {
            filter.insert("user_id", user_id);
        }
        if let Some(topic) = &self.topic {
            filter.insert("topic", topic.as_str());
        }
        if let Some(kind) = self.kind {
            filter.insert("kind", kind.as_str());
        }
        filter
    }
}

impl Posts {
    pub(super) fn new(database: &Database, outbox: Outbox) -> Self {
        Self {
            collection: database.collection("posts"),
            claims: Claims::of(database),
            outbox,
        }
    }

    pub(super) async fn create_indexes(&self) -> Result<(), Error> {
        let by = |field| doc! { field: 1, "_id": -1 };
        create_indexes(&self.collection, &[by("user_id"), by("topic"), by("kind")]).await
    }

    /// The id of a new post; of an operation that may be repeated, the same each time.
    pub(crate) async fn new_id(&self, operation: Option<Uuid>) -> Result<PostId, Error> {
        match operation {
            None => Ok(PostId::new()),
            Some(operation) => {
                let claim = format!("post/{operation}");
                self.claims.claim(claim, PostId::new()).await
            }
        }
    }

    /// Inserts a post, and tells of it; `false` when it is there already, by an operation that is
    /// repeated, or was.
    pub(crate) async fn insert(&self, post: &Post) -> Result<bool, Error> {
        if self.was_removed(post.id).await? {
            return Ok(false);
        }
        let event = CarPostCreated {
            post_id: post.id.to_string(),
            user_id: post.user_id,
            title: post.title.clone(),
            car_model: post.car_model.clone(),
        };
        let insert = self
            .outbox
            .insert("posts.insert", &self.collection, post, &event);
        insert.await
    }

    pub(crate) async fn find(&self, id: PostId) -> Result<Option<Post>, Error> {
        match self.collection.find("posts.find", &id).await? {
            Some(post) if post.updated_at.is_some() => Ok(Some(self.followed(post).await?)),
            found => Ok(found),
        }
    }

    /// The post, or 404.
    pub(crate) async fn get(&self, id: PostId) -> Result<Post, Error> {
        self.find(id).await?.ok_or_else(not_found)
    }

    /// The post as the next change has to take it, or 404: with the first one in it, if whoever
    /// made that died before the end.
    pub(crate) async fn get_to_change(&self, id: PostId) -> Result<Post, Error> {
        let found = self.collection.find("posts.find", &id).await?;
        self.followed(found.ok_or_else(not_found)?).await
    }

    /// Writes what follows a state of a post; `false` when something else does. 404 when the post
    /// was deleted meanwhile.
    pub(crate) async fn update(&self, before: &Post, post: &Post) -> Result<bool, Error> {
        let claim = successor(before);
        let next = self.claims.claim(claim, post.clone()).await?;
        if next.revision != post.revision {
            return Ok(false);
        }
        let replaced = self
            .collection
            .replace("posts.update", &post.id, post)
            .await?;
        if !replaced {
            self.claims.forget_all(&successors(post.id)).await?;
            return Err(not_found());
        }
        self.followed(post.clone()).await?;
        Ok(true)
    }

    /// The last state that follows this one, which is then the stored one.
    async fn followed(&self, post: Post) -> Result<Post, Error> {
        let stored = post.revision;
        let mut last = post;
        while let Some(next) = self.claims.find::<Post>(&successor(&last)).await? {
            last = next;
        }
        if last.revision != stored {
            self.collection
                .replace("posts.update", &last.id, &last)
                .await?;
        }
        Ok(last)
    }

    pub(crate) async fn remove(&self, id: PostId) -> Result<(), Error> {
        // Nobody who repeats the request that wrote it shall write it again.
        self.claims.claim(removal(id), true).await?;
        self.collection.remove("posts.remove", &id).await?;
        self.claims.forget_all(&successors(id)).await
    }

    async fn was_removed(&self, id: PostId) -> Result<bool, Error> {
        let removed = self.claims.find::<bool>(&removal(id)).await?;
        Ok(removed.is_some())
    }

    /// The newest posts before `after`. Quick with an index, and a walk over all without.
    pub(crate) async fn list(
        &self,
        filter: &Filter,
        after: Option<PostId>,
        limit: u64,
    ) -> Result<Vec<Post>, Error> {
        let mut filter = filter.document();
        if let Some(after) = after {
            filter.insert("_id", doc! { "$lt": after.to_string() });
        }
        let list = |posts: mongodb::Collection<Post>| async move {
            let find = posts.find(filter).sort(doc! { "_id": -1 });
            let found = find.limit(limit.cast_signed()).await?;
            found.try_collect().await
        };
        self.collection.run("posts.list", list).await
    }

    /// How many posts a person has. Quick with an index, and a walk over all without.
    pub(crate) async fn count(&self, user_id: i64) -> Result<u64, Error> {
        let count = |posts: mongodb::Collection<Post>| async move {
            posts.count_documents(doc! { "user_id": user_id }).await
        };
        self.collection.run("posts.count", count).await
    }

    /// The heads of the newest posts, up to `limit`.
    pub(crate) async fn heads(&self, limit: usize) -> Result<Vec<Head>, Error> {
        let members = doc! { "user_id": 1, "topic": 1, "kind": 1, "revision": 1 };
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let list = |heads: mongodb::Collection<Head>| async move {
            let find = heads.find(doc! {}).projection(members);
            let found = find.sort(doc! { "_id": -1 }).limit(limit).await?;
            found.try_collect().await
        };
        let heads = self.collection.with_type::<Head>();
        heads.run_within(SCAN_DEADLINE, "posts.heads", list).await
    }
}

/// The claim to be what follows a state of a post.
fn successor(post: &Post) -> String {
    format!("{}{}", successors(post.id), post.revision)
}

/// How all of those claims of a post begin.
fn successors(id: PostId) -> String {
    format!("post-after/{id}/")
}

/// The claim that a post is deleted.
fn removal(id: PostId) -> String {
    format!("post-removed/{id}")
}

fn not_found() -> Error {
    Error::not_found("Post not found")
}
