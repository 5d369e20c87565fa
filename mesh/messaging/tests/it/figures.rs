//! Figures, printed: how long an event takes from its commit to its handler.

#![expect(clippy::print_stdout, reason = "figures are printed")]

use std::time::Duration;

use mesh_messaging::{Consumer, Outbox};
use tokio::{sync::mpsc, time::Instant};

use crate::helpers::{CONSUMER, Counted, Place, Process, QUEUE};

const EVENTS: i64 = 2000;
const EVERY: Duration = Duration::from_millis(5);

#[tokio::test]
#[ignore = "takes ten seconds a store, and wants the machine for itself"]
async fn commit_to_handler_at_200_events_a_second() {
    for (store, place) in ["SQLite", "Postgres"].into_iter().zip(Place::each().await) {
        let process = Process::start(&place).await;
        let consuming = Process::start(&place).await;
        let (began, mut handlers) = mpsc::unbounded_channel();
        let consumer = Consumer::new(CONSUMER).on::<Counted, _, _>(move |event| {
            let began = began.clone();
            async move {
                began.send((event.data.number, Instant::now())).unwrap();
                Ok(())
            }
        });
        consuming.start_consumer(consumer).await;
        consuming.listening(QUEUE).await;
        let outbox = process.relay().await;

        let commits = process
            .run(move |service| async move {
                let mut ticks = tokio::time::interval(EVERY);
                let mut commits = Vec::new();
                for number in 0..EVENTS {
                    ticks.tick().await;
                    let event = Counted {
                        subject: (number % 50).to_string(),
                        number,
                    };
                    crate::helpers::change(&service.connection, &outbox, &event).await;
                    commits.push(Instant::now());
                }
                commits
            })
            .await;

        let mut waits = Vec::new();
        for _ in 0..EVENTS {
            let (number, at) = handlers.recv().await.unwrap();
            waits.push(at.saturating_duration_since(commits[usize::try_from(number).unwrap()]));
        }
        waits.sort_unstable();
        let at = |percent: usize| waits[waits.len() * percent / 100 - 1];
        println!(
            "{store}: median {:?}, p99 {:?}, most {:?}",
            at(50),
            at(99),
            at(100)
        );
        process.stop().await;
        consuming.stop().await;
    }
}

#[tokio::test]
#[ignore = "wants the machine for itself"]
async fn ten_thousand_events_drain_when_the_broker_is_back() {
    for (store, place) in ["SQLite", "Postgres"].into_iter().zip(Place::each().await) {
        let process = Process::start(&place).await;
        process.consume().await;
        process
            .run(|service| async move {
                let outbox = Outbox::unattended("counter");
                let transaction = service.connection.begin().await.unwrap();
                for number in 0..10_000 {
                    let subject = (number % 50).to_string();
                    let event = Counted { subject, number };
                    outbox.insert(&transaction, &event).await.unwrap();
                }
                outbox.commit(transaction).await.unwrap();
            })
            .await;

        let begun = Instant::now();
        process.relay().await;
        crate::helpers::published(&process).await;
        let published = begun.elapsed();
        testkit::eventually("every effect", || async {
            let done = process.run(|service| async move { service.count("effects").await });
            match done.await? {
                10_000 => Ok(()),
                done => Err(format!("{done}")),
            }
        })
        .await;
        println!(
            "{store}: published in {published:?}, all effects after {:?}",
            begun.elapsed()
        );
        process.stop().await;
    }
}
