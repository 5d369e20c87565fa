//! What `users` tells other services, over the real broker.

use std::fmt::Debug;

use messaging::{
    Broker, Consumer, Event, declared,
    events::{UserFollowed, UserRegistered, UserUnfollowed},
};
use reqwest::Method;
use serde_json::Value;
use testkit::{PATIENCE, TestService, stores};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use users::Users;

use crate::helpers::{Backend, person, start_with};

crate::on_each_store![
    s2_14_a_registration_is_told_once,
    s2_17_s2_18_follows_are_told_in_order_and_only_when_something_changed,
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
    let settings = messaging::Settings {
        amqp_url: url.into(),
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
    (users, heard)
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
        let path = format!("/users/{verb}/{}", grace.username);
        users
            .call(Method::POST, &path, &ada.token, &Value::Null)
            .await
            .expect(200);
    }
    let (follower_id, followee_id) = (ada.id, grace.id);
    let followed = format!(
        "/users {:?}",
        UserFollowed {
            follower_id,
            followee_id
        }
    );
    let unfollowed = format!(
        "/users {:?}",
        UserUnfollowed {
            follower_id,
            followee_id
        }
    );
    let mut told = Vec::new();
    while told.len() < 3 {
        let event = heard.recv().await.unwrap();
        if !event.contains("Registered") {
            told.push(event);
        }
    }
    assert_eq!(told, [followed.clone(), unfollowed, followed]);
    assert!(heard.try_recv().is_err(), "nothing was told twice");
}
