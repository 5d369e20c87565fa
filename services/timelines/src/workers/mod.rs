//! What is done behind requests; each is a consumer of events with a queue of its own.

mod fan_out;
mod graph;
mod post_jobs;

use std::sync::Arc;

use chassis::Context;
use messaging::{Broker, Subscription};

use crate::{home::Homes, store::Store};

/// Keeps the copy of the follow graph, and writes new posts into home timelines.
const FAN_OUT: &str = "fan-out";
/// Makes the posts that are asked for by `POST /posts/async` (S2-35).
const POST_JOBS: &str = "post-jobs";

/// The roles of `timelines work`.
pub(crate) const ROLES: &[&str] = &[FAN_OUT, POST_JOBS];

/// What they consume.
pub(crate) const SUBSCRIPTIONS: &[Subscription] =
    &[graph::FOLLOWS, fan_out::POSTS, post_jobs::JOBS];

/// Starts the work of this process.
pub(crate) async fn start(store: &Store, homes: &Arc<Homes>, broker: &Broker, context: &Context) {
    if context.works(FAN_OUT) {
        // First the graph: who is waited for last misses nothing of what the first learnt.
        graph::consumer(store).start(broker, context).await;
        fan_out::consumer(homes).start(broker, context).await;
    }
    if context.works(POST_JOBS) {
        let makers = post_jobs::Makers::new(store);
        makers.consumer().start(broker, context).await;
        context.spawn(makers.sweep());
    }
}
