//! An account is deleted: each service answers once it has forgotten, however often it has to try.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use mesh_messaging::{
    Broker, declare, declared,
    events::{UserDeleted, UserForgotten},
    farewell,
};
use testkit::PATIENCE;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::helpers::{Place, Process, Service};

fn broker(service: &Service, name: &str, place: &Place) -> Broker {
    let settings = mesh_messaging::Settings {
        amqp_url: place.amqp.clone().into(),
        messaging_failpoint: None,
    };
    let delays = [Duration::from_millis(50); 2];
    Broker::with_delays(name, &settings, &service.context, &delays).unwrap()
}

fn collect(users: &Broker, service: &Service) -> UnboundedReceiver<(&'static str, UserForgotten)> {
    let (sender, answers) = unbounded_channel();
    farewell::collect(users, &service.context, move |name, answer| {
        let _ = sender.send((name, answer));
        async { Ok(()) }
    });
    answers
}

fn deleted(round: i32) -> UserDeleted {
    UserDeleted {
        user_id: 7,
        username: "ada".into(),
        round,
    }
}

#[tokio::test]
async fn a_service_that_was_away_forgets_and_answers_when_it_is_back() {
    let [place, _] = Place::each().await;
    let process = Process::start(&place).await;
    let own = place.clone();
    process
        .run(|service| async move {
            let users = broker(&service, "users", &own);
            let mut answers = collect(&users, &service);
            declared(&users, "users.farewells", PATIENCE).await.unwrap();
            let likes = broker(&service, "likes", &own);
            // The queue is there before the service.
            declare(&likes, &[farewell::DELETED]).await.unwrap();
            for round in [1, 2] {
                users.publish(&deleted(round)).await.unwrap();
            }

            let tries = Arc::new(AtomicU32::new(0));
            farewell::listen(&likes, &service.context, move |gone| {
                let tries = Arc::clone(&tries);
                async move {
                    assert_eq!((gone.user_id, gone.username.as_str()), (7, "ada"));
                    match tries.fetch_add(1, SeqCst) {
                        0 => Err(chassis::Error::unavailable("the store is away")),
                        1 => Err(chassis::Error::internal(anyhow::anyhow!("a deadlock"))),
                        _ => Ok(()),
                    }
                }
            });

            let mut rounds = Vec::new();
            for _ in 0..2 {
                let (service, answer) = answers.recv().await.unwrap();
                assert_eq!((service, answer.user_id), ("likes", 7));
                rounds.push(answer.round);
            }
            rounds.sort_unstable();
            assert_eq!(rounds, [1, 2]);
        })
        .await;
    process.stop().await;
}
