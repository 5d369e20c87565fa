//! Claim: clients of Socket.IO, as npm has it and set up as they come, are in the same rooms as
//! everybody else, whichever instances their requests reach.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Mesh, SocketIo, eventually, mesh::Person};

use crate::live::{bearer, heard, open, post, say, texts};

/// A client that is let in.
async fn client(options: &Value) -> SocketIo {
    let mut client = SocketIo::open(Mesh::current().address("ingress"), options);
    let connected = client.next().await;
    assert_eq!(connected, json!(["connect", "websocket"]), "{options}");
    client
}

fn auth(person: &Person) -> Value {
    json!({ "auth": { "token": person.token } })
}

async fn comments(client: &mut SocketIo, number: usize) -> Vec<String> {
    let mut texts = Vec::new();
    while texts.len() < number {
        let comment = client.until("comment").await;
        texts.push(comment[1]["comment_text"].as_str().unwrap().to_owned());
    }
    texts
}

/// What happens to who is not let in: the words, the status, and whether it will try again.
async fn refused(url: &str, options: &Value) -> (String, Value, bool) {
    let error = SocketIo::open(url, options).until("connect_error").await;
    let words = error[1].as_str().unwrap().to_owned();
    (
        words,
        error[2]["status"].clone(),
        error[3].as_bool().unwrap(),
    )
}

#[tokio::test]
async fn s0_28_comments_are_the_same_for_both_kinds_of_client() {
    let mesh = Mesh::current();
    let (ada, ben) = (mesh.person().await, mesh.person().await);
    let id = post(&ada, "Zoe").await;
    let room = format!("posts/{id}");
    let mut by_default = client(&auth(&ada)).await;
    let mut by_socket = auth(&ben);
    by_socket["transports"] = json!(["websocket"]);
    let mut by_socket = client(&by_socket).await;
    let path = format!("/ws/posts/{id}/comments");
    let mut plain = open(&path, &bearer(&ada)).await.unwrap();
    for io in [&mut by_default, &mut by_socket] {
        assert_eq!(io.join(&room).await, json!({"ok": true}));
    }
    for round in 0..5 {
        let said = |who: &str| json!({"room": room, "comment_text": format!("{who} {round}")});
        by_default.emit("comment", said("default")).await;
        by_socket.emit("comment", said("socket")).await;
        say(&mut plain, said("plain")).await;
    }
    let told = texts(&mut plain, 15).await;
    assert_eq!(comments(&mut by_default, 15).await, told);
    assert_eq!(comments(&mut by_socket, 15).await, told);
    // The same members as in a frame of a plain socket, and what was missed.
    let mut all = open(&format!("{path}?after=0"), &[]).await.unwrap();
    let mut back = client(&json!({})).await;
    back.emit("join", json!({"room": room, "after": format!("{id}.12")}))
        .await;
    for place in 1..=15 {
        let frame = heard(&mut all).await;
        if place > 12 {
            assert_eq!(back.next().await, json!(["comment", frame]));
        }
    }
    eventually("all are present", || async {
        let reply = mesh.get(&format!("/ws/presence/posts:{id}")).await;
        let shown = reply.expect(200);
        let mut people = vec![ada.id, ben.id];
        people.sort_unstable();
        if shown["sockets"] == 5 && shown["user_ids"] == json!(people) {
            Ok(())
        } else {
            Err(shown.to_string())
        }
    })
    .await;
}

#[tokio::test]
async fn s3_49_movies_and_topics_are_the_same_for_both_kinds_of_client() {
    let mesh = Mesh::current();
    let ada = mesh.person().await;
    let room = testkit::unique("room-");
    let mut plain = open("/", &[]).await.unwrap();
    let guest = json!({"user_id": "guest", "room_id": room});
    say(
        &mut plain,
        json!({"event": "join_notification", "data": guest}),
    )
    .await;
    heard(&mut plain).await;
    let mut io = client(&auth(&ada)).await;
    let own = json!({"user_id": ada.id.to_string(), "room_id": room});
    let mut review = own.clone();
    review["review_title"] = json!("Great");
    for (event, data, text) in [
        (
            "join_notification",
            &own,
            format!("User {} has joined the room {room}", ada.id),
        ),
        (
            "new_review",
            &review,
            format!("User {} added a new review: Great", ada.id),
        ),
        (
            "leave_notification",
            &own,
            format!("User {} has left the room {room}", ada.id),
        ),
    ] {
        io.emit(event, data.clone()).await;
        assert_eq!(io.next().await, json!(["message", {"message": text}]));
        let frame = heard(&mut plain).await;
        assert_eq!(
            frame,
            json!({"event": "message", "data": {"message": text}})
        );
    }
    io.emit(
        "new_review",
        json!({"user_id": "0", "room_id": room, "review_title": "x"}),
    )
    .await;
    assert_eq!(
        io.next().await,
        json!(["error", {"message": "`user_id` must be your own"}])
    );

    let model = testkit::unique("Model ");
    assert_eq!(
        io.join(&format!("topics/{model}")).await,
        json!({"ok": true})
    );
    let said = json!({"room": format!("topics/{model}"), "comment_text": "Anybody here?"});
    assert_eq!(io.ask("message", said).await, json!({"ok": true}));
    let id = post(&ada, &model).await;
    assert_eq!(io.until("new_post").await[1]["post_id"], json!(id));
}

#[tokio::test]
async fn d23b_who_may_not_is_told_why() {
    let mesh = Mesh::current();
    let url = mesh.address("ingress");
    let ada = mesh.person().await;
    let id = post(&ada, "Zoe").await;
    let room = format!("posts/{id}");
    let mut nobody = client(&json!({})).await;
    assert_eq!(nobody.join("posts/nothing").await["ok"], false);
    assert_eq!(nobody.join(&room).await, json!({"ok": true}));
    nobody
        .emit("comment", json!({"comment_text": "let me"}))
        .await;
    let told = json!({"message": "A token is needed to write"});
    assert_eq!(nobody.until("error").await[1], told);

    let forged = json!({"auth": {"token": "a.b.c"}});
    let invalid = ("The token is not valid".to_owned(), json!(401), false);
    assert_eq!(refused(url, &forged).await, invalid);
    let nowhere = ("Invalid namespace".to_owned(), json!(404), false);
    assert_eq!(refused(&format!("{url}/admin"), &json!({})).await, nowhere);
    let (words, status, again) = refused(url, &json!({"transports": ["polling"]})).await;
    assert!(words.contains("WebSocket did not come"), "{words}");
    assert_eq!((status, again), (json!(422), false));

    let mut io = client(&auth(&ada)).await;
    io.join(&room).await;
    mesh.call(Method::POST, "/api/auth/logout", &ada.token, &Value::Null)
        .await
        .expect(200);
    let why = json!({"message": "The token was logged out"});
    assert_eq!(io.until("error").await[1], why);
    // It does not come back by itself.
    let gone = io.until("disconnect").await;
    assert_eq!(gone[1], "io server disconnect", "{gone}");
    let late = eventually("it lets nobody in", || async {
        let happened = SocketIo::open(url, &auth(&ada)).next().await;
        if happened[0] == "connect_error" {
            Ok(happened)
        } else {
            Err(happened.to_string())
        }
    })
    .await;
    assert_eq!(late[1], "The token was logged out");
}

#[tokio::test]
async fn d23b_clients_as_they_come_need_no_instance_of_their_own() {
    let mesh = Mesh::current();
    let ada = mesh.person().await;
    let id = post(&ada, "Zoe").await;
    // Two or three requests and a WebSocket each: some of them reach both instances.
    let mut clients = Vec::new();
    for _ in 0..6 {
        clients.push(SocketIo::open(mesh.address("ingress"), &auth(&ada)));
    }
    for io in &mut clients {
        assert_eq!(io.next().await, json!(["connect", "websocket"]));
        assert_eq!(io.join(&format!("posts/{id}")).await["ok"], true);
    }
    clients[0]
        .emit("comment", json!({"comment_text": "all"}))
        .await;
    for io in &mut clients {
        assert_eq!(comments(io, 1).await, ["all"]);
    }
}
