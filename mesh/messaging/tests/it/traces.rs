//! One trace from the change to its effect.

use mesh_messaging::Consumer;
use tokio::sync::mpsc;
use tracing::Instrument as _;

use crate::helpers::{CONSUMER, Counted, Place, Process, QUEUE};

#[tokio::test]
async fn a_handler_runs_in_the_trace_of_the_change() {
    let _guard = telemetry::init(&telemetry::Settings {
        service: "counter",
        instance: "counter-1".into(),
        // Nobody listens there: spans are made all the same.
        otlp_endpoint: Some("http://127.0.0.1:1".into()),
        filter: "off".into(),
    });
    let place = Place::sqlite(testkit::stores::amqp());
    let process = Process::start(&place).await;
    let (done, mut traces) = mpsc::unbounded_channel();
    let consumer = Consumer::new(CONSUMER).on::<Counted, _, _>(move |_| {
        let done = done.clone();
        async move {
            done.send(telemetry::propagation::current_trace_id())
                .unwrap();
            Ok(())
        }
    });
    process.start_consumer(consumer).await;
    process.listening(QUEUE).await;
    let outbox = process.relay().await;

    let changed = process
        .run(|service| {
            let span = tracing::info_span!("http.posts.create");
            let work = async move {
                let event = Counted {
                    subject: "a".into(),
                    number: 0,
                };
                crate::helpers::change(&service.connection, &outbox, &event).await;
                telemetry::propagation::current_trace_id()
            };
            work.instrument(span)
        })
        .await;

    assert!(changed.is_some());
    assert_eq!(traces.recv().await, Some(changed));
    process.stop().await;
}
