//! What others do to us: queues that are not ours, things that are deleted, messages that nobody
//! sane would write, a broker that hangs.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use lapin::types::{AMQPValue, FieldTable};
use mesh_messaging::{Consumer, Failure};
use testkit::{PATIENCE, eventually, stores};
use tokio::sync::{Notify, mpsc};

use crate::{
    dead_letters::first,
    door::Door,
    helpers::{CONSUMER, Counted, Place, Process, QUEUE, change, effects, published},
    rabbit::Rabbit,
    stranger::Stranger,
};

/// Makes changes until one has an effect: those before may have reached nobody.
async fn until_one_arrives(process: &Process, outbox: &mesh_messaging::Outbox) {
    let number = AtomicU32::new(0);
    eventually("an effect", || async {
        let number = number.fetch_add(1, Ordering::Relaxed);
        let event = Counted {
            subject: "again".into(),
            number: number.into(),
        };
        let outbox = outbox.clone();
        let arrived = process.run(move |service| async move {
            change(&service.connection, &outbox, &event).await;
            service.numbers("effects", "again").await
        });
        match arrived.await?.len() {
            0 => Err("none".to_owned()),
            _ => Ok(()),
        }
    })
    .await;
}

#[tokio::test]
async fn a_queue_that_is_not_like_ours_is_taken_over_when_it_is_gone() {
    let place = Place::sqlite(stores::amqp());
    let stranger = Stranger::connect(&place).await;
    stranger.take(QUEUE).await;
    let process = Process::start(&place).await;
    process.consume().await;
    let outbox = process.relay().await;

    stranger.delete_queue(QUEUE).await;

    until_one_arrives(&process, &outbox).await;
    published(&process).await;
    stranger.leave().await;
    process.stop().await;
}

#[tokio::test]
async fn a_queue_of_the_version_before_is_used_on() {
    let place = Place::sqlite(stores::amqp());
    let stranger = Stranger::connect(&place).await;
    stranger.declare_as_before(QUEUE).await;
    let process = Process::start(&place).await;
    process.consume().await;
    process.listening(QUEUE).await;
    let outbox = process.relay().await;

    process.change(&outbox, "a", 0..5).await;

    effects(&process, "a", 0..5).await;
    stranger.leave().await;
    process.stop().await;
}

#[tokio::test]
async fn f4_what_somebody_deleted_is_declared_again() {
    let place = Place::sqlite(stores::amqp());
    let process = Process::start(&place).await;
    process.consume().await;
    process.listening(QUEUE).await;
    let outbox = process.relay().await;
    process.change(&outbox, "a", 0..5).await;
    effects(&process, "a", 0..5).await;
    let stranger = Stranger::connect(&place).await;

    // The broker ends the consumer, which declares everything again.
    stranger.delete_queue(QUEUE).await;
    until_one_arrives(&process, &outbox).await;
    // Nobody tells the consumer of this.
    stranger.delete_exchange().await;
    process.change(&outbox, "b", 0..1).await;
    published(&process).await;
    eventually("the binding", || async {
        let number = process
            .run(|service| async move { service.count("changes").await })
            .await?;
        process.change(&outbox, "c", number..number + 1).await;
        let found = process
            .run(|service| async move { service.numbers("effects", "c").await })
            .await?;
        found.last().map(|_| ()).ok_or_else(|| "none".to_owned())
    })
    .await;

    stranger.leave().await;
    process.stop().await;
}

#[tokio::test]
async fn headers_of_strangers_break_nothing() {
    let place = Place::sqlite(stores::amqp());
    let process = Process::start(&place).await;
    let consumer = Consumer::new(CONSUMER)
        .on::<Counted, _, _>(|_| async { Err(Failure::of(anyhow::anyhow!("x".repeat(100_000)))) });
    process.start_consumer(consumer).await;
    process.listening(QUEUE).await;
    let stranger = Stranger::connect(&place).await;
    let event = r#"{"specversion":"1.0","id":"1","source":"/x","type":"counter.counted","subject":"a","time":"2026-01-01T00:00:00Z","datacontenttype":"application/json","data":{"subject":"a","number":1}}"#;

    // What we add would not fit into the frame beside it, and this is no number of a try.
    let mut headers = FieldTable::default();
    let long = "x".repeat(125_000);
    headers.insert("tracestate".into(), AMQPValue::LongString(long.into()));
    headers.insert("x-attempt".into(), AMQPValue::LongInt(0));
    stranger.publish(event.as_bytes(), headers).await;

    let letter = first(&process).await;
    assert_eq!((letter.id.as_str(), letter.attempts), ("stranger", 5));
    assert!(letter.reason.len() < 1000, "{}", letter.reason);
    stranger.leave().await;
    process.stop().await;
}

#[tokio::test]
async fn f18_a_message_that_is_too_long_is_dead_at_once() {
    let place = Place::sqlite(stores::amqp());
    let process = Process::start(&place).await;
    process.consume().await;
    process.listening(QUEUE).await;
    let outbox = process.relay().await;
    let stranger = Stranger::connect(&place).await;

    let body = vec![b'1'; 1024 * 1024];
    stranger.publish(&body, FieldTable::default()).await;
    process.change(&outbox, "a", 0..3).await;

    effects(&process, "a", 0..3).await;
    let letter = first(&process).await;
    assert_eq!(letter.reason, "1048576 bytes are too long for an event");
    assert_eq!(letter.body.len(), body.len());
    stranger.leave().await;
    process.stop().await;
}

#[tokio::test]
async fn a_consumer_that_is_told_to_stop_finishes_what_it_began() {
    let place = Place::sqlite(stores::amqp());
    let process = Process::start(&place).await;
    let (began, mut beginnings) = mpsc::unbounded_channel();
    let go_on = Arc::new(Notify::new());
    let gate = Arc::clone(&go_on);
    let connection = process.service.connection.clone();
    let consumer = Consumer::new(CONSUMER).on::<Counted, _, _>(move |event| {
        let (began, gate, connection) = (began.clone(), Arc::clone(&gate), connection.clone());
        async move {
            began.send(()).unwrap();
            gate.notified().await;
            crate::helpers::effect(connection, event).await
        }
    });
    process.start_consumer(consumer).await;
    process.listening(QUEUE).await;
    let outbox = process.relay().await;
    process.change(&outbox, "a", 0..2).await;
    beginnings.recv().await.unwrap();

    process.service.context.shutdown.cancel();
    go_on.notify_one();
    process.stop().await;

    // The first one is done and acknowledged; the second one was never begun, and is there.
    let other = Process::start(&place).await;
    let done = other.run(|service| async move { service.numbers("effects", "a").await });
    assert_eq!(done.await.unwrap(), [0]);
    let (began, mut beginnings) = mpsc::unbounded_channel();
    let consumer = Consumer::new(CONSUMER).on::<Counted, _, _>(move |event| {
        began.send(event.data.number).unwrap();
        async { Ok(()) }
    });
    other.start_consumer(consumer).await;
    assert_eq!(beginnings.recv().await, Some(1));
    other.stop().await;
}

#[tokio::test]
async fn f4_a_broker_that_hangs_is_left_and_found_again() {
    let rabbit = Rabbit::start();
    // A heartbeat a second: silence is noticed soon.
    let door = Door::before(rabbit.port()).await;
    let url = format!(
        "amqp://guest:guest@127.0.0.1:{}/?heartbeat=1&prefix=",
        door.port()
    );
    let place = Place::sqlite(url);
    let process = Process::start(&place).await;
    process.consume().await;
    process.listening(QUEUE).await;
    let outbox = process.relay().await;
    process.change(&outbox, "a", 0..5).await;
    effects(&process, "a", 0..5).await;

    rabbit.freeze(true);
    let (entered, left) = door.count();
    let open = entered - left;
    let stuck = tokio::time::timeout(PATIENCE, process.change(&outbox, "a", 5..200));
    stuck.await.expect("writes are accepted meanwhile");
    eventually("every link is given up", || async {
        let (_, now) = door.count();
        let gone = now - left >= open;
        gone.then_some(())
            .ok_or_else(|| format!("{now} of {entered} are"))
    })
    .await;
    rabbit.freeze(false);

    effects(&process, "a", 0..200).await;
    published(&process).await;
    process.stop().await;
}

#[tokio::test]
async fn what_waits_and_what_is_dead_is_shown() {
    telemetry::metrics::install().unwrap();
    let place = Place::sqlite(stores::amqp());
    let process = Process::start(&place).await;
    let consumer = Consumer::new(CONSUMER).on::<Counted, _, _>(|event| async move {
        match event.data.subject.as_str() {
            "bad" => Err(Failure::reject("never")),
            _ => std::future::pending().await,
        }
    });
    process.start_consumer(consumer.prefetch(2)).await;
    process.listening(QUEUE).await;
    let outbox = process.relay().await;

    process.change(&outbox, "bad", 0..1).await;
    process.change(&outbox, "slow", 0..5).await;

    let (_, prefix) = place.amqp.split_once("?prefix=").unwrap();
    let queue = format!("{{queue=\"{prefix}{QUEUE}\"}}");
    eventually("the gauges", || async {
        let text = telemetry::metrics::render();
        let value = |name: &str| {
            let start = format!("{name}{queue} ");
            let line = text.lines().find_map(|line| line.strip_prefix(&start));
            line.and_then(|value| value.parse::<f64>().ok())
                .unwrap_or(-1.0)
        };
        let names = [
            "queue_messages",
            "queue_dead_letters",
            "queue_oldest_seconds",
        ];
        match names.map(value) {
            // Of five, the consumer holds two.
            [waiting, dead, oldest] if (waiting, dead) == (3.0, 1.0) && oldest > 0.0 => Ok(()),
            others => Err(format!("{others:?}")),
        }
    })
    .await;
    process.kill();
}
