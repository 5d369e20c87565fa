//! Rooms of movies (S3-19 to S3-25, D22, D23) and of car models (D10).

use serde_json::json;

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
