//! Tells authors of likes, once the time to collect is over (S2-37, D18).

use std::time::Duration;

use chassis::{Error, clock};
use tokio::time::MissedTickBehavior;

use crate::store::Store;

/// How often due notices are looked for.
const PACE: Duration = Duration::from_millis(500);
/// Posts whose notices are told in one go.
const BATCH: u64 = 100;

/// Endless: tells what is due. Several processes may do so at once.
pub(crate) async fn tell_when_due(store: Store) {
    let mut ticks = tokio::time::interval(PACE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = tell_due(&store).await {
            tracing::warn!(cause = ?error, "authors are told later");
        }
    }
}

async fn tell_due(store: &Store) -> Result<(), Error> {
    let now = clock::now();
    for post_id in store.list_due_notices(now, BATCH).await? {
        if let Some(likes) = store.remove_notice(post_id, now).await? {
            tracing::info!(post.id = post_id, likes, "author is told of likes");
        }
    }
    Ok(())
}
