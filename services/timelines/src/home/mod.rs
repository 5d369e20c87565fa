//! Home timelines: the posts of those whom somebody follows, newest first.
//!
//! Numbers of posts are in Redis, written there when a post is made ([`Homes::deliver`]); the
//! posts themselves come from SQL in one query. Whatever Redis lacks comes from SQL too, slower.
//! See `docs/adr/0010` for why nothing gets lost between the two.

mod cache;

use chassis::{Error, Page, clock, redis::Redis};
use chrono::{DateTime, Utc};
use messaging::{Failure, events::PostCreated};
use tokio::time::Instant;

use crate::{
    metrics::{self, Source},
    model::Post,
    store::{Authors, Reader, Store},
};
use cache::{Cache, Found, LIFE, Listed};

/// Numbers that are looked at together at least, once deleted posts left gaps.
const FEWEST: usize = 50;
/// Posts that are read together at most, where many are left out before a page.
const MOST: usize = 1_000;
/// Readers that are written to together.
const BATCH: u64 = 500;
/// How much longer than at work a long delivery rests.
const REST: u32 = 2;
/// What clocks of two machines may differ by, and more.
const SLACK: std::time::Duration = std::time::Duration::from_mins(5);

/// All home timelines.
#[derive(Debug)]
pub(crate) struct Homes {
    store: Store,
    cache: Cache,
    size: u64,
    fan_out_limit: u64,
}

impl Homes {
    pub(crate) fn new(store: Store, redis: Redis, size: u16, fan_out_limit: u32) -> Self {
        Self {
            store,
            cache: Cache::new(redis, size),
            size: size.into(),
            fan_out_limit: fan_out_limit.into(),
        }
    }

    /// A page of somebody's home timeline.
    pub(crate) async fn page(&self, user_id: i64, page: &Page<i64>) -> Result<Vec<Post>, Error> {
        let wanted = usize::try_from(page.fetch()).unwrap_or(usize::MAX);
        let reader = self.store.reader(user_id).await?;
        let mut before = page.after.unwrap_or(i64::MAX);
        let mut skip = usize::try_from(page.offset).unwrap_or(usize::MAX);
        let (mut posts, mut fewest) = (Vec::new(), 0);
        loop {
            let missing = skip.saturating_add(wanted - posts.len());
            let limit = missing.clamp(fewest, MOST);
            let ids = self.ids(reader, before, limit).await?;
            let found = self.store.list_posts_by_ids(&ids).await?;
            self.forget_deleted(reader, &ids, &found).await;
            let skipped = skip.min(found.len());
            skip -= skipped;
            posts.extend(found.into_iter().skip(skipped));
            fewest = FEWEST;
            match ids.last() {
                Some(last) if ids.len() == limit && posts.len() < wanted => before = *last,
                _ => break,
            }
        }
        posts.truncate(wanted);
        Ok(posts)
    }

    /// Numbers below `before`, newest first; fewer than `limit` when there are no more.
    async fn ids(&self, reader: Reader, before: i64, limit: usize) -> Result<Vec<i64>, Error> {
        let (mut source, listed) = match self.cache.list(reader, before, limit).await {
            Ok(Found::Listed(listed)) => (Source::Cache, listed),
            Ok(Found::Nothing) => (Source::Rebuilt, self.rebuild(reader).await?),
            Ok(Found::Building) | Err(_) => (Source::Store, Listed::default()),
        };
        let Listed { mut ids, complete } = listed.below(before, limit);
        if ids.len() < limit && !complete {
            source = Source::Store;
            let before = ids.last().copied().unwrap_or(before);
            let missing = (limit - ids.len()) as u64;
            let older = self
                .store
                .home_ids(reader.user_id, Authors::Ordinary, before, missing);
            ids.extend(older.await?);
        }
        metrics::home_read(source);
        let of_stars = self
            .store
            .home_ids(reader.user_id, Authors::Stars, before, limit as u64);
        ids.extend(of_stars.await?);
        // Those who became stars later are in both.
        ids.sort_unstable_by(|a, b| b.cmp(a));
        ids.dedup();
        ids.truncate(limit);
        Ok(ids)
    }

    /// Fills Redis from SQL.
    async fn rebuild(&self, reader: Reader) -> Result<Listed, Error> {
        // What is delivered from here on is kept, and what was delivered before is in SQL.
        let Ok(Some(building)) = self.cache.begin(reader).await else {
            return Ok(Listed::default());
        };
        let ids = self
            .store
            .home_ids(reader.user_id, Authors::Ordinary, i64::MAX, self.size)
            .await?;
        let complete = (ids.len() as u64) < self.size;
        let listed = Listed { ids, complete };
        if let Err(error) = self.cache.finish(reader, &building, &listed).await {
            tracing::debug!(cause = %error, "home timeline stays in SQL");
        }
        Ok(listed)
    }

    async fn forget_deleted(&self, reader: Reader, ids: &[i64], found: &[Post]) {
        if ids.len() == found.len() {
            return;
        }
        let exists = |id: &&i64| found.iter().any(|post| post.id == **id);
        let deleted: Vec<i64> = ids.iter().filter(|id| !exists(id)).copied().collect();
        if let Err(error) = self.cache.remove(reader, &deleted).await {
            tracing::debug!(cause = %error, "deleted posts stay in a home timeline");
        }
    }

    /// Writes a post that was made at `time` into the home timelines of its author's followers.
    ///
    /// Twice is harmless, and so is any order.
    pub(crate) async fn deliver(
        &self,
        post: &PostCreated,
        time: DateTime<Utc>,
    ) -> Result<(), Failure> {
        // Every home timeline that is in Redis now was made from SQL after that.
        let age = (clock::now() - time).to_std().unwrap_or_default();
        if age > LIFE + SLACK {
            return Ok(());
        }
        if self.store.is_star(post.user_id).await? {
            return Ok(());
        }
        if self
            .store
            .has_more_followers(post.user_id, self.fan_out_limit)
            .await?
        {
            self.store.insert_star(post.user_id).await?;
            metrics::became_star();
            return Ok(());
        }
        let mut after = i64::MIN;
        loop {
            let readers = self.store.followers(post.user_id, after, BATCH).await?;
            let Some(last) = readers.last() else {
                return Ok(());
            };
            after = last.user_id;
            let begun = Instant::now();
            self.cache
                .add(&readers, post.post_id)
                .await
                .map_err(cache::failure)?;
            metrics::fanned_out(readers.len());
            if (readers.len() as u64) < BATCH {
                return Ok(());
            }
            // Those who read and write now come first.
            tokio::time::sleep(begun.elapsed() * REST).await;
        }
    }
}
