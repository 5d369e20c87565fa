//! What one instance counts while the store cannot be written to.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use chassis::clock;

use super::{Counted, Limit, TooMany, WINDOW, Within};

/// Things that are counted at once; beyond that nothing is tried any more until a minute is over.
const CAPACITY: usize = 100_000;

/// As the store does it, in memory.
#[derive(Debug, Default)]
pub(super) struct Local(Mutex<HashMap<String, Minute>>);

#[derive(Debug, Clone, Copy)]
struct Minute {
    made: u32,
    ends_at: i64,
}

impl Local {
    pub(super) fn count(&self, limits: &[Limit]) -> Within {
        let now = clock::now().timestamp_millis();
        let end = now + i64::try_from(WINDOW.as_millis()).unwrap_or(i64::MAX);
        let mut minutes = self.lock();
        minutes.retain(|_, minute| minute.ends_at > now);
        let reached = |limit: &Limit| {
            let minute = minutes.get(&limit.scope)?;
            (minute.made >= limit.most).then_some(minute.ends_at)
        };
        if let Some(ends_at) = limits.iter().filter_map(reached).max() {
            return Err(TooMany::until(ends_at, now));
        }
        if minutes.len() + limits.len() > CAPACITY {
            return Err(TooMany::until(end, now));
        }
        let counted = limits.iter().map(|limit| {
            let fresh = Minute {
                made: 0,
                ends_at: end,
            };
            let minute = minutes.entry(limit.scope.clone()).or_insert(fresh);
            minute.made += 1;
            Counted {
                scope: limit.scope.clone(),
                ends_at: minute.ends_at,
            }
        });
        Ok(counted.collect())
    }

    pub(super) fn give_back(&self, counted: &[Counted]) {
        let mut minutes = self.lock();
        for Counted { scope, ends_at } in counted {
            let minute = minutes.get_mut(scope);
            if let Some(minute) = minute.filter(|minute| minute.ends_at == *ends_at) {
                minute.made = minute.made.saturating_sub(1);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Minute>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_alone_counts_as_the_store_does() {
        let (local, ada) = (
            Local::default(),
            [Limit {
                scope: "ada".to_owned(),
                most: 2,
            }],
        );
        let first = local.count(&ada).unwrap();
        local.count(&ada).unwrap();
        let refused = local.count(&ada).unwrap_err();
        assert!(refused.wait <= WINDOW && !refused.wait.is_zero());
        local.give_back(&first);
        local.count(&ada).unwrap();
        assert!(local.count(&ada).is_err());
    }
}
