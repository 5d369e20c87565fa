//! F2: a process dies at each named step. The event arrives, and acts once.

use mesh_messaging::failpoint;

use crate::helpers::{Place, Process, QUEUE, effects, published};

/// A relay dies at `step`; another process takes over.
async fn relay_dies_at(step: &'static str) {
    for place in Place::each().await {
        let other = Process::start(&place).await;
        other.consume().await;
        other.listening(QUEUE).await;
        let dying = Process::start(&place).await;
        let reached = dying.service.broker.failpoints().stop_at(step);
        let outbox = dying.relay().await;

        dying.change(&outbox, "a", 0..10).await;
        reached.notified().await;
        dying.kill();
        let outbox = other.relay().await;

        effects(&other, "a", 0..10).await;
        published(&other).await;
        // One more, so that anything that came twice has come by now.
        other.change(&outbox, "a", 10..11).await;
        effects(&other, "a", 0..11).await;
        other.stop().await;
    }
}

#[tokio::test]
async fn f2_after_commit_before_publish_the_event_is_published_by_another_process() {
    relay_dies_at(failpoint::BEFORE_PUBLISH).await;
}

#[tokio::test]
async fn f2_after_publish_before_marking_the_event_comes_twice_and_acts_once() {
    relay_dies_at(failpoint::BEFORE_MARK).await;
}

#[tokio::test]
async fn f2_after_effect_before_ack_the_event_comes_twice_and_acts_once() {
    for place in Place::each().await {
        let dying = Process::start(&place).await;
        let reached = dying
            .service
            .broker
            .failpoints()
            .stop_at(failpoint::BEFORE_ACK);
        dying.consume().await;
        dying.listening(QUEUE).await;
        let other = Process::start(&place).await;
        let outbox = other.relay().await;

        other.change(&outbox, "a", 0..10).await;
        reached.notified().await;
        dying.kill();
        other.consume().await;

        effects(&other, "a", 0..10).await;
        // One more, so that anything that came twice has come by now.
        other.change(&outbox, "a", 10..11).await;
        effects(&other, "a", 0..11).await;
        other.stop().await;
    }
}

#[tokio::test]
async fn f22_two_relays_at_once_keep_the_order_and_lose_nothing() {
    for place in Place::each().await {
        let (first, second) = (Process::start(&place).await, Process::start(&place).await);
        first.consume().await;
        first.listening(QUEUE).await;
        let outboxes = (first.relay().await, second.relay().await);

        tokio::join!(
            first.change(&outboxes.0, "a", 0..300),
            second.change(&outboxes.1, "b", 0..300),
        );

        effects(&first, "a", 0..300).await;
        effects(&first, "b", 0..300).await;
        published(&first).await;
        first.stop().await;
        second.stop().await;
    }
}

#[tokio::test]
async fn a_consumer_that_stops_hands_over_without_loss() {
    let [place, _] = Place::each().await;
    let publisher = Process::start(&place).await;
    let outbox = publisher.relay().await;
    let leaving = Process::start(&place).await;
    leaving.consume().await;
    leaving.listening(QUEUE).await;
    let staying = Process::start(&place).await;
    staying.consume().await;

    tokio::join!(publisher.change(&outbox, "a", 0..200), leaving.stop());

    effects(&staying, "a", 0..200).await;
    publisher.stop().await;
    staying.stop().await;
}
