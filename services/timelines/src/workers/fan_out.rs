//! New posts, into the home timelines of those who follow their authors.

use std::sync::Arc;

use messaging::{Consumer, Event as _, Received, Subscription, events::PostCreated};

use crate::home::Homes;

/// Posts that one process delivers at once: few, so that readers and writers get their turn.
const AT_ONCE: u16 = 2;

/// What is posted.
pub(super) const POSTS: Subscription = Subscription::new("fan-out", &[PostCreated::TYPE]).shared();

/// Deleted posts need no delivery: what SQL does not have any more is not shown.
pub(super) fn consumer(homes: &Arc<Homes>) -> Consumer {
    let homes = Arc::clone(homes);
    Consumer::of(&POSTS)
        .prefetch(AT_ONCE)
        .on(move |event: Received<PostCreated>| {
            let homes = Arc::clone(&homes);
            async move { homes.deliver(&event.data, event.time).await }
        })
}
