//! Redis: counters, the ranking, and the first likes of people. Nothing in here is the only copy.
//!
//! | key | what |
//! | --- | --- |
//! | `likes:state` | hash: `until`, the time up to which all changes are in here; the `floor` of the ranking |
//! | `likes:popular` | sorted set of post numbers by likes, complete above the floor; and `all`, without which it is not whole |
//! | `likes:count:<post>` | hash: `likes`, and the `version` of the post at which that was so |
//! | `likes:user:<name>` | hash: the `version` of the last change, and the `list` as of it, if it is known |
//!
//! Any key may vanish at any time. An answer is taken from here only while `until` is fresh.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use chassis::{
    Context, clock,
    redis::{Away, Redis, Script, Settings, pipe},
};
use tokio::sync::Notify;

use crate::model::{Count, LikesOf, Ranked, Touched};

const STATE: &str = "likes:state";
const RANKING: &str = "likes:popular";
/// The member of the ranking that says that it is whole: nothing of it was lost since it was built.
const WHOLE: &str = "all";
/// How long a counter or a list is kept without being written.
const LIFE: Duration = Duration::from_mins(10);
/// The same in microseconds, as versions count.
pub(crate) const LIFE_MICROS: i64 = 600_000_000;
/// What is not known to be up to date since then is not answered from here, in microseconds.
const FRESH: i64 = 5_000_000;

/// `until` and the floor; members with their scores.
type RawRanking = ((Option<i64>, Option<i64>), Vec<(String, String)>);
/// `until` and the floor; the mark of a whole ranking; how many members it has.
type RawState = ((Option<i64>, Option<i64>), Option<String>, u64);

/// What Redis says.
#[derive(Debug)]
pub(crate) enum Cached<T> {
    /// The answer.
    Hit(T),
    /// It works, and does not know this.
    Miss,
    /// It is away, or was emptied, or is behind: SQL has to answer.
    Away,
}

/// Our part of Redis. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Cache(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    redis: Redis,
    ranked: u32,
    /// When a change of ours last failed to be written: only a sweep after that heals it.
    failed_at: AtomicI64,
    lost: Notify,
    write_counts: Script,
    touch_people: Script,
    fill_likes: Script,
    rebuild: Script,
    current: Script,
}

impl Cache {
    /// Starts to connect; without Redis the service works too.
    pub(crate) async fn connect(settings: &Settings, ranked: u32, context: &Context) -> Self {
        Self(Arc::new(Inner {
            redis: Redis::connect(settings, context).await,
            ranked,
            failed_at: AtomicI64::new(0),
            lost: Notify::new(),
            write_counts: Script::new(include_str!("write_counts.lua")),
            touch_people: Script::new(include_str!("touch_people.lua")),
            fill_likes: Script::new(include_str!("fill_likes.lua")),
            rebuild: Script::new(include_str!("rebuild.lua")),
            current: Script::new(include_str!("current.lua")),
        }))
    }

    /// How many posts the ranking holds.
    pub(crate) fn ranked(&self) -> u64 {
        self.0.ranked.into()
    }

    /// Waits until somebody found that Redis lost what it had.
    pub(crate) async fn lost(&self) {
        self.0.lost.notified().await;
    }

    /// Writes changes that are committed; a sweep makes up for what fails.
    pub(crate) async fn apply(&self, counts: &[Count], people: &[Touched]) {
        if let Err(error) = self.write(counts, people).await {
            let now = clock::now().timestamp_micros();
            self.0.failed_at.fetch_max(now, Ordering::AcqRel);
            tracing::debug!(cause = %error, "change is not in redis yet");
        }
    }

    /// Writes counts and forgets lists, where Redis does not hold something newer.
    pub(crate) async fn write(&self, counts: &[Count], people: &[Touched]) -> Result<(), Away> {
        tokio::try_join!(self.write_counts(counts), self.touch(people)).map(|_| ())
    }

    async fn write_counts(&self, counts: &[Count]) -> Result<(), Away> {
        if counts.is_empty() {
            return Ok(());
        }
        let mut script = self.0.write_counts.prepare_invoke();
        script.key(STATE).key(RANKING);
        script.arg(millis(LIFE)).arg(self.0.ranked);
        for count in counts {
            script.key(count_key(count.post_id));
            script.arg(member(count.post_id));
            script.arg(count.likes).arg(count.version);
        }
        self.0.redis.script("likes.write_counts", &script).await
    }

    async fn touch(&self, people: &[Touched]) -> Result<(), Away> {
        if people.is_empty() {
            return Ok(());
        }
        let mut script = self.0.touch_people.prepare_invoke();
        script.arg(millis(LIFE));
        for person in people {
            script.key(user_key(&person.username_key));
            script.arg(person.version);
        }
        self.0.redis.script("likes.touch_people", &script).await
    }

    /// How many like a post.
    pub(crate) async fn count(&self, post_id: i64) -> Cached<i64> {
        let mut ask = pipe();
        ask.cmd("HGET").arg(STATE).arg("until");
        ask.cmd("HGET").arg(count_key(post_id)).arg("likes");
        self.judged(self.0.redis.pipe("likes.count", &ask).await)
    }

    /// The first `fetch` posts of the ranking, or all there are.
    pub(crate) async fn popular(&self, fetch: u64) -> Cached<Vec<Ranked>> {
        let mut ask = pipe();
        ask.cmd("HMGET").arg(STATE).arg("until").arg("floor_likes");
        // One more: the first is the mark of a whole ranking.
        ask.cmd("ZREVRANGE")
            .arg(RANKING)
            .arg(0)
            .arg(fetch)
            .arg("WITHSCORES");
        let answer: Result<RawRanking, Away> = self.0.redis.pipe("likes.popular", &ask).await;
        let judged = answer.map(|((until, floor), members)| {
            let whole = members.first().is_some_and(|(first, _)| first == WHOLE);
            let ranked: Vec<Ranked> = members.iter().filter_map(ranked).collect();
            let enough = floor == Some(0) || ranked.len() as u64 == fetch;
            (until.filter(|_| whole), enough.then_some(ranked))
        });
        self.judged(judged)
    }

    /// The first likes of a person.
    pub(crate) async fn likes_of(&self, username_key: &str) -> Cached<LikesOf> {
        let mut ask = pipe();
        ask.cmd("HGET").arg(STATE).arg("until");
        ask.cmd("HGET").arg(user_key(username_key)).arg("list");
        let answer: Result<(Option<i64>, Option<String>), Away> =
            self.0.redis.pipe("likes.of", &ask).await;
        // What cannot be read was written by another version of this service.
        let read = |list: String| serde_json::from_str(&list).ok();
        self.judged(answer.map(|(until, list)| (until, list.and_then(read))))
    }

    /// Keeps a person's first likes as of `version`, unless they have changed since.
    pub(crate) async fn fill_likes_of(&self, username_key: &str, version: i64, likes: &LikesOf) {
        let Ok(list) = serde_json::to_string(likes) else {
            return;
        };
        let mut script = self.0.fill_likes.prepare_invoke();
        script.key(user_key(username_key));
        script.arg(millis(LIFE)).arg(version).arg(list);
        // Then the next one who asks fills it.
        let _: Result<(), Away> = self.0.redis.script("likes.fill_likes", &script).await;
    }

    /// An answer, if it may be given: all that was committed by now is in it.
    fn judged<T>(&self, answer: Result<(Option<i64>, Option<T>), Away>) -> Cached<T> {
        match answer {
            Err(_) => Cached::Away,
            Ok((until, value)) if self.is_current(until) => value.map_or(Cached::Miss, Cached::Hit),
            Ok((until, _)) => {
                if until.is_none() {
                    self.0.lost.notify_one();
                }
                Cached::Away
            }
        }
    }

    fn is_current(&self, until: Option<i64>) -> bool {
        let fresh = clock::now().timestamp_micros() - FRESH;
        let healed = self.0.failed_at.load(Ordering::Acquire);
        until.is_some_and(|until| until > fresh && until > healed)
    }

    /// Up to when all changes are in Redis; `None` when it has to be built anew.
    pub(crate) async fn state(&self) -> Result<Option<i64>, Away> {
        let mut ask = pipe();
        ask.cmd("HMGET").arg(STATE).arg("until").arg("floor_likes");
        ask.cmd("ZSCORE").arg(RANKING).arg(WHOLE);
        ask.cmd("ZCARD").arg(RANKING);
        let answer: RawState = self.0.redis.pipe("likes.state", &ask).await?;
        let ((until, floor), whole, members) = answer;
        let complete = floor == Some(0) || members > self.ranked() / 2;
        Ok(until.filter(|_| floor.is_some() && whole.is_some() && complete))
    }

    /// Puts this ranking in place of the one in Redis; not up to date until somebody says so.
    pub(crate) async fn rebuild(&self, ranked: &[Ranked]) -> Result<(), Away> {
        let mut script = self.0.rebuild.prepare_invoke();
        script.key(STATE).key(RANKING);
        let full = ranked.len() as u64 == self.ranked();
        match ranked.last().filter(|_| full) {
            Some(last) => script.arg(last.likes).arg(member(last.post_id)),
            None => script.arg(0).arg(""),
        };
        for post in ranked {
            script.arg(post.likes).arg(member(post.post_id));
        }
        self.0.redis.script("likes.rebuild", &script).await
    }

    /// Says that all changes up to `until` are in Redis, if it is still whole.
    pub(crate) async fn current_until(&self, until: i64) -> Result<(), Away> {
        let mut script = self.0.current.prepare_invoke();
        script.key(STATE).key(RANKING).arg(until);
        self.0.redis.script("likes.current", &script).await
    }
}

fn count_key(post_id: i64) -> String {
    format!("likes:count:{post_id}")
}

fn user_key(username_key: &str) -> String {
    format!("likes:user:{username_key}")
}

/// A post in the ranking: with leading zeros, so that Redis orders equals as SQL does.
fn member(post_id: i64) -> String {
    format!("{post_id:019}")
}

/// The post of a member; `None` for the mark.
fn ranked((member, likes): &(String, String)) -> Option<Ranked> {
    Some(Ranked {
        post_id: member.parse().ok()?,
        likes: likes.parse().ok()?,
    })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
