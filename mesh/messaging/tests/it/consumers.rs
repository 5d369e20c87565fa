//! Failures of handlers: they wait, are tried again, and end as dead letters; others go on.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use mesh_messaging::{Consumer, Failure, dead_letters, inbox};
use tokio::sync::mpsc;

use crate::helpers::{CONSUMER, Counted, Place, Process, QUEUE};

#[tokio::test]
async fn an_event_that_fails_is_tried_again_and_then_done() {
    let [place, _] = Place::each().await;
    let process = Process::start(&place).await;
    let (done, mut attempts) = mpsc::unbounded_channel();
    let consumer = Consumer::new(CONSUMER).on::<Counted, _, _>(move |event| {
        let done = done.clone();
        async move {
            if event.attempt < 3 {
                return Err(Failure::of(anyhow::anyhow!("not yet")));
            }
            done.send(event.attempt).unwrap();
            Ok(())
        }
    });
    process.start_consumer(consumer).await;
    process.listening(QUEUE).await;

    let outbox = process.relay().await;
    process.change(&outbox, "a", 0..1).await;

    assert_eq!(attempts.recv().await, Some(3));
    process.stop().await;
}

#[tokio::test]
async fn f18_after_five_tries_an_event_is_dead_and_the_queue_moves_on() {
    let [place, _] = Place::each().await;
    let process = Process::start(&place).await;
    let tries = Arc::new(AtomicU32::new(0));
    let (done, mut handled) = mpsc::unbounded_channel();
    let counter = Arc::clone(&tries);
    let consumer = Consumer::new(CONSUMER).on::<Counted, _, _>(move |event| {
        let (done, tries) = (done.clone(), Arc::clone(&counter));
        async move {
            if event.data.subject == "bad" {
                tries.fetch_add(1, Ordering::Relaxed);
                return Err(Failure::of(anyhow::anyhow!("no such post")));
            }
            done.send(event.data.number).unwrap();
            Ok(())
        }
    });
    process.start_consumer(consumer).await;
    process.listening(QUEUE).await;

    let outbox = process.relay().await;
    process.change(&outbox, "bad", 0..1).await;
    process.change(&outbox, "good", 0..3).await;

    for number in 0..3 {
        assert_eq!(handled.recv().await, Some(number));
    }
    let letter = crate::dead_letters::first(&process).await;
    assert_eq!(letter.reason, "failed 5 times: no such post");
    assert_eq!(letter.attempts, 5);
    assert_eq!(tries.load(Ordering::Relaxed), 5);
    process.stop().await;
}

#[tokio::test]
async fn a_handler_that_panics_or_rejects_does_not_stop_the_others() {
    let [place, _] = Place::each().await;
    let process = Process::start(&place).await;
    let (done, mut handled) = mpsc::unbounded_channel();
    let consumer = Consumer::new(CONSUMER).on::<Counted, _, _>(move |event| {
        let done = done.clone();
        async move {
            assert!(
                event.data.subject != "panics" || event.attempt > 1,
                "as told"
            );
            if event.data.subject == "rejected" {
                return Err(Failure::reject("never"));
            }
            done.send((event.data.subject, event.attempt)).unwrap();
            Ok(())
        }
    });
    process.start_consumer(consumer).await;
    process.listening(QUEUE).await;

    let outbox = process.relay().await;
    process.change(&outbox, "rejected", 0..1).await;
    process.change(&outbox, "panics", 0..1).await;

    assert_eq!(handled.recv().await, Some(("panics".into(), 2)));
    let letter = crate::dead_letters::first(&process).await;
    assert_eq!((letter.reason.as_str(), letter.attempts), ("never", 1));
    process.stop().await;
}

#[tokio::test]
async fn a_store_that_is_away_uses_up_no_tries() {
    let [place, _] = Place::each().await;
    let process = Process::start(&place).await;
    let calls = Arc::new(AtomicU32::new(0));
    let (done, mut handled) = mpsc::unbounded_channel();
    let consumer = Consumer::new(CONSUMER).on::<Counted, _, _>(move |event| {
        let (done, calls) = (done.clone(), Arc::clone(&calls));
        async move {
            if calls.fetch_add(1, Ordering::Relaxed) < 2 {
                return Err(chassis::Error::unavailable("The store does not answer").into());
            }
            done.send(event.attempt).unwrap();
            Ok(())
        }
    });
    process.start_consumer(consumer).await;
    process.listening(QUEUE).await;

    let outbox = process.relay().await;
    process.change(&outbox, "a", 0..1).await;

    assert_eq!(handled.recv().await, Some(1));
    assert_eq!(
        process
            .run(|service| async move { dead_letters::list(&service.broker, QUEUE, 10).await })
            .await
            .unwrap(),
        []
    );
    process.stop().await;
}

#[tokio::test]
async fn double_delivery_at_the_same_moment_acts_once() {
    for place in Place::each().await {
        let process = Process::start(&place).await;
        let firsts = process
            .run(|service| async move {
                let mut deliveries = tokio::task::JoinSet::new();
                for _ in 0..8 {
                    let connection = service.connection.clone();
                    deliveries.spawn(async move {
                        let transaction = connection.begin().await.unwrap();
                        let first = inbox::once(&transaction, CONSUMER, "one").await.unwrap();
                        transaction.commit().await.unwrap();
                        first
                    });
                }
                let all = deliveries.join_all().await;
                all.into_iter().filter(|first| *first).count()
            })
            .await;
        assert_eq!(firsts, 1);
    }
}

#[tokio::test]
async fn an_event_of_a_change_that_was_rolled_back_never_leaves() {
    for place in Place::each().await {
        let process = Process::start(&place).await;
        process.consume().await;
        process.listening(QUEUE).await;
        let outbox = process.relay().await;

        let undone = outbox.clone();
        process
            .run(|service| async move {
                let transaction = service.connection.begin().await.unwrap();
                let event = Counted {
                    subject: "a".into(),
                    number: 99,
                };
                undone.insert(&transaction, &event).await.unwrap();
                transaction.rollback().await.unwrap();
            })
            .await;
        process.change(&outbox, "a", 0..1).await;

        crate::helpers::effects(&process, "a", 0..1).await;
        process.stop().await;
    }
}
