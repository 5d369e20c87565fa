//! F4 and F5: the broker is killed, is away at the start, takes no messages.

use crate::{
    helpers::{Place, Process, QUEUE, effects, published},
    rabbit::Rabbit,
};

#[tokio::test]
async fn f4_the_broker_is_killed_twice_and_nothing_is_lost_doubled_or_out_of_order() {
    let mut rabbit = Rabbit::start();
    let place = Place::postgres(rabbit.url()).await;
    let (first, second) = (Process::start(&place).await, Process::start(&place).await);
    first.consume().await;
    first.settled(QUEUE).await;
    let outboxes = (first.relay().await, second.relay().await);

    for round in 0..2 {
        let numbers = round * 500..round * 500 + 500;
        let changing = async {
            tokio::join!(
                first.change(&outboxes.0, "a", numbers.clone()),
                second.change(&outboxes.1, "b", numbers.clone()),
            )
        };
        let killing = async {
            // In the middle of the work: some are handled, some are on their way.
            testkit::eventually("some effects", || async {
                let wanted = numbers.start + 50;
                match first
                    .run(|service| async move { service.count("effects").await })
                    .await?
                {
                    done if done >= wanted => Ok(()),
                    done => Err(format!("{done} of {wanted}")),
                }
            })
            .await;
            rabbit.kill();
            rabbit.restart();
        };
        tokio::join!(changing, killing);
        effects(&first, "a", 0..numbers.end).await;
        effects(&first, "b", 0..numbers.end).await;
    }

    published(&first).await;
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn a_broker_that_is_away_at_the_start_stops_no_service() {
    let mut rabbit = Rabbit::start();
    rabbit.kill();
    let place = Place::sqlite(rabbit.url());
    let process = Process::start(&place).await;
    process.consume().await;
    let outbox = process.relay().await;

    process.change(&outbox, "a", 0..20).await;
    assert_eq!(
        process
            .run(|service| async move { service.count("outbox").await })
            .await
            .unwrap(),
        20
    );
    rabbit.restart();
    process.listening(QUEUE).await;

    // What the relay sent before there was a queue reached nobody; nothing after that is lost.
    process.change(&outbox, "b", 0..20).await;
    effects(&process, "b", 0..20).await;
    published(&process).await;
    process.stop().await;
}

#[tokio::test]
async fn f5_a_broker_that_takes_no_messages_makes_events_wait() {
    let rabbit = Rabbit::start();
    let place = Place::sqlite(rabbit.url());
    let process = Process::start(&place).await;
    process.consume().await;
    process.listening(QUEUE).await;
    let outbox = process.relay().await;
    process.change(&outbox, "a", 0..5).await;
    effects(&process, "a", 0..5).await;

    rabbit.alarm(true);
    process.change(&outbox, "a", 5..200).await;
    let waiting = process
        .run(|service| async move { service.count("outbox").await })
        .await;
    rabbit.alarm(false);

    assert!(
        waiting.unwrap() > 0,
        "events went through a broker that takes none"
    );
    effects(&process, "a", 0..200).await;
    published(&process).await;
    process.stop().await;
}
