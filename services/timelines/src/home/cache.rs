//! Home timelines in Redis.
//!
//! `timelines:home:<reader>:<version>` is a sorted set of numbers of posts, scored by themselves.
//! It lacks no post that is newer than the oldest in it; with the member `0` it lacks none at
//! all. The version changes with those whom the reader follows. While it is being made, its
//! lowest member is the maker's mark, and nobody reads it, but what is delivered is kept.
//!
//! Its highest member names the run of Redis that it was begun in: a Redis that starts again from
//! a copy on disk, or hands over to a replica, has forgotten what was delivered last.

use std::time::Duration;

use chassis::{
    clock,
    redis::{self, Away, Redis, Script},
};
use messaging::Failure;

use crate::store::Reader;

/// A home timeline is made anew after this time, so that nothing that went wrong lasts.
pub(super) const LIFE: Duration = Duration::from_hours(1);
/// What making one may take, before somebody else may try.
const BUILDING: Duration = Duration::from_secs(10);
/// The member that says that there is nothing older.
const END: i64 = 0;

/// The page of `ARGV[2]` numbers below `ARGV[1]`; nil when there is nothing, -1 while it is made.
const LIST: &str = r"
    local lowest = redis.call('ZRANGE', KEYS[1], 0, 0)[1]
    if not lowest then return false end
    local run = 'run ' .. string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
    if lowest == run or not redis.call('ZSCORE', KEYS[1], run) then
        redis.call('DEL', KEYS[1])
        return false
    end
    if not tonumber(lowest) then return {'-1'} end
    return redis.call('ZREVRANGEBYSCORE', KEYS[1], '(' .. ARGV[1], 0, 'LIMIT', 0, ARGV[2])";

/// Puts the mark `ARGV[1]` where nothing is.
const BEGIN: &str = r"
    if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
    local run = 'run ' .. string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
    redis.call('ZADD', KEYS[1], -1, ARGV[1], '+inf', run)
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    return 1";

/// Replaces the mark `ARGV[1]` by numbers, the lowest last, and keeps what was delivered meanwhile
/// of what is newer than that. Without the mark, this is no longer what was begun.
const FINISH: &str = r"
    if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
    redis.call('ZREM', KEYS[1], ARGV[1])
    for i = 4, #ARGV do redis.call('ZADD', KEYS[1], ARGV[i], ARGV[i]) end
    redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[#ARGV])
    redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -2 - ARGV[3])
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    return 1";

/// Adds the number `ARGV[1]`, unless there is nothing, or it is older than the oldest.
const ADD: &str = r"
    local lowest = redis.call('ZRANGE', KEYS[1], 0, 0)[1]
    if not lowest or string.sub(lowest, 1, 4) == 'run ' then return 0 end
    local oldest = tonumber(lowest)
    if oldest and oldest > tonumber(ARGV[1]) then return 0 end
    redis.call('ZADD', KEYS[1], ARGV[1], ARGV[1])
    if oldest then redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -2 - ARGV[2]) end
    return 1";

/// What Redis has of a home timeline.
#[derive(Debug)]
pub(super) enum Found {
    /// A part of it, or all.
    Listed(Listed),
    /// Somebody is making it.
    Building,
    /// Nothing.
    Nothing,
}

/// Numbers of posts, newest first.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) ids: Vec<i64>,
    /// Whether there is nothing older.
    pub(super) complete: bool,
}

impl Listed {
    /// Those below `before`, `limit` at most.
    pub(super) fn below(mut self, before: i64, limit: usize) -> Self {
        self.ids.retain(|id| *id < before);
        self.complete &= self.ids.len() <= limit;
        self.ids.truncate(limit);
        self
    }
}

/// The mark of who makes a home timeline.
#[derive(Debug)]
pub(super) struct Building(String);

/// The home timelines in Redis.
pub(super) struct Cache {
    redis: Redis,
    size: u16,
    list: Script,
    begin: Script,
    finish: Script,
    add: Script,
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Cache")
    }
}

impl Cache {
    pub(super) fn new(redis: Redis, size: u16) -> Self {
        Self {
            redis,
            size,
            list: Script::new(LIST),
            begin: Script::new(BEGIN),
            finish: Script::new(FINISH),
            add: Script::new(ADD),
        }
    }

    /// The newest `limit` numbers below `before`.
    pub(super) async fn list(
        &self,
        reader: Reader,
        before: i64,
        limit: usize,
    ) -> Result<Found, Away> {
        let mut listing = self.list.key(key(reader));
        listing.arg(before).arg(limit);
        let members: Option<Vec<i64>> = self.redis.script("home.list", &listing).await?;
        Ok(match members {
            None => Found::Nothing,
            Some(members) if members == [-1] => Found::Building,
            Some(mut ids) => {
                let complete = ids.pop_if(|id| *id == END).is_some();
                Found::Listed(Listed { ids, complete })
            }
        })
    }

    /// Begins to make one; `None` when it is there, or somebody else makes it.
    pub(super) async fn begin(&self, reader: Reader) -> Result<Option<Building>, Away> {
        let building = Building(format!("by {}", clock::id()));
        let mut beginning = self.begin.key(key(reader));
        beginning.arg(&building.0).arg(millis(BUILDING));
        let begun: bool = self.redis.script("home.begin", &beginning).await?;
        Ok(begun.then_some(building))
    }

    /// Makes it of these numbers, unless it was lost meanwhile.
    pub(super) async fn finish(
        &self,
        reader: Reader,
        building: &Building,
        listed: &Listed,
    ) -> Result<(), Away> {
        let mut finishing = self.finish.key(key(reader));
        finishing.arg(&building.0).arg(millis(LIFE)).arg(self.size);
        finishing.arg(&listed.ids);
        if listed.complete {
            finishing.arg(END);
        }
        self.redis.script("home.finish", &finishing).await
    }

    /// Adds a post to those home timelines of `readers` that are there.
    pub(super) async fn add(&self, readers: &[Reader], post_id: i64) -> Result<(), Away> {
        let mut pipeline = redis::pipe();
        pipeline.load_script(&self.add).ignore();
        for reader in readers {
            let mut adding = self.add.key(key(*reader));
            adding.arg(post_id).arg(self.size);
            pipeline.invoke_script(&adding).ignore();
        }
        self.redis.pipe("home.add", &pipeline).await
    }

    /// Takes posts out that do not exist any more.
    pub(super) async fn remove(&self, reader: Reader, ids: &[i64]) -> Result<(), Away> {
        let mut removing = redis::cmd("ZREM");
        removing.arg(key(reader)).arg(ids);
        self.redis.run("home.remove", &removing).await
    }
}

fn key(reader: Reader) -> String {
    format!("timelines:home:{}:{}", reader.user_id, reader.version)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What it means to a delivery that Redis did not answer.
///
/// Redis may come back with everything that it had: what it has not heard of meanwhile has to
/// wait until then. A refusal is another thing, and waiting for its end would stop everything.
pub(super) fn failure(error: Away) -> Failure {
    match error {
        Away::Disconnected | Away::Timeout => Failure::Wait(error.into()),
        Away::Failed(_) => Failure::Retry(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_all_there_is_says_whether_more_follows() {
        let listed = |complete| Listed {
            ids: vec![9, 7, 5, 3],
            complete,
        };
        let page = |before, limit, complete| {
            let Listed { ids, complete } = listed(complete).below(before, limit);
            (ids, complete)
        };
        assert_eq!(page(8, 2, true), (vec![7, 5], false));
        assert_eq!(page(6, 2, true), (vec![5, 3], true));
        assert_eq!(page(6, 2, false), (vec![5, 3], false));
        assert_eq!(page(3, 2, true), (vec![], true));
    }
}
