//! The own copy of who follows whom, from what `users` tells.

use chrono::{DateTime, Utc};
use messaging::{
    Consumer, Event as _, Failure, Received, Subscription,
    events::{UserFollowed, UserUnfollowed},
};

use crate::store::{Change, Store};

const NAME: &str = "graph";

/// Who follows whom.
pub(super) const FOLLOWS: Subscription =
    Subscription::new(NAME, &[UserFollowed::TYPE, UserUnfollowed::TYPE]);

/// Needs no Redis: a change of the graph changes the version of a home timeline, so that what
/// Redis has of the version before is never read again.
pub(super) fn consumer(store: &Store) -> Consumer {
    let (followed, unfollowed) = (store.clone(), store.clone());
    Consumer::of(&FOLLOWS)
        .on(move |event: Received<UserFollowed>| {
            let change = Change {
                follower_id: event.data.follower_id,
                followee_id: event.data.followee_id,
                following: true,
                at: ordered_at(event.data.version, event.time),
            };
            apply(followed.clone(), event.id, change)
        })
        .on(move |event: Received<UserUnfollowed>| {
            let change = Change {
                follower_id: event.data.follower_id,
                followee_id: event.data.followee_id,
                following: false,
                at: ordered_at(event.data.version, event.time),
            };
            apply(unfollowed.clone(), event.id, change)
        })
}

/// The place of a change in the order of its follower's, as a time: by the version that its writer gave it, and not by the
/// clock, which may be set back. Only instances of `users` from before there were versions have nothing but the clock.
fn ordered_at(version: Option<i64>, time: DateTime<Utc>) -> DateTime<Utc> {
    version
        .and_then(DateTime::from_timestamp_micros)
        .unwrap_or(time)
}

async fn apply(store: Store, event_id: String, change: Change) -> Result<(), Failure> {
    Ok(store.apply_follow(NAME, &event_id, change).await?)
}
