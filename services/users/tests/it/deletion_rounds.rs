//! The other services are told of a deletion, twice, and their answers are collected.

use messaging::{
    Broker, Consumer, Event, Received, declared,
    events::UserDeleted,
    farewell::{ANSWERED, SERVICES},
};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;
use testkit::{PATIENCE, TestService, eventually, stores, unique};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use users::Users;

use crate::helpers::{Backend, PASSWORD, Person, person, post, start_with};

crate::on_each_store![a_deletion_is_told_twice_and_its_name_is_free_when_all_have_answered,];

/// What the service at a place of [`SERVICES`] says.
#[derive(Debug, Serialize, Deserialize)]
struct Answer<const SERVICE: usize> {
    user_id: i64,
    round: i32,
}

impl<const SERVICE: usize> Event for Answer<SERVICE> {
    const TYPE: &'static str = ANSWERED.events[SERVICE];

    fn subject(&self) -> String {
        self.user_id.to_string()
    }
}

async fn answer<const SERVICE: usize>(broker: &Broker, told: &UserDeleted) {
    let answer = Answer::<SERVICE> {
        user_id: told.user_id,
        round: told.round,
    };
    broker.publish(&answer).await.unwrap();
}

fn broker(name: &str, users: &TestService<Users>, amqp: &str) -> Broker {
    let settings = messaging::Settings {
        amqp_url: amqp.to_owned().into(),
        messaging_failpoint: None,
    };
    Broker::new(name, &settings, &users.context).unwrap()
}

/// What services are told, with the service that tells it.
async fn listen(users: &TestService<Users>, broker: &Broker) -> UnboundedReceiver<UserDeleted> {
    let (sender, heard) = unbounded_channel();
    let consumer = Consumer::new("all").on(move |event: Received<UserDeleted>| {
        assert_eq!(event.source, "/users");
        let _ = sender.send(event.data);
        async { Ok(()) }
    });
    consumer.start(broker, &users.context).await;
    declared(broker, "probe.all", PATIENCE).await.unwrap();
    heard
}

async fn delete(users: &TestService<Users>, person: &Person) {
    let body = json!({ "email": person.email, "password": PASSWORD });
    let deleted = users.call(Method::DELETE, "/auth/delete", "", &body).await;
    assert_eq!(deleted.status, 204, "{}", deleted.text);
}

async fn takes(users: &TestService<Users>, name: &str) -> Result<(), String> {
    let email = format!("{}@example.com", unique("e"));
    let body = json!({ "username": name, "email": email, "password": PASSWORD });
    match post(users, "/users/register", &body).await.status {
        201 => Ok(()),
        other => Err(other.to_string()),
    }
}

async fn unanswered(users: &TestService<Users>, service: &str) -> Option<String> {
    let metrics = reqwest::get(format!("http://{}/metrics", users.admin)).await;
    let metrics = metrics.unwrap().text().await.unwrap();
    let mut lines = metrics.lines().filter(|line| line.contains(service));
    let line = lines.find(|line| line.starts_with("account_deletions_unanswered{"))?;
    line.rsplit(' ').next().map(str::to_owned)
}

async fn nobody_is_waited_for(users: &TestService<Users>) {
    eventually("nobody is waited for", || async {
        match unanswered(users, SERVICES[6]).await.as_deref() {
            Some("0") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

async fn a_deletion_is_told_twice_and_its_name_is_free_when_all_have_answered(backend: Backend) {
    let amqp = stores::amqp();
    let flags = ["--amqp-url", &amqp, "--deletion-sweep-seconds", "1"];
    let users = start_with(backend, &flags).await;
    let own = broker("users", &users, &amqp);
    declared(&own, "users.farewells", PATIENCE).await.unwrap();
    let probe = broker("probe", &users, &amqp);
    let mut heard = listen(&users, &probe).await;
    let ada = person(&users).await;

    delete(&users, &ada).await;

    let mut told = Vec::new();
    for round in [1, 2] {
        let event = heard.recv().await.unwrap();
        let expected = UserDeleted {
            user_id: ada.id,
            username: ada.username.clone(),
            round,
        };
        assert_eq!(event, expected);
        told.push(event);
    }
    // All have answered but the last one, and its answer to the first round is none to the second; all come twice.
    let [first, second] = &told[..] else {
        panic!("{told:?}")
    };
    for _ in 0..2 {
        answer::<0>(&probe, second).await;
        answer::<1>(&probe, second).await;
        answer::<2>(&probe, second).await;
        answer::<3>(&probe, second).await;
        answer::<4>(&probe, second).await;
        answer::<5>(&probe, second).await;
        answer::<6>(&probe, first).await;
        answer::<0>(&probe, first).await;
    }
    assert_eq!(SERVICES.len(), 7);
    eventually("one is missing", || async {
        let [answered, missing] = ["likes", SERVICES[6]].map(|name| unanswered(&users, name));
        match (answered.await.as_deref(), missing.await.as_deref()) {
            (Some("0"), Some("1")) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert_eq!(takes(&users, &ada.username).await, Err("409".to_owned()));
    answer::<6>(&probe, second).await;
    eventually("the name is free", || takes(&users, &ada.username)).await;
    nobody_is_waited_for(&users).await;
    // One that comes once more, of an account that is forgotten, and of one that never was.
    answer::<6>(&probe, second).await;
    let nobody = UserDeleted {
        user_id: 1_000_000,
        ..second.clone()
    };
    answer::<6>(&probe, &nobody).await;
    assert!(heard.try_recv().is_err(), "a third round is not needed");
}
