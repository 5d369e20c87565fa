//! Rooms of movies (S3-19 to S3-25, D22, D23) and of car models (D10).

use std::time::Duration;

use live::Live;
use serde_json::json;
use testkit::{Signer, TestService, eventually, redis::Publisher};
use tokio::time::interval;

use crate::world::{Client, World};

#[tokio::test]
async fn s3_20_to_s3_24_a_room_is_told_who_joins_and_leaves() {
    let world = World::start();
    let (one, other) = (world.live(&[]).await, world.live(&[]).await);
    let token = one.token(7, "ada");
    let mut ada = Client::open(&one, "/ws/reviews", Some(&token)).await;
    let mut guest = Client::open(&other, "/", None).await;
    let place = json!({"user_id": "7", "room_id": "matrix"});
    ada.event("join_notification", place.clone()).await;
    let joined = |id: &str| json!({"event": "message", "data": {"message": format!("User {id} has joined the room matrix")}});
    assert_eq!(ada.heard().await, joined("7"));
    guest
        .event(
            "join_notification",
            json!({"user_id": "g", "room_id": "matrix"}),
        )
        .await;
    assert_eq!(ada.heard().await, joined("g"));
    assert_eq!(guest.heard().await, joined("g"));
    ada.event("leave_notification", place).await;
    for client in [&mut ada, &mut guest] {
        let left = client.heard().await;
        assert_eq!(left["event"], "message");
        assert_eq!(left["data"]["message"], "User 7 has left the room matrix");
    }
}

#[tokio::test]
async fn s3_25_a_review_reaches_its_room_and_no_other() {
    let world = World::start();
    let (one, other) = (world.live(&[]).await, world.live(&[]).await);
    let token = one.token(7, "ada");
    let mut ada = Client::open(&one, "/", Some(&token)).await;
    let mut guest = Client::open(&other, "/", None).await;
    for (client, user) in [(&mut ada, "7"), (&mut guest, "g")] {
        client
            .event(
                "join_notification",
                json!({"user_id": user, "room_id": "1"}),
            )
            .await;
        let joined = client.heard().await;
        assert!(
            joined["data"]["message"]
                .as_str()
                .unwrap()
                .starts_with(&format!("User {user} "))
        );
    }
    ada.heard().await;
    let review =
        |user: &str, room: &str| json!({"user_id": user, "room_id": room, "review_title": "Great"});
    ada.event("new_review", review("7", "2")).await;
    ada.event("new_review", review("7", "1")).await;
    for client in [&mut ada, &mut guest] {
        let told = client.heard().await;
        assert_eq!(told["data"]["message"], "User 7 added a new review: Great");
    }
    // D23: a review needs a token, and is one's own.
    ada.event("new_review", review("8", "1")).await;
    assert!(ada.error().await.contains("your own"));
    ada.event("join_notification", json!({"user_id": "8", "room_id": "1"}))
        .await;
    assert!(ada.error().await.contains("your own"));
    guest.event("new_review", review("7", "1")).await;
    assert!(guest.error().await.contains("token"));
    for bad in ["no json", "{}", r#"{"event":"shout","data":{}}"#] {
        guest.say(bad).await;
        guest.error().await;
    }
}

#[tokio::test]
async fn d23_a_guest_under_the_number_of_an_account_is_answered_alone() {
    let world = World::start();
    let live = world.live(&[]).await;
    let token = live.token(7, "ada");
    let mut ada = Client::open(&live, "/", Some(&token)).await;
    let mut guest = Client::open(&live, "/", None).await;
    let place = |user: &str| json!({"user_id": user, "room_id": "1"});
    let told = |event: &str| json!({"event": "message", "data": {"message": event}});
    ada.event("join_notification", place("7")).await;
    ada.heard().await;
    guest.event("join_notification", place("8")).await;
    let joined = told("User 8 has joined the room 1");
    assert_eq!(guest.heard().await, joined);
    // It listens.
    let review = json!({"user_id": "7", "room_id": "1", "review_title": "Great"});
    ada.event("new_review", review).await;
    let reviewed = told("User 7 added a new review: Great");
    assert_eq!(guest.heard().await, reviewed);
    guest.event("leave_notification", place("8")).await;
    assert_eq!(guest.heard().await, told("User 8 has left the room 1"));
    // The room was not told of a user who may be somebody else.
    assert_eq!(ada.heard().await, reviewed);
    ada.event("leave_notification", place("7")).await;
    assert_eq!(ada.heard().await, told("User 7 has left the room 1"));
}

#[tokio::test]
async fn d23_a_token_that_has_expired_still_reads_a_room() {
    let world = World::start();
    let live = world.live(&[]).await;
    let mut claims = Signer::claims(7, "ada");
    // Clocks may differ by five seconds.
    claims.exp = claims.iat + 2;
    let token = live.signer().sign(&claims);
    let mut ada = Client::open(&live, "/", Some(&token)).await;
    let review = json!({"user_id": "7", "room_id": "1", "review_title": "Great"});
    let place = json!({"user_id": "7", "room_id": "1"});
    let mut pace = interval(Duration::from_millis(200));
    let mut answer = serde_json::Value::Null;
    while answer != "The token has expired" {
        pace.tick().await;
        ada.event("join_notification", place.clone()).await;
        assert_eq!(ada.heard().await["event"], "message");
        ada.event("new_review", review.clone()).await;
        answer = ada.heard().await["data"]["message"].clone();
    }
    ada.event("join_notification", place.clone()).await;
    assert_eq!(ada.heard().await["event"], "message");
    ada.event("leave_notification", place).await;
    assert_eq!(ada.heard().await["event"], "message");
}

#[tokio::test]
async fn d10_what_a_slow_redis_brings_late_is_told_once() {
    let world = World::start();
    let (one, other) = (world.live(&[]).await, world.live(&[]).await);
    let token = one.token(7, "ada");
    let mut writer = Client::open(&one, "/ws/topics/golf", Some(&token)).await;
    let mut fan = Client::open(&other, "/ws/topics/golf", None).await;
    both_present(&one).await;
    let frozen = world.redis.freeze();
    writer.comment("during").await;
    assert_eq!(writer.heard().await["data"]["comment_text"], "during");
    drop(frozen);
    assert_eq!(fan.heard().await["data"]["comment_text"], "during");
    // The writer's instance has another connection by now, or it would tell its own alone.
    both_present(&one).await;
    writer.comment("after").await;
    for client in [&mut writer, &mut fan] {
        assert_eq!(client.heard().await["data"]["comment_text"], "after");
    }
}

/// Waits until an instance knows by Redis of one socket on each of the two.
async fn both_present(live: &TestService<Live>) {
    eventually("two are there", || async {
        let presence = live.get("/ws/presence/topics:golf").await;
        let (all, sockets) = (&presence.json["complete"], &presence.json["sockets"]);
        match (all.as_bool(), sockets.as_u64()) {
            (Some(true), Some(2)) => Ok(()),
            _ => Err(presence.text),
        }
    })
    .await;
}

#[tokio::test]
async fn d10_what_an_older_instance_says_is_told() {
    let world = World::start();
    let live = world.live(&[]).await;
    let mut fan = Client::open(&live, "/ws/topics/golf", None).await;
    for text in ["one", "two"] {
        let saying = json!({"room": "topics:golf", "frame": json!({"said": text}).to_string()});
        let saying = saying.to_string();
        eventually("it is heard", || async {
            let mut redis = Publisher::connect(&world.redis.url()).unwrap();
            match redis.say("live:rooms", saying.as_bytes()).unwrap() {
                0 => Err("nobody listens".to_owned()),
                _ => Ok(()),
            }
        })
        .await;
        assert_eq!(fan.heard().await["said"], text);
    }
}

#[tokio::test]
async fn d10_spellings_of_a_model_are_one_discussion() {
    let world = World::start();
    let live = world.live(&[]).await;
    let token = live.token(7, "ada");
    let mut fans = Client::open(&live, "/ws/topics/Golf%20GTI", None).await;
    let mut writer = Client::open(&live, "/ws/topics/golf%20gti", Some(&token)).await;
    writer.comment("Anybody here?").await;
    let said = fans.heard().await;
    assert_eq!(
        (&said["event"], &said["data"]["comment_text"]),
        (&json!("message"), &json!("Anybody here?"))
    );
    assert_eq!(
        (&said["data"]["user_id"], &said["data"]["username"]),
        (&json!(7), &json!("ada"))
    );
}
