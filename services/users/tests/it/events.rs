//! What `users` tells other services, over the real broker.

use std::fmt::Debug;

use messaging::{
    Broker, Consumer, Event, declared,
    events::{UserFollowed, UserRegistered, UserUnfollowed},
};
use reqwest::Method;
use sea_orm::{ConnectionTrait as _, Database};
use serde_json::Value;
use testkit::{PATIENCE, TestService, stores};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use users::Users;

use crate::helpers::{Backend, Person, person, start_with, store_flags, store_url};

crate::on_each_store![
    s2_14_a_registration_is_told_once,
    s2_17_s2_18_follows_are_told_in_order_and_only_when_something_changed,
    a_clock_that_is_set_back_changes_no_order,
];

/// Sends on what a consumer of all events of `users` gets.
fn on<E: Event + Debug>(consumer: Consumer, sender: &UnboundedSender<String>) -> Consumer {
    let sender = sender.clone();
    consumer.on::<E, _, _>(move |event| {
        let told = format!("{} {:?}", event.source, event.data);
        let _ = sender.send(told);
        async { Ok(()) }
    })
}

/// A service that publishes, and what a listener hears of it.
async fn listened_to(backend: Backend) -> (TestService<Users>, UnboundedReceiver<String>) {
    let url = stores::amqp();
    let users = start_with(backend, &["--amqp-url", &url]).await;
    let heard = listen(&users, url).await;
    (users, heard)
}

async fn listen(users: &TestService<Users>, amqp: String) -> UnboundedReceiver<String> {
    let settings = messaging::Settings {
        amqp_url: amqp.into(),
        messaging_failpoint: None,
    };
    let broker = Broker::new("probe", &settings, &users.context).unwrap();
    let (sender, heard) = unbounded_channel();
    let consumer = on::<UserRegistered>(Consumer::new("all"), &sender);
    let consumer = on::<UserFollowed>(consumer, &sender);
    on::<UserUnfollowed>(consumer, &sender)
        .start(&broker, &users.context)
        .await;
    declared(&broker, "probe.all", PATIENCE).await.unwrap();
    heard
}

async fn s2_14_a_registration_is_told_once(backend: Backend) {
    let (users, mut heard) = listened_to(backend).await;
    let (ada, grace) = (person(&users).await, person(&users).await);
    for person in [ada, grace] {
        let event = UserRegistered {
            user_id: person.id,
            username: person.username.clone(),
            name: person.username,
            email: person.email,
        };
        assert_eq!(heard.recv().await, Some(format!("/users {event:?}")));
    }
}

async fn s2_17_s2_18_follows_are_told_in_order_and_only_when_something_changed(backend: Backend) {
    let (users, mut heard) = listened_to(backend).await;
    let (ada, grace) = (person(&users).await, person(&users).await);
    for verb in ["follow", "follow", "unfollow", "unfollow", "follow"] {
        change(&users, verb, &ada, &grace).await;
    }
    let told = changes(&mut heard, 3).await;
    let [first, second, third] = &told[..] else {
        panic!("{told:?}")
    };
    let versions = [first, second, third].map(|told| version(told));
    assert!(
        versions.is_sorted_by(|one, next| one < next),
        "{versions:?}"
    );
    let (follower_id, followee_id) = (ada.id, grace.id);
    let followed = |version| {
        let event = UserFollowed {
            follower_id,
            followee_id,
            version: Some(version),
        };
        format!("/users {event:?}")
    };
    let unfollowed = UserUnfollowed {
        follower_id,
        followee_id,
        version: Some(versions[1]),
    };
    assert_eq!(first, &followed(versions[0]));
    assert_eq!(second, &format!("/users {unfollowed:?}"));
    assert_eq!(third, &followed(versions[2]));
    assert!(heard.try_recv().is_err(), "nothing was told twice");
}

async fn a_clock_that_is_set_back_changes_no_order(backend: Backend) {
    let amqp = stores::amqp();
    let mut flags = store_flags(backend).await;
    flags.extend(["--amqp-url".to_owned(), amqp.clone()]);
    let all: Vec<&str> = flags.iter().map(String::as_str).collect();
    let users = start_with(Backend::Sqlite, &all).await;
    let mut heard = listen(&users, amqp).await;
    let (ada, grace) = (person(&users).await, person(&users).await);
    change(&users, "follow", &ada, &grace).await;
    let told = changes(&mut heard, 1).await;
    // As if the clock had been an hour ahead until now.
    let ahead = version(&told[0]) + 3_600_000_000;
    let store = flags[..flags.len() - 2].to_vec();
    let connection = Database::connect(store_url(&users, &store)).await.unwrap();
    let sql = format!("UPDATE follow_versions SET version = {ahead}");
    connection.execute_unprepared(&sql).await.unwrap();
    change(&users, "unfollow", &ada, &grace).await;
    change(&users, "follow", &ada, &grace).await;
    let told = changes(&mut heard, 2).await;
    let versions: Vec<i64> = told.iter().map(|told| version(told)).collect();
    assert_eq!(versions, [ahead + 1, ahead + 2]);
}

async fn change(users: &TestService<Users>, verb: &str, who: &Person, whom: &Person) {
    let path = format!("/users/{verb}/{}", whom.username);
    let changed = users.call(Method::POST, &path, &who.token, &Value::Null);
    changed.await.expect(200);
}

/// The next so many changes of whom somebody follows.
async fn changes(heard: &mut UnboundedReceiver<String>, number: usize) -> Vec<String> {
    let mut told = Vec::new();
    while told.len() < number {
        let event = heard.recv().await.unwrap();
        if !event.contains("Registered") {
            told.push(event);
        }
    }
    told
}

fn version(told: &str) -> i64 {
    let (_, version) = told.split_once("version: Some(").unwrap();
    let (version, _) = version.split_once(')').unwrap();
    version.parse().unwrap()
}
