//! The newest posts' heads in memory, which answers what is listed and counted most.

use std::collections::BTreeMap;

use crate::{
    model::{PostId, Revision},
    store::{Filter, Head},
};

/// The heads of the newest posts: of all, or of so many that those before are another matter.
#[derive(Debug)]
pub(crate) struct Recent {
    heads: BTreeMap<PostId, Head>,
    capacity: usize,
    /// Whether there is no post that is not here.
    complete: bool,
}

impl Recent {
    /// From the newest heads; there are more than `capacity` only if there are more posts.
    pub(crate) fn new(heads: Vec<Head>, capacity: usize) -> Self {
        let heads = heads.into_iter().map(|head| (head.id, head)).collect();
        let mut recent = Self {
            heads,
            capacity,
            complete: true,
        };
        recent.forget_oldest();
        recent
    }

    /// How many heads are kept.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Takes in a new or changed post.
    pub(crate) fn put(&mut self, head: Head) {
        let older_than_all = self
            .heads
            .first_key_value()
            .is_none_or(|(oldest, _)| head.id < *oldest);
        if older_than_all && !self.complete {
            return;
        }
        self.heads.insert(head.id, head);
        self.forget_oldest();
    }

    /// Takes out a deleted post.
    pub(crate) fn remove(&mut self, id: PostId) {
        self.heads.remove(&id);
    }

    /// The newest `limit` posts before `after`; `None` when it takes older ones than are here.
    pub(crate) fn page(
        &self,
        filter: &Filter,
        after: Option<PostId>,
        limit: usize,
    ) -> Option<Vec<(PostId, Revision)>> {
        let matching = |heads: &mut dyn Iterator<Item = (&PostId, &Head)>| -> Vec<_> {
            let heads = heads.filter(|(_, head)| filter.matches(head));
            heads
                .take(limit)
                .map(|(id, head)| (*id, head.revision))
                .collect()
        };
        let page = match after {
            Some(after) => matching(&mut self.heads.range(..after).rev()),
            None => matching(&mut self.heads.iter().rev()),
        };
        (self.complete || page.len() == limit).then_some(page)
    }

    /// How many posts a person has; `None` when older ones than are here may count.
    pub(crate) fn count(&self, user_id: i64) -> Option<usize> {
        self.complete.then(|| {
            self.heads
                .values()
                .filter(|head| head.user_id == user_id)
                .count()
        })
    }

    fn forget_oldest(&mut self) {
        while self.heads.len() > self.capacity {
            self.heads.pop_first();
            self.complete = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CarModel, Kind};

    fn head(user_id: i64, model: &str) -> Head {
        let topic = model.parse::<CarModel>().unwrap().topic();
        Head {
            id: PostId::new(),
            user_id,
            topic,
            kind: Kind::Tip,
            revision: Revision::new(),
        }
    }

    fn ids(page: Option<Vec<(PostId, Revision)>>) -> Vec<PostId> {
        page.unwrap().into_iter().map(|(id, _)| id).collect()
    }

    #[test]
    fn d7_pages_are_newest_first_and_follow_each_other() {
        let heads: Vec<Head> = (0..5).map(|user_id| head(user_id, "a")).collect();
        let newest_first: Vec<PostId> = heads.iter().rev().map(|head| head.id).collect();
        let recent = Recent::new(heads, 10);
        let all = Filter::default();
        assert_eq!(ids(recent.page(&all, None, 3)), newest_first[..3]);
        assert_eq!(
            ids(recent.page(&all, Some(newest_first[2]), 3)),
            newest_first[3..]
        );
        assert_eq!(ids(recent.page(&all, Some(newest_first[4]), 3)), []);
    }

    #[test]
    fn filters_hold_together() {
        let heads = vec![head(1, "a"), head(2, "a"), head(1, "b"), head(1, "A")];
        let (first, last) = (heads[0].id, heads[3].id);
        let recent = Recent::new(heads, 10);
        let topic = Some("a".parse::<CarModel>().unwrap().topic());
        let filter = Filter {
            user_id: Some(1),
            topic,
            kind: Some(Kind::Tip),
        };
        assert_eq!(ids(recent.page(&filter, None, 9)), [last, first]);
        assert_eq!(recent.count(1), Some(3));
    }

    #[test]
    fn what_is_forgotten_is_not_claimed_to_be_missing() {
        let heads: Vec<Head> = (0..5).map(|_| head(1, "a")).collect();
        let (oldest, newest) = (heads[0].clone(), heads[4].id);
        let mut recent = Recent::new(heads, 3);
        let all = Filter::default();
        assert_eq!(ids(recent.page(&all, None, 3)).len(), 3);
        assert_eq!(recent.page(&all, None, 4), None);
        assert_eq!(
            recent.page(
                &Filter {
                    user_id: Some(2),
                    ..all.clone()
                },
                None,
                1
            ),
            None
        );
        assert_eq!(recent.count(1), None);
        recent.put(oldest);
        assert_eq!(
            recent.page(&all, None, 4),
            None,
            "an old post that changes does not come back"
        );
        recent.remove(newest);
        assert_eq!(ids(recent.page(&all, None, 2)).len(), 2);
        assert_eq!(recent.page(&all, None, 3), None);
    }

    #[test]
    fn a_changed_post_keeps_its_place() {
        let heads: Vec<Head> = (0..3).map(|_| head(1, "a")).collect();
        let changed = Head {
            revision: Revision::new(),
            ..heads[0].clone()
        };
        let mut recent = Recent::new(heads, 3);
        recent.put(changed.clone());
        let page = recent.page(&Filter::default(), None, 3).unwrap();
        assert_eq!(page[2], (changed.id, changed.revision));
    }
}
