//! Comments on a post (S0-11, S0-27, D8).

use futures_util::future::join_all;
use testkit::eventually;
use tokio_tungstenite::{
    connect_async,
    tungstenite::{client::IntoClientRequest as _, http::HeaderValue},
};

use crate::{
    socketio::Io,
    world::{Client, World, refused},
};

const PATH: &str = "/ws/posts/p/comments";

#[tokio::test]
async fn s0_11_everybody_on_a_post_gets_a_comment_the_writer_too() {
    let world = World::start();
    let (one, other) = (world.live(&[]).await, world.live(&[]).await);
    let token = one.token(7, "ada");
    let mut writer = Client::open(&one, PATH, Some(&token)).await;
    let mut here = Client::open(&one, PATH, None).await;
    let mut there = Client::open(&other, PATH, None).await;
    let mut elsewhere = Client::open(&one, "/ws/posts/q/comments", None).await;
    writer
        .say(r#"{"comment_text":"So true","user_id":99,"comment_id":"x","timestamp":"never"}"#)
        .await;
    for client in [&mut writer, &mut here, &mut there] {
        let comment = client.heard().await;
        assert_eq!(comment["comment_text"], "So true");
        // S0-27: the server says who, what and when.
        assert_eq!(
            (&comment["user_id"], &comment["comment_id"]),
            (&7.into(), &"p.1".into())
        );
        assert!(comment["timestamp"].as_str().unwrap().starts_with("20"));
        assert_eq!(comment.as_object().unwrap().len(), 4);
    }
    assert_eq!(world.discussions.texts("p"), ["So true"]);
    world.discussions.write("q", 1, "not for p");
    assert_eq!(elsewhere.texts(1).await, ["not for p"]);
}

#[tokio::test]
async fn the_longest_comment_is_taken_however_it_is_escaped() {
    let world = World::start();
    let live = world.live(&[]).await;
    let token = live.token(7, "ada");
    let mut writer = Client::open(&live, PATH, Some(&token)).await;
    let escaped = "\\ud83d\\ude00".repeat(2000);
    writer
        .say(format!("{{\"comment_text\":\"{escaped}\"}}"))
        .await;
    let text = "\u{1f600}".repeat(2000);
    assert_eq!(writer.texts(1).await, [text.as_str()]);
    let mut io = Io::connect(&live, serde_json::json!({"token": token})).await;
    assert_eq!(io.emit("join", "posts/p".into()).await.0["ok"], true);
    io.say(format!(
        "42[\"comment\",{{\"comment_text\":\"{escaped}\"}}]"
    ))
    .await;
    assert_eq!(writer.texts(1).await, [text.as_str()]);
    // A mark in front of it is no fault; a text of which nobody sees anything is none, and a list is no comment.
    writer.say("\u{feff}{\"comment_text\":\"marked\"}").await;
    assert_eq!(writer.texts(1).await, ["marked"]);
    for bad in [
        "{\"comment_text\":\"\u{200b}\u{3164}\"}",
        "[\"an array\"]",
        "[]",
    ] {
        writer.say(bad).await;
        assert!(!writer.error().await.is_empty(), "{bad}");
    }
}

#[tokio::test]
async fn s0_27_a_comment_made_by_rest_is_told_at_once() {
    let world = World::start();
    // Nobody looks: what is heard was told.
    let live = world.live(&["--look-millis=60000"]).await;
    let mut client = Client::open(&live, PATH, None).await;
    for text in ["one", "two", "three"] {
        world.discussions.tell("p", 1, text);
        assert_eq!(client.texts(1).await, [text]);
    }
}

#[tokio::test]
async fn d8_a_comment_that_nobody_told_of_reaches_the_room() {
    let world = World::start();
    let live = world.live(&["--look-millis=50"]).await;
    let mut client = Client::open(&live, PATH, None).await;
    world.discussions.write("p", 1, "one");
    world.discussions.write("p", 1, "");
    world.discussions.write("p", 1, "three");
    assert_eq!(client.texts(2).await, ["one", "three"]);
}

#[tokio::test]
async fn d8_what_was_missed_comes_first_and_nothing_twice() {
    let world = World::start();
    let live = world.live(&[]).await;
    for number in 1..=450 {
        world.discussions.write("p", 1, &number.to_string());
    }
    let token = live.token(7, "ada");
    let path = format!("{PATH}?after=p.3");
    let mut client = Client::open(&live, &path, Some(&token)).await;
    client.comment("451").await;
    let expected: Vec<String> = (4..=451).map(|number: u32| number.to_string()).collect();
    assert_eq!(client.texts(448).await, expected);
    for bad in ["x", "q.1", "p.x", "p.-1"] {
        let path = format!("{PATH}?after={bad}");
        assert_eq!(
            refused(Client::try_open(&live, &path, None).await),
            400,
            "{bad}"
        );
    }
    let none = "/ws/posts/none/comments";
    assert_eq!(refused(Client::try_open(&live, none, None).await), 404);
}

#[tokio::test]
async fn d8_many_who_come_back_together_are_told_from_one_look_at_the_store() {
    let world = World::start();
    let expected: Vec<String> = (1..=60).map(|number: u32| number.to_string()).collect();
    for text in &expected {
        world.discussions.write("p", 1, text);
    }
    // Another instance ended, and they all have the same 20.
    let live = world.live(&["--look-millis=60000"]).await;
    let path = format!("{PATH}?after=p.20");
    let back = (0..200).map(|_| Client::open(&live, &path, None));
    let mut clients = join_all(back).await;
    for client in &mut clients {
        assert_eq!(client.texts(40).await, expected[20..]);
    }
    // How far the discussion goes, and what is missing.
    assert_eq!(world.discussions.reads(), 2);
}

#[tokio::test]
async fn d8_what_was_missed_is_told_as_it_is_now() {
    let world = World::start();
    let live = world.live(&["--look-millis=60000"]).await;
    let mut there = Client::open(&live, PATH, None).await;
    for text in ["kind", "rash", "wrong"] {
        world.discussions.tell("p", 1, text);
    }
    assert_eq!(there.texts(3).await, ["kind", "rash", "wrong"]);
    world.discussions.change("p", 2, "calm");
    world.discussions.change("p", 3, "");
    // What is said behind it was told behind it.
    world.discussions.tell("p", 1, "last");
    assert_eq!(there.texts(1).await, ["last"]);
    let mut back = Client::open(&live, &format!("{PATH}?after=0"), None).await;
    assert_eq!(back.texts(3).await, ["kind", "calm", "last"]);
}

#[tokio::test]
async fn d8_anybody_listens_and_a_token_writes() {
    let world = World::start();
    let live = world.live(&[]).await;
    let token = live.token(7, "ada");
    let mut nobody = Client::open(&live, PATH, None).await;
    nobody.comment("let me").await;
    assert!(nobody.error().await.contains("token"));
    let in_query = format!("{PATH}?access_token={token}");
    let mut by_query = Client::open(&live, &in_query, None).await;
    by_query.comment("by query").await;
    assert_eq!(by_query.texts(1).await, ["by query"]);
    let url = format!("ws://{}{PATH}", live.address);
    let mut request = url.into_client_request().unwrap();
    let protocols = HeaderValue::try_from(format!("bearer, {token}")).unwrap();
    request
        .headers_mut()
        .insert("sec-websocket-protocol", protocols);
    let (stream, answer) = connect_async(request).await.unwrap();
    assert_eq!(answer.headers()["sec-websocket-protocol"], "bearer");
    let mut by_protocol = Client { stream };
    by_protocol.comment("by protocol").await;
    assert_eq!(nobody.texts(2).await, ["by query", "by protocol"]);
    let forged = Client::try_open(&live, PATH, Some("no.token.this")).await;
    assert_eq!(refused(forged), 401);
}

#[tokio::test]
async fn d8_bad_words_are_explained_and_the_socket_stays() {
    let world = World::start();
    let live = world.live(&[]).await;
    let token = live.token(7, "ada");
    let mut client = Client::open(&live, PATH, Some(&token)).await;
    for bad in [
        "",
        "no json",
        "{}",
        r#"{"comment_text":1}"#,
        r#"{"comment_text":"  "}"#,
    ] {
        client.say(bad).await;
        client.error().await;
    }
    client.comment(&"x".repeat(2_001)).await;
    client.error().await;
    world.discussions.set_away(true);
    client.comment("lost?").await;
    assert!(client.error().await.contains("try again"));
    world.discussions.set_away(false);
    client.comment("fine").await;
    assert_eq!(client.texts(1).await, ["fine"]);
}

#[tokio::test]
async fn s0_16_redis_away_loses_no_comment() {
    let mut world = World::start();
    let flags = ["--look-millis=100"];
    let (one, other) = (world.live(&flags).await, world.live(&flags).await);
    let token = one.token(7, "ada");
    let mut writer = Client::open(&one, PATH, Some(&token)).await;
    let mut there = Client::open(&other, PATH, None).await;
    writer.comment("1").await;
    assert_eq!(there.texts(1).await, ["1"]);
    world.redis.kill();
    for text in ["2", "3"] {
        writer.comment(text).await;
    }
    assert_eq!(there.texts(2).await, ["2", "3"]);
    world.redis.restart();
    writer.comment("4").await;
    assert_eq!(there.texts(1).await, ["4"]);
    assert_eq!(writer.texts(4).await, ["1", "2", "3", "4"]);
}

#[tokio::test]
async fn s0_16_who_is_in_a_room_is_known_on_every_instance() {
    let world = World::start();
    let (one, other) = (world.live(&[]).await, world.live(&[]).await);
    let token = one.token(7, "ada");
    let writer = Client::open(&one, PATH, Some(&token)).await;
    let _reader = Client::open(&other, PATH, None).await;
    let present = |sockets: usize| {
        let one = &one;
        async move {
            eventually("presence", || async {
                let reply = one.get("/ws/presence/posts:p").await;
                let shown = reply.expect(200).clone();
                if shown["sockets"] == sockets {
                    Ok(shown)
                } else {
                    Err(shown.to_string())
                }
            })
            .await
        }
    };
    assert_eq!(present(2).await["user_ids"], serde_json::json!([7]));
    drop(writer);
    assert_eq!(present(1).await["user_ids"], serde_json::json!([]));
    one.get("/ws/presence/kitchen:1").await.problem(404);
}
