//! What `likes` hears: its own likes, to be checked and told of, and posts that are deleted.
//!
//! All instances share the events, in any order and perhaps twice: every handler looks at what
//! the store says now, and does nothing where nothing is left to do.

use std::time::Duration;

use chassis::{Error, clock};
use messaging::{
    Consumer, Event as _, Failure, Received, Subscription,
    events::{PostDeleted, PostLiked},
};

use crate::{
    clients::{Known, Timelines},
    ledger::Ledger,
    store::Store,
};

/// Likes to be checked, and posts that are gone.
pub(crate) const CHECKED: Subscription =
    Subscription::new(crate::VALIDATION, &[PostLiked::TYPE, PostDeleted::TYPE]).shared();
/// Likes to be told of.
pub(crate) const COLLECTED: Subscription =
    Subscription::new(crate::NOTIFICATION, &[PostLiked::TYPE]).shared();

/// Removes the likes of posts that do not exist, or no longer (S2-36, D18).
pub(crate) fn validation(ledger: Ledger, timelines: Timelines) -> Consumer {
    let deleting = ledger.clone();
    Consumer::of(&CHECKED)
        .on(move |event: Received<PostLiked>| {
            let (ledger, timelines) = (ledger.clone(), timelines.clone());
            async move {
                let post_id = event.data.post_id;
                let known = timelines.look_up(ledger.store(), post_id).await;
                if let Known::Missing(seen) = known.map_err(Failure::of)? {
                    let removed = ledger.drop_likes(post_id, seen).await?;
                    tracing::info!(post.id = post_id, removed, "liked post does not exist");
                }
                Ok(())
            }
        })
        .on(move |event: Received<PostDeleted>| {
            let ledger = deleting.clone();
            async move {
                let removed = ledger.delete_post(event.data.post_id).await?;
                tracing::debug!(post.id = event.data.post_id, removed, "liked post is gone");
                Ok(())
            }
        })
}

/// Collects likes for their authors, for `window` from the first one on (S2-37, D18).
pub(crate) fn notification(store: Store, timelines: Timelines, window: Duration) -> Consumer {
    Consumer::of(&COLLECTED).on(move |event: Received<PostLiked>| {
        let (store, timelines) = (store.clone(), timelines.clone());
        async move {
            collect(&store, &timelines, window, &event.data)
                .await
                .map_err(Failure::of)
        }
    })
}

async fn collect(
    store: &Store,
    timelines: &Timelines,
    window: Duration,
    like: &PostLiked,
) -> Result<(), Error> {
    let Known::By(author) = timelines.look_up(store, like.post_id).await? else {
        return Ok(());
    };
    // Nobody needs a mail about themselves.
    if author == like.user_id {
        return Ok(());
    }
    let due = clock::now() + window;
    store.insert_notice(like.post_id, like.user_id, due).await?;
    Ok(())
}
