//! What is answered: SQL is the truth, Redis is quicker, and both are kept in agreement here.
//!
//! A change is committed in SQL first and then written to Redis, by its version, so that a slow
//! writer never leaves an older number. Whatever did not get there is found by a sweep: every
//! second, what SQL says has changed lately is written again.

use std::time::Duration;

use chassis::{Error, Page, clock};
use messaging::events::UserDeleted;
use metrics::counter;
use tokio::time::MissedTickBehavior;

use crate::{
    cache::{self, Cache, Cached},
    model::{Count, LikesOf, Ranked, Touched, username_key},
    store::{Change, Outcome, Store},
};

/// How often what changed is written again.
const PACE: Duration = Duration::from_secs(1);
/// A sweep that another instance made just now is as good as one's own, in microseconds.
const RECENT: i64 = 900_000;
/// How long a transaction may take after it chose its version: sweeps look back by this.
const OVERLAP: i64 = 10_000_000;
/// Changes that are read and written in one go.
const BATCH: u64 = 500;
/// Likes of a person that Redis holds: those of most pages, and one to know that there are more.
const FIRST_LIKES: u64 = 201;

/// Where a page of a person's likes ends: the version of the like, then the post.
pub(crate) type LikeKey = (i64, i64);
/// Where a page of the ranking ends: the likes, then the post.
pub(crate) type RankKey = (i64, i64);

/// SQL and Redis as one. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    store: Store,
    cache: Cache,
}

impl Ledger {
    pub(crate) fn new(store: Store, cache: Cache) -> Self {
        Self { store, cache }
    }

    /// SQL alone.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Likes a post, once; `false` when it was deleted.
    pub(crate) async fn like(
        &self,
        post_id: i64,
        user_id: i64,
        username: &str,
    ) -> Result<bool, Error> {
        match self.store.insert_like(post_id, user_id, username).await? {
            Outcome::Deleted => return Ok(false),
            Outcome::Unchanged => {}
            Outcome::Changed(count) => self.changed(count, &username_key(username)).await,
        }
        Ok(true)
    }

    /// Likes a post no more.
    pub(crate) async fn unlike(
        &self,
        post_id: i64,
        user_id: i64,
        username: &str,
    ) -> Result<(), Error> {
        if let Outcome::Changed(count) = self.store.remove_like(post_id, user_id).await? {
            self.changed(count, &username_key(username)).await;
        }
        Ok(())
    }

    async fn changed(&self, count: Count, username_key: &str) {
        let person = Touched {
            username_key: username_key.to_owned(),
            version: count.version,
        };
        self.cache.apply(&[count], &[person]).await;
    }

    /// Takes a post that its author deleted, and all its likes; how many those were.
    pub(crate) async fn delete_post(&self, post_id: i64) -> Result<usize, Error> {
        let count = self.store.mark_deleted(post_id).await?;
        self.cache.apply(&[count], &[]).await;
        self.drop_likes(post_id, i64::MAX).await
    }

    /// Takes the likes of a post that are not newer than a version; how many those were.
    pub(crate) async fn drop_likes(&self, post_id: i64, up_to: i64) -> Result<usize, Error> {
        let mut removed = 0;
        loop {
            let Some((count, usernames)) = self.store.drop_likes(post_id, up_to).await? else {
                return Ok(removed);
            };
            removed += usernames.len();
            let people: Vec<Touched> = usernames
                .into_iter()
                .map(|username_key| Touched {
                    username_key,
                    version: count.version,
                })
                .collect();
            self.cache.apply(&[count], &people).await;
        }
    }

    /// Takes back all that somebody likes whose account is deleted.
    ///
    /// Their name stays with what was taken back until the last round: by it, Redis is brought up to date where it is away.
    pub(crate) async fn forget(&self, gone: &UserDeleted) -> Result<(), Error> {
        let (user_id, key) = (gone.user_id, username_key(&gone.username));
        loop {
            let posts = self.store.list_liked(user_id, &key, BATCH).await?;
            if posts.is_empty() {
                break;
            }
            for post_id in posts {
                self.unlike(post_id, user_id, &gone.username).await?;
            }
        }
        if gone.round > 1 {
            self.store.forget_name(user_id, &key).await?;
        }
        Ok(())
    }

    /// How many like a post (S2-28).
    pub(crate) async fn count(&self, post_id: i64) -> Result<i64, Error> {
        let cached = self.cache.count(post_id).await;
        from("count", &cached);
        if let Cached::Hit(likes) = cached {
            return Ok(likes);
        }
        let count = self.store.count(post_id).await?;
        if let Cached::Miss = cached {
            self.cache.apply(&[count], &[]).await;
        }
        Ok(count.likes)
    }

    /// The posts with the most likes (S2-30), those with a greater number first among equals.
    pub(crate) async fn popular(&self, page: &Page<RankKey>) -> Result<Vec<Ranked>, Error> {
        if page.after.is_none() && page.offset == 0 {
            let cached = self.cache.popular(page.fetch()).await;
            from("popular", &cached);
            if let Cached::Hit(ranked) = cached {
                return Ok(ranked);
            }
        }
        self.store
            .list_popular(page.fetch(), page.after, page.offset)
            .await
    }

    /// What a person likes (S2-29), the newest first; `None` where there is nothing to list.
    pub(crate) async fn likes_of(
        &self,
        username: &str,
        page: &Page<LikeKey>,
    ) -> Result<Option<LikesOf>, Error> {
        let key = username_key(username);
        if page.after.is_some() || page.offset > 0 || page.fetch() > FIRST_LIKES {
            return self
                .store
                .list_likes_of(&key, page.fetch(), page.after, page.offset)
                .await;
        }
        let cached = self.cache.likes_of(&key).await;
        from("likes_of", &cached);
        let fill = match cached {
            Cached::Hit(likes) => return Ok(Some(likes)),
            Cached::Miss => true,
            Cached::Away => false,
        };
        // The version first: a list that is newer than its version is replaced once too often, not too late.
        let version = self.store.newest_version_of(&key).await?;
        let likes = self.store.list_likes_of(&key, FIRST_LIKES, None, 0).await?;
        if let (true, Some(likes)) = (fill, &likes) {
            self.cache.fill_likes_of(&key, version, likes).await;
        }
        Ok(likes)
    }

    /// Endless: writes to Redis what did not get there, and everything when Redis lost it.
    pub(crate) async fn keep_current(self) {
        let mut ticks = tokio::time::interval(PACE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.cache.lost() => {}
            }
            if let Err(error) = self.sweep().await {
                tracing::warn!(cause = %error, "redis is brought up to date later");
            }
        }
    }

    async fn sweep(&self) -> anyhow::Result<()> {
        let started = clock::now().timestamp_micros();
        let Ok(state) = self.cache.state().await else {
            // The chassis reports it, and connects again.
            return Ok(());
        };
        // What is older has expired in Redis, or is about to.
        let oldest = started - cache::LIFE_MICROS;
        let since = match state {
            Some(until) if until > oldest => {
                if started - until < RECENT {
                    return Ok(());
                }
                until
            }
            _ => {
                let ranked = self
                    .store
                    .list_popular(self.cache.ranked(), None, 0)
                    .await?;
                self.cache.rebuild(&ranked).await?;
                tracing::info!(posts = ranked.len(), "ranking is rebuilt");
                counter!("likes_ranking_rebuilds_total").increment(1);
                oldest
            }
        };
        let mut after = (since - OVERLAP, i64::MAX);
        loop {
            let changes = self.store.list_changes(after, BATCH).await?;
            let Some(last) = changes.last() else { break };
            after = (last.version, last.id);
            self.rewrite(&changes).await?;
        }
        self.cache.current_until(started).await?;
        Ok(())
    }

    async fn rewrite(&self, changes: &[Change]) -> anyhow::Result<()> {
        let mut posts: Vec<i64> = changes.iter().map(|change| change.post_id).collect();
        posts.sort_unstable();
        posts.dedup();
        let counts = self.store.list_counts(&posts).await?;
        let people: Vec<Touched> = changes
            .iter()
            .map(|change| Touched {
                username_key: change.username_key.clone(),
                version: change.version,
            })
            .collect();
        Ok(self.cache.write(&counts, &people).await?)
    }
}

/// Counts where answers come from.
fn from<T>(what: &'static str, cached: &Cached<T>) {
    let from = match cached {
        Cached::Hit(_) => "redis",
        Cached::Miss | Cached::Away => "sql",
    };
    counter!("likes_answers_total", "what" => what, "from" => from).increment(1);
}
