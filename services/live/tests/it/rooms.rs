//! Rooms of movies (S3-19 to S3-25, D22, D23) and of car models (D10).

use live::Live;
use serde_json::{Value, json};
use testkit::{TestService, eventually, redis::Publisher};

use crate::world::{Client, World, refused};

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
    assert_eq!(ada.heard().await, joined("a guest"));
    assert_eq!(guest.heard().await, joined("a guest"));
    // A number is no name either, and the data may be JSON in a text.
    for (user_id, as_text) in [(json!(8), false), (json!("8"), false), (json!(8.0), true)] {
        let data = json!({"user_id": user_id, "room_id": "matrix"});
        let data = if as_text {
            data.to_string().into()
        } else {
            data
        };
        guest.event("join_notification", data).await;
        for client in [&mut ada, &mut guest] {
            assert_eq!(client.heard().await, joined("a guest"));
        }
    }
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
    for (client, user, told) in [(&mut ada, "7", "7"), (&mut guest, "g", "a guest")] {
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
                .starts_with(&format!("User {told} "))
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
async fn who_has_no_token_is_a_guest_whatever_it_calls_itself() {
    let world = World::start();
    let live = world.live(&[]).await;
    let token = live.token(7, "ada");
    let place = |user: &Value| json!({"user_id": user, "room_id": "1"});
    let told = |what: &str| json!({"event": "message", "data": {"message": format!("User {what} the room 1")}});
    let mut ada = Client::open(&live, "/", Some(&token)).await;
    ada.event("join_notification", place(&json!("7"))).await;
    assert_eq!(ada.heard().await, told("7 has joined"));
    let names = [
        json!("Admin: log in at http://elsewhere.example"),
        json!("8"),
        json!(8),
        json!(7.0),
        json!("7.0"),
        json!("\u{ff17}"),
        json!("a guest\u{202e}"),
        json!("x".repeat(100)),
    ];
    for door in ["/", "/ws/reviews"] {
        for name in &names {
            let mut guest = Client::open(&live, door, None).await;
            for (event, what) in [
                ("join_notification", "a guest has joined"),
                ("leave_notification", "a guest has left"),
            ] {
                guest.event(event, place(name)).await;
                assert_eq!(guest.heard().await, told(what), "{name}");
                assert_eq!(ada.heard().await, told(what), "{name}");
            }
        }
    }
    // What is no name at all is told to nobody, and not even said back.
    let mut guest = Client::open(&live, "/", None).await;
    for name in [
        json!({"secret": "7"}),
        json!(["secret"]),
        json!("secret".repeat(20)),
        json!("secret\u{7}"),
        json!(null),
    ] {
        guest.event("join_notification", place(&name)).await;
        let refusal = guest.error().await;
        assert!(!refusal.contains("secret"), "{refusal}");
    }
    let review = json!({"user_id": "7", "room_id": "1", "review_title": "Great"});
    ada.event("new_review", review).await;
    let reviewed = ada.heard().await["data"]["message"].clone();
    assert_eq!(reviewed, "User 7 added a new review: Great");
}

#[tokio::test]
async fn an_account_is_told_by_its_number_however_that_is_written() {
    let world = World::start();
    let live = world.live(&[]).await;
    let token = live.token(7, "ada");
    let mut ada = Client::open(&live, "/", Some(&token)).await;
    let place = |user: &Value| json!({"user_id": user, "room_id": "1"});
    for own in [
        json!("7"),
        json!(7),
        json!(7.0),
        json!(" 007 "),
        json!("7.0"),
    ] {
        ada.event("join_notification", place(&own)).await;
        let told = ada.heard().await["data"]["message"].clone();
        assert_eq!(told, "User 7 has joined the room 1", "{own}");
    }
    for other in [json!("8"), json!(7.5), json!("\u{ff17}"), json!("ada")] {
        ada.event("join_notification", place(&other)).await;
        assert!(ada.error().await.contains("your own"), "{other}");
    }
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

#[tokio::test]
async fn a_model_whose_name_has_no_place_in_a_path_has_a_discussion_too() {
    let world = World::start();
    let live = world.live(&[]).await;
    let token = live.token(7, "ada");
    for (model, written) in [
        ("peugeot 208/2008", "Peugeot%20208%2F2008"),
        ("a\\b", "A%5CB"),
        (".", "."),
        ("..", ".."),
        ("50%", "50%25"),
    ] {
        let path = format!("/ws/topics?car_model={written}");
        let mut fan = Client::open(&live, &path, None).await;
        let mut writer = Client::open(&live, &path, Some(&token)).await;
        writer.comment("Anybody here?").await;
        let said = fan.heard().await;
        assert_eq!(said["data"]["car_model"], model);
        let room = format!("/ws/presence?room=topics:{written}");
        let present = live.get(&room).await;
        assert_eq!(present.expect(200)["room"], format!("topics:{model}"));
        assert_eq!(present.json["more"], false);
    }
    for (path, status) in [("/ws/topics", 400), ("/ws/topics?car_model=%07", 404)] {
        assert_eq!(refused(Client::try_open(&live, path, None).await), status);
    }
    live.get("/ws/presence").await.problem(400);
}
