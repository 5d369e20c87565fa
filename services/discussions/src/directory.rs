//! Lists and counts of posts, right in every instance, without a walk over the store.
//!
//! Each instance keeps the heads of the newest posts ([`Recent`]). Every change of a post is
//! followed by an entry in the journal; before a list is answered, the entries that are new are
//! read and the posts that they name looked at again. Most of the time there is none, and that
//! costs one point read. See `docs/adr/0006`.

use std::{sync::Arc, time::Duration};

use chassis::{Error, Page, documents::turn};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use moka::sync::Cache;
use tokio::{
    sync::{Mutex, MutexGuard},
    time::Instant,
};
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::{
    model::{Post, PostId, Revision},
    recent::Recent,
    store::{Filter, Head, Store},
};

/// Memory for posts that lists show, in bytes.
const CACHE_BYTES: u64 = 32 * 1024 * 1024;
/// What a post takes beside its text, about.
const POST_OVERHEAD: usize = 400;
/// Point reads at once for one list.
const READS_AT_ONCE: usize = 8;
/// How often an instance that is asked for no list looks into the journal, so as not to fall behind.
const CATCH_UP: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Directory {
    store: Store,
    known: Mutex<Known>,
    posts: Cache<PostId, Arc<Post>>,
    tasks: TaskTracker,
}

#[derive(Debug)]
struct Known {
    recent: Recent,
    /// The last entry of the journal that is in `recent`.
    applied: u64,
    /// When the last look into the journal began that found nothing more.
    current_at: Option<Instant>,
    /// Whether all posts shall be looked at again.
    reload: bool,
}

/// A post of a list; `None` when it was deleted since the list was made.
pub(crate) type Row = (PostId, Option<Arc<Post>>);

impl Directory {
    pub(crate) async fn open(
        store: Store,
        capacity: usize,
        tasks: TaskTracker,
    ) -> Result<Self, Error> {
        // The process before this one may have been killed between a change and its entry: the
        // others look at everything again, as this one does now.
        let applied = store.journal.append(None).await?;
        let recent = load(&store, capacity).await?;
        let weigh = |_: &PostId, post: &Arc<Post>| {
            let bytes = post.title.len() + post.content.len() + POST_OVERHEAD;
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        Ok(Self {
            store,
            known: Mutex::new(Known {
                recent,
                applied,
                current_at: None,
                reload: false,
            }),
            posts: Cache::builder()
                .weigher(weigh)
                .max_capacity(CACHE_BYTES)
                .build(),
            tasks,
        })
    }

    /// A page of the posts that match, newest first.
    pub(crate) async fn list(
        &self,
        filter: &Filter,
        page: &Page<PostId>,
    ) -> Result<Vec<Row>, Error> {
        let limit = usize::try_from(page.fetch()).unwrap_or(usize::MAX);
        let recent = self.current().await?.recent.page(filter, page.after, limit);
        if let Some(recent) = recent {
            return stream::iter(
                recent
                    .into_iter()
                    .map(|(id, revision)| self.read(id, revision)),
            )
            .buffered(READS_AT_ONCE)
            .try_collect()
            .await;
        }
        let posts = self
            .store
            .posts
            .list(filter, page.after, page.fetch())
            .await?;
        Ok(posts
            .into_iter()
            .map(|post| (post.id, Some(Arc::new(post))))
            .collect())
    }

    /// How many posts a person has.
    pub(crate) async fn count(&self, user_id: i64) -> Result<u64, Error> {
        let recent = self.current().await?.recent.count(user_id);
        match recent {
            Some(count) => Ok(count as u64),
            None => self.store.posts.count(user_id).await,
        }
    }

    /// Stores a new post.
    pub(crate) async fn insert(&self, post: Post) -> Result<(), Error> {
        let store = self.store.clone();
        let head = Head::from(&post);
        let inserted = self.to_the_end(async move {
            let new = store.posts.insert(&post).await?;
            // Who was cut off before the entry is made up for.
            let entry = store.journal.append(Some(post.id)).await?;
            Ok((new, entry))
        });
        let (new, entry) = inserted.await?;
        // Nobody else can have changed what nobody else knew of: no need to read it again. But
        // the post is stored, and known sooner or later, whether this works out or not.
        if new
            && let Ok(mut known) = turn(&self.known).await
            && known.applied + 1 == entry
        {
            known.recent.put(head);
            known.applied = entry;
        }
        Ok(())
    }

    /// Stores what follows a state of a post; `false` when something else does. 404 when the post
    /// was deleted meanwhile.
    pub(crate) async fn update(&self, before: Post, post: Post) -> Result<bool, Error> {
        let store = self.store.clone();
        self.to_the_end(async move {
            let updated = store.posts.update(&before, &post).await;
            // Whoever looks at it again finds out what became of it.
            store.journal.append(Some(post.id)).await?;
            updated
        })
        .await
    }

    /// Deletes a post and its discussion.
    pub(crate) async fn remove(&self, id: PostId) -> Result<(), Error> {
        let store = self.store.clone();
        self.to_the_end(async move {
            store.posts.remove(id).await?;
            store.journal.append(Some(id)).await?;
            store.comments.remove_all(id).await
        })
        .await
    }

    /// Keeps an instance that is asked for no list from falling behind. Endless.
    pub(crate) async fn keep_current(self: Arc<Self>) {
        loop {
            tokio::time::sleep(CATCH_UP).await;
            if let Err(error) = self.catch_up().await {
                tracing::warn!(cause = %error, "the journal could not be read");
            }
        }
    }

    async fn catch_up(&self) -> Result<(), Error> {
        let (capacity, applied) = {
            let known = self.current().await?;
            if !known.reload {
                return Ok(());
            }
            (known.recent.capacity(), known.applied)
        };
        // Lists are answered meanwhile. What changes meanwhile is applied once more, after it.
        let recent = load(&self.store, capacity).await?;
        let mut known = turn(&self.known).await?;
        *known = Known {
            recent,
            applied,
            current_at: None,
            reload: false,
        };
        Ok(())
    }

    /// What is known, with every change in it that was answered before this call.
    async fn current(&self) -> Result<MutexGuard<'_, Known>, Error> {
        let asked_at = Instant::now();
        let mut known = turn(&self.known).await?;
        // Somebody who waited here before may have looked after this call began.
        if known
            .current_at
            .is_some_and(|current_at| current_at >= asked_at)
        {
            return Ok(known);
        }
        loop {
            let began = Instant::now();
            let Some(entry) = self.store.journal.find(known.applied + 1).await? else {
                known.current_at = Some(began);
                return Ok(known);
            };
            match entry.post_id {
                None => known.reload = true,
                Some(id) => match self.store.posts.find(id).await? {
                    Some(post) => known.recent.put(Head::from(&post)),
                    None => known.recent.remove(id),
                },
            }
            known.applied += 1;
        }
    }

    /// A post as a list shows it: from memory when that is the revision that the list knows of.
    async fn read(&self, id: PostId, revision: Revision) -> Result<Row, Error> {
        if let Some(post) = self.posts.get(&id).filter(|post| post.revision == revision) {
            return Ok((id, Some(post)));
        }
        let post = self.store.posts.find(id).await?.map(Arc::new);
        if let Some(post) = &post {
            self.posts.insert(id, Arc::clone(post));
        }
        Ok((id, post))
    }

    /// Does all of `work`, even when the client goes away meanwhile: a change without its entry
    /// in the journal would not show in the lists of other instances.
    async fn to_the_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        self.tasks
            .spawn(work.in_current_span())
            .await
            .map_err(Error::internal)?
    }
}

async fn load(store: &Store, capacity: usize) -> Result<Recent, Error> {
    let heads = store.posts.heads(capacity.saturating_add(1)).await?;
    Ok(Recent::new(heads, capacity))
}
