//! Dead letters: poison gets there at once with its reason, and can be sent again.

use std::{
    process::Output,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use lapin::types::FieldTable;
use mesh_messaging::{
    Consumer, Failure,
    dead_letters::{self, DeadLetter},
};
use tokio::sync::mpsc;

use crate::{
    helpers::{CONSUMER, Counted, Place, Process, QUEUE, effects},
    stranger::Stranger,
};

/// The first dead letter, as soon as there is one.
pub(crate) async fn first(process: &Process) -> DeadLetter {
    testkit::eventually("a dead letter", || async {
        let letters = process
            .run(|service| async move { dead_letters::list(&service.broker, QUEUE, 10).await })
            .await;
        let letters = letters.map_err(|error| format!("{error:#}"))?;
        letters.into_iter().next().ok_or_else(|| "none".to_owned())
    })
    .await
}

/// Publishes anything, as a stranger would.
async fn publish(place: &Place, body: &[u8]) {
    let stranger = Stranger::connect(place).await;
    stranger.publish(body, FieldTable::default()).await;
    stranger.leave().await;
}

#[tokio::test]
async fn f18_poison_is_dead_at_once_with_its_reason_and_the_queue_moves_on() {
    let later = r#"{"specversion":"2.0","id":"1","source":"/x","type":"counter.counted","time":"2026-01-01T00:00:00Z","datacontenttype":"application/json","data":{}}"#;
    let payload = later.replace("2.0", "1.0");
    let version = payload.replace(r#""data":"#, r#""dataversion":2,"data":"#);
    for (body, reason) in [
        ("not json", "not a CloudEvent in JSON"),
        (later, "specversion must be 1.0"),
        (payload.as_str(), "the payload is no counter.counted"),
        (version.as_str(), "version 2 of counter.counted is unknown"),
    ] {
        let place = Place::sqlite(testkit::stores::amqp());
        let process = Process::start(&place).await;
        process.consume().await;
        process.listening(QUEUE).await;
        let outbox = process.relay().await;

        publish(&place, body.as_bytes()).await;
        process.change(&outbox, "a", 0..3).await;

        effects(&process, "a", 0..3).await;
        let letter = first(&process).await;
        assert!(letter.reason.starts_with(reason), "{letter:?}");
        assert_eq!(
            (letter.id.as_str(), letter.body.as_str()),
            ("stranger", body)
        );
        assert_eq!(letter.attempts, 1);
        process.stop().await;
    }
}

#[tokio::test]
async fn a_dead_letter_that_is_replayed_is_handled_as_new() {
    let place = Place::sqlite(testkit::stores::amqp());
    let process = Process::start(&place).await;
    let mended = Arc::new(AtomicBool::new(false));
    let (done, mut handled) = mpsc::unbounded_channel();
    let flag = Arc::clone(&mended);
    let consumer = Consumer::new(CONSUMER).on::<Counted, _, _>(move |event| {
        let (done, mended) = (done.clone(), Arc::clone(&flag));
        async move {
            if !mended.load(Ordering::Relaxed) {
                return Err(Failure::reject("a bug"));
            }
            done.send((event.id, event.attempt, event.replayed))
                .unwrap();
            Ok(())
        }
    });
    process.start_consumer(consumer).await;
    process.listening(QUEUE).await;
    let outbox = process.relay().await;
    process.change(&outbox, "a", 0..1).await;
    let letter = first(&process).await;

    mended.store(true, Ordering::Relaxed);
    let others = vec!["somebody else".to_owned()];
    let none =
        process
            .run(|service| async move {
                dead_letters::replay(&service.broker, QUEUE, Some(&others)).await
            })
            .await;
    let all = process
        .run(|service| async move { dead_letters::replay(&service.broker, QUEUE, None).await })
        .await;

    assert_eq!((none.unwrap(), all.unwrap()), (0, 1));
    assert_eq!(handled.recv().await, Some((letter.id, 1, true)));
    let left = process
        .run(|service| async move { dead_letters::waiting(&service.broker, QUEUE).await })
        .await;
    assert_eq!(left.unwrap(), 0);
    process.stop().await;
}

/// Runs the program for operators.
async fn run(place: &Place, arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_dead-letters");
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).env("AMQP_URL", &place.amqp);
    command.output().await.unwrap()
}

/// Runs the program for operators, which succeeds; what it prints.
async fn operate(place: &Place, arguments: &[&str]) -> String {
    let output = run(place, arguments).await;
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn the_program_for_operators_lists_and_replays() {
    let place = Place::sqlite(testkit::stores::amqp());
    let process = Process::start(&place).await;
    let mended = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&mended);
    let connection = process.service.connection.clone();
    let consumer = Consumer::new(CONSUMER).on::<Counted, _, _>(move |event| {
        let (mended, connection) = (Arc::clone(&flag), connection.clone());
        async move {
            if !mended.load(Ordering::Relaxed) {
                return Err(Failure::reject("no such post"));
            }
            crate::helpers::effect(connection, event).await
        }
    });
    process.start_consumer(consumer).await;
    process.listening(QUEUE).await;
    let outbox = process.relay().await;
    process.change(&outbox, "a", 0..1).await;
    let letter = first(&process).await;

    let table = operate(&place, &["list", QUEUE]).await;
    let lines = operate(&place, &["list", QUEUE, "--json"]).await;
    let unknown = run(&place, &["replay", QUEUE, "somebody-else"]).await;
    mended.store(true, Ordering::Relaxed);
    let replayed = operate(&place, &["replay", QUEUE, &letter.id]).await;
    let missing = run(&place, &["list", "nobody.effects"]).await;

    let row = table.lines().nth(1).unwrap();
    assert!(
        row.contains(&letter.id) && row.contains("no such post"),
        "{table}"
    );
    let line: serde_json::Value = serde_json::from_str(&lines).unwrap();
    assert_eq!(line["reason"], letter.reason);
    assert_eq!(
        (unknown.status.success(), missing.status.success()),
        (false, false)
    );
    let said = String::from_utf8(missing.stderr).unwrap();
    assert!(said.contains("there is no queue"), "{said}");
    assert_eq!(replayed, "1 replayed\n");
    effects(&process, "a", 0..1).await;
    let left = operate(&place, &["list", QUEUE]).await;
    assert_eq!(left, format!("{QUEUE} has no dead letters\n"));
    process.stop().await;
}
