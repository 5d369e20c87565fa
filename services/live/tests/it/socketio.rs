//! Socket.IO, by its packets: what no good client sends. Good ones are in `tests/e2e`.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use live::Live;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Reply, TestService, send};
use tokio_tungstenite::tungstenite::Message;

use crate::world::{Client, World, refused};

pub const PATH: &str = "/socket.io/?EIO=4&transport=websocket";
pub const POLL: &str = "/socket.io/?EIO=4&transport=polling";

/// A client that sees packets.
pub struct Io(pub Client);

impl Io {
    /// Opened, and nothing said.
    async fn open(live: &TestService<Live>) -> Self {
        let mut io = Self(Client::open(live, PATH, None).await);
        let open = io.heard().await;
        let open: Value = serde_json::from_str(open.strip_prefix('0').unwrap()).unwrap();
        assert_eq!(
            (&open["upgrades"], &open["maxPayload"]),
            (&json!([]), &json!(32_768))
        );
        io
    }

    /// Let in.
    pub async fn connect(live: &TestService<Live>, auth: Value) -> Self {
        let mut io = Self::open(live).await;
        io.say(format!("40{auth}")).await;
        let connected = io.heard().await;
        assert!(connected.starts_with("40{\"sid\":"), "{connected}");
        io
    }

    pub async fn say(&mut self, packet: impl Into<String>) {
        self.0.say(packet).await;
    }

    /// Sends an event and waits for its answer; what came before that.
    pub async fn emit(&mut self, name: &str, data: Value) -> (Value, Vec<String>) {
        self.say(format!("427{}", json!([name, data]))).await;
        let mut before = Vec::new();
        loop {
            let packet = self.heard().await;
            if let Some(answer) = packet.strip_prefix("437") {
                let answer: Value = serde_json::from_str(answer).unwrap();
                return (answer[0].clone(), before);
            }
            before.push(packet);
        }
    }

    pub async fn heard(&mut self) -> String {
        loop {
            let next = tokio::time::timeout(Duration::from_secs(45), self.0.stream.next());
            match next.await.expect("nothing came in time") {
                Some(Ok(Message::Text(text))) if text.as_str() == "2" => {}
                Some(Ok(Message::Text(text))) => return text.to_string(),
                other => panic!("{other:?} instead of a packet"),
            }
        }
    }

    /// What the event `error` says, which comes next.
    pub async fn error(&mut self) -> String {
        let event = self.event().await;
        assert_eq!(event[0], "error", "{event}");
        event[1]["message"].as_str().unwrap().to_owned()
    }

    async fn event(&mut self) -> Value {
        let packet = self.heard().await;
        let event = packet
            .strip_prefix("42")
            .unwrap_or_else(|| panic!("{packet}"));
        serde_json::from_str(event).unwrap()
    }
}

pub async fn post(live: &TestService<Live>, sid: &str, payload: impl Into<String>) -> Reply {
    let url = format!("http://{}{POLL}&sid={sid}", live.address);
    let request = reqwest::Client::new().request(Method::POST, url);
    let request = request.header("content-type", "text/plain;charset=UTF-8");
    send(request.body(payload.into())).await
}

/// The id of a session that began.
pub fn sid(reply: &Reply) -> String {
    assert_eq!(reply.status, 200, "{}", reply.text);
    let open: Value = serde_json::from_str(reply.text.strip_prefix('0').unwrap()).unwrap();
    open["sid"].as_str().unwrap().to_owned()
}

/// Begins as clients do that were not told to begin with a WebSocket.
pub async fn knock(live: &TestService<Live>) -> String {
    let reply = live.get(POLL).await;
    let id = sid(&reply);
    let open: Value = serde_json::from_str(reply.text.strip_prefix('0').unwrap()).unwrap();
    assert_eq!(open["upgrades"], json!(["websocket"]));
    id
}

#[tokio::test]
async fn d23b_each_side_hears_the_same_as_the_other() {
    let world = World::start();
    let (one, other) = (world.live(&[]).await, world.live(&[]).await);
    let token = one.token(7, "ada");
    let others = other.token(7, "ada");
    let mut plain = Client::open(&other, "/ws/posts/p/comments", Some(&others)).await;
    let mut io = Io::connect(&one, json!({"token": token})).await;
    assert_eq!(
        io.emit("join", json!("posts/p")).await.0,
        json!({"ok": true})
    );
    for text in ["1", "2"] {
        let said = json!({"room": "posts/p", "comment_text": text, "user_id": 3});
        let (answer, before) = io.emit("comment", said).await;
        assert_eq!(answer, json!({"ok": true}));
        // A comment is told before it is answered for, or just after it.
        let event = match before.first() {
            Some(packet) => serde_json::from_str(&packet[2..]).unwrap(),
            None => io.event().await,
        };
        let frame = plain.heard().await;
        assert_eq!(event, json!(["comment", frame]));
        assert_eq!(
            (&frame["user_id"], &frame["comment_text"]),
            (&json!(7), &json!(text))
        );
    }
    plain.comment("3").await;
    assert_eq!(io.event().await, json!(["comment", plain.heard().await]));
    // What was missed comes before the answer.
    let mut back = Io::connect(&other, json!({})).await;
    let place = json!({"room": "posts/p", "after": "p.1"});
    let (answer, missed) = back.emit("join", place).await;
    assert_eq!(answer, json!({"ok": true}));
    assert!(
        missed[0].contains("p.2") && missed[1].contains("p.3"),
        "{missed:?}"
    );
    // Presence counts all of them.
    testkit::eventually("three are present", || async {
        let shown = one.get("/ws/presence/posts:p").await;
        let shown = shown.expect(200).clone();
        if shown["sockets"] == 3 && shown["user_ids"] == json!([7]) {
            Ok(())
        } else {
            Err(shown.to_string())
        }
    })
    .await;
}

#[tokio::test]
async fn d23b_movies_and_topics_share_a_connection() {
    let world = World::start();
    let live = world.live(&[]).await;
    let token = live.token(7, "ada");
    let mut movies = Client::open(&live, "/", None).await;
    let place = json!({"user_id": "g", "room_id": "1"});
    movies.event("join_notification", place).await;
    movies.heard().await;
    let mut io = Io::connect(&live, json!({"token": token})).await;
    io.say(r#"42["join_notification",{"user_id":"7","room_id":"1"}]"#)
        .await;
    let joined = json!({"message": "User 7 has joined the room 1"});
    assert_eq!(io.event().await, json!(["message", joined]));
    assert_eq!(movies.heard().await["data"], joined);
    io.say(r#"42["new_review",{"user_id":"7","room_id":"1","review_title":"Great"}]"#)
        .await;
    assert_eq!(
        io.event().await[1]["message"],
        "User 7 added a new review: Great"
    );
    let foreign = json!({"user_id": "8", "room_id": "1", "review_title": "Great"});
    let (answer, _) = io.emit("new_review", foreign).await;
    assert_eq!(
        answer,
        json!({"ok": false, "message": "`user_id` must be your own"})
    );
    io.emit("join", json!("topics/Golf  GTI")).await;
    io.say(r#"42["message",{"comment_text":"Anybody?"}]"#).await;
    let said = io.event().await;
    assert_eq!(said[0], "message");
    assert_eq!(
        (&said[1]["comment_text"], &said[1]["car_model"]),
        (&json!("Anybody?"), &json!("golf gti"))
    );
    // A guest is one here, too.
    let mut guest = Io::connect(&live, json!({})).await;
    guest
        .say(r#"42["join_notification",{"user_id":"Admin","room_id":"1"}]"#)
        .await;
    let came = json!(["message", {"message": "User a guest has joined the room 1"}]);
    assert_eq!(guest.event().await, came);
    assert_eq!(io.event().await, came);
    // Who leaves hears so, and then nothing more.
    let (answer, before) = io
        .emit(
            "leave_notification",
            json!({"user_id": "7", "room_id": "1"}),
        )
        .await;
    assert_eq!(answer, json!({"ok": true}));
    assert_eq!(
        before,
        [r#"42["message",{"message":"User 7 has left the room 1"}]"#]
    );
    io.emit("leave", json!("topics/golf gti")).await;
    let (answer, _) = io.emit("leave", json!("topics/golf gti")).await;
    assert_eq!(answer["ok"], false);
}

#[tokio::test]
async fn d23b_bad_events_are_answered_and_the_connection_stays() {
    let world = World::start();
    let live = world.live(&["--messages-per-second=1000"]).await;
    let mut io = Io::connect(&live, json!({})).await;
    for bad in [
        "42",
        "42[]",
        "42[1]",
        "42{}",
        "42[\"shout\"]",
        "42[\"join\"]",
        "42[\"join\",\"reviews/1\"]",
        "42[\"join\",{\"room\":7}]",
        "42[\"join\",{\"room\":\"posts/p\",\"after\":\"other.1\"}]",
        "42[\"join\",\"posts/none\"]",
        "42[\"leave\",\"posts/p\"]",
        "42[\"comment\",{}]",
        "42[\"comment\",{\"comment_text\":\"nobody hears\"}]",
        "42/admin,[\"join\",\"posts/p\"]",
        "42[\"join_notification\",{}]",
        "451-[\"x\",{\"_placeholder\":true,\"num\":0}]",
        "47",
        "4",
        "9",
        "hello",
        "é",
        "{\"event\":\"join_notification\",\"data\":{}}",
        "0{}",
        "44{}",
    ] {
        io.say(bad).await;
        let event = io.event().await;
        assert_eq!(event[0], "error", "{bad}: {event}");
        assert!(event[1]["message"].is_string(), "{event}");
    }
    io.0.stream
        .send(Message::Binary(vec![4, 2].into()))
        .await
        .unwrap();
    assert_eq!(io.event().await[0], "error");
    io.say("40/admin,").await;
    assert!(io.heard().await.starts_with("44/admin,"));
    // What needs no answer.
    for quiet in ["40", "3", "41/admin,", "431[1]"] {
        io.say(quiet).await;
    }
    assert_eq!(io.emit("join", json!("posts/p")).await.0["ok"], true);
    let (answer, _) = io.emit("comment", json!({"comment_text": "x"})).await;
    assert_eq!(
        answer,
        json!({"ok": false, "message": "A token is needed to write"})
    );
    let (answer, _) = io.emit("join", json!("posts/p")).await;
    assert_eq!(answer["ok"], false);
}

#[tokio::test]
async fn d23b_who_does_not_connect_properly_is_sent_away() {
    let world = World::start();
    let live = world.live(&[]).await;
    for bad in ["hello", "42[\"join\",\"posts/p\"]", "5", "2probe", "451-[]"] {
        let mut io = Io::open(&live).await;
        io.say(bad).await;
        assert_eq!(io.0.closed().await, 1002, "{bad}");
    }
    let mut many = Io::open(&live).await;
    for _ in 0..20 {
        many.say("40/admin,").await;
    }
    assert_eq!(many.0.closed().await, 1002);
    let mut big = Io::open(&live).await;
    let _ = big
        .0
        .stream
        .send(Message::Text(format!("40{}", "x".repeat(40_000)).into()))
        .await;
    assert_eq!(big.0.closed().await, 1009);
    // Who it is may be said in another way: that is told, and the client does not come back by itself.
    for auth in [
        "{\"token\":5}",
        "{\"token\":true}",
        "\"a text\"",
        "[1]",
        "{\"token\":[]}",
    ] {
        let mut io = Io::open(&live).await;
        io.say(format!("40{auth}")).await;
        let refusal = io.heard().await;
        let refusal: Value = serde_json::from_str(refusal.strip_prefix("44").unwrap()).unwrap();
        assert_eq!(
            refusal["message"],
            "`auth` must be an object with a text `token`"
        );
        io.say("40{\"token\":null}").await;
        assert!(
            io.heard().await.starts_with("40"),
            "the socket is open still"
        );
    }
    // A bad token is told, and another may follow.
    let mut io = Io::open(&live).await;
    io.say(r#"40{"token":"a.b.c"}"#).await;
    let refusal = io.heard().await;
    let refusal: Value = serde_json::from_str(refusal.strip_prefix("44").unwrap()).unwrap();
    assert_eq!(
        (&refusal["message"], &refusal["data"]["status"]),
        (&json!("The token is not valid"), &json!(401))
    );
    let token = format!("Bearer {}", live.token(7, "ada"));
    io.say(format!("40{}", json!({"token": token}))).await;
    assert!(io.heard().await.starts_with("40"));
}

#[tokio::test]
async fn d23b_limits_are_those_of_plain_sockets() {
    let world = World::start();
    let live = world
        .live(&["--messages-per-second=1", "--sockets-per-user=1"])
        .await;
    let token = live.token(7, "ada");
    let mut io = Io::connect(&live, json!({"token": token})).await;
    let mut second = Io::open(&live).await;
    second.say(format!("40{}", json!({"token": token}))).await;
    let refusal = second.heard().await;
    assert!(
        refusal.starts_with("44") && refusal.contains("429"),
        "{refusal}"
    );
    let plain = Client::try_open(&live, "/ws/reviews", Some(&token)).await;
    assert_eq!(refused(plain), 429);
    // A flood of messages, and one of what is no message.
    for _ in 0..300 {
        let _ = io.0.stream.send(Message::Text("42[\"x\"]".into())).await;
    }
    assert_eq!(io.0.closed().await, 1008);
    let mut io = Io::connect(&live, json!({})).await;
    for _ in 0..300 {
        let _ = io.0.stream.send(Message::Text("3".into())).await;
    }
    assert_eq!(io.0.closed().await, 1008);
}

#[tokio::test]
async fn d23b_an_instance_that_ends_says_so() {
    let world = World::start();
    let live = world.live(&[]).await;
    let mut inside = Io::connect(&live, json!({})).await;
    let mut outside = Io::open(&live).await;
    let ending = tokio::spawn(live.stop());
    assert_eq!(inside.0.closed().await, 1012);
    assert_eq!(outside.0.closed().await, 1012);
    ending.await.unwrap();
}

#[tokio::test]
async fn d23b_requests_before_the_websocket_may_reach_any_instance() {
    let world = World::start();
    let (one, other) = (world.live(&[]).await, world.live(&[]).await);
    let token = one.token(7, "ada");
    let sid = knock(&one).await;
    let connect = format!("40{}\u{1e}40/admin,", json!({"token": token}));
    let kept = post(&other, &sid, connect).await;
    assert_eq!((kept.status, kept.text.as_str()), (200, "ok"));
    assert_eq!(other.get(&format!("{POLL}&sid={sid}")).await.text, "6");
    let mut io = Io(Client::open(&one, &format!("{PATH}&sid={sid}"), None).await);
    io.say("2probe").await;
    assert_eq!(io.heard().await, "3probe");
    io.say("5").await;
    assert!(io.heard().await.starts_with("40{\"sid\""));
    assert!(io.heard().await.starts_with("44/admin,"));
    io.emit("join", json!("posts/p")).await;
    let (answer, _) = io.emit("comment", json!({"comment_text": "in"})).await;
    assert_eq!(answer["ok"], true);
    assert_eq!(world.discussions.texts("p"), ["in"]);
    // Once, and nobody else.
    post(&other, &sid, "40").await.problem(400);
    let again = Client::try_open(&other, &format!("{PATH}&sid={sid}"), None).await;
    assert_eq!(refused(again), 400);
}

#[tokio::test]
async fn d23b_the_door_is_no_store() {
    let mut world = World::start();
    let live = world.live(&[]).await;
    for (query, status) in [
        ("", 400),
        ("?EIO=3&transport=polling", 400),
        ("?EIO=4&transport=websocket", 400),
        ("?EIO=4&transport=polling&sid=x", 400),
        (
            "?EIO=4&transport=polling&sid=0123456789abcdef0123456789abcdef",
            400,
        ),
        ("?EIO=4&transport=polling&access_token=a.b.c", 401),
    ] {
        live.get(&format!("/socket.io/{query}"))
            .await
            .problem(status);
    }
    let sid = knock(&live).await;
    post(&live, &sid, "4".repeat(9_000)).await.problem(413);
    for _ in 0..8 {
        post(&live, &sid, "40/x,").await;
    }
    post(&live, &sid, "40/x,").await.problem(429);
    post(&live, &sid, "40").await.problem(400);
    let sid = knock(&live).await;
    post(&live, &sid, "1").await;
    live.get(&format!("{POLL}&sid={sid}")).await.problem(400);
    world.redis.kill();
    live.get(POLL).await.problem(503);
    Io::connect(&live, json!({})).await;
}
