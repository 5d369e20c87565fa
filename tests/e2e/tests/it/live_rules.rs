//! Claim: who breaks the rules of sockets harms itself alone, and is told why, also behind both proxies.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _, future::join_all};
use reqwest::Method;
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use serde_json::{Value, json};
use testkit::{Mesh, Signer, eventually, mesh::Person, stores};
use tokio_tungstenite::tungstenite::{
    Error, Message,
    protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    },
};

use crate::live::{Socket, bearer, farewell, heard, open, post, say, texts};

/// Sockets that one user may have on an instance, by default, and instances that there are.
const PER_USER: usize = 20;
const INSTANCES: usize = 2;

fn piece(data: impl Into<Vec<u8>>, opcode: Data, last: bool) -> Message {
    Message::Frame(Frame::message(data.into(), OpCode::Data(opcode), last))
}

/// A text in so many pieces of a size, which does not end.
fn pieces(number: usize, size: usize) -> Vec<Message> {
    let piece = |opcode| piece(vec![b'x'; size], opcode, false);
    let rest = (1..number).map(|_| piece(Data::Continue));
    std::iter::once(piece(Data::Text)).chain(rest).collect()
}

/// Sends all of it, or what is taken before the end; the code with which the socket ends.
async fn ended_by(path: &str, messages: Vec<Message>) -> u16 {
    let mut socket = open(path, &[]).await.unwrap();
    for message in messages {
        if socket.feed(message).await.is_err() {
            break;
        }
    }
    let _ = socket.flush().await;
    loop {
        let next = tokio::time::timeout(testkit::PATIENCE, socket.next());
        match next.await.expect("the socket ends in time") {
            Some(Ok(Message::Close(Some(farewell)))) => return farewell.code.into(),
            Some(Ok(Message::Close(None)) | Err(_)) | None => panic!("it ended without a word"),
            Some(Ok(_)) => {}
        }
    }
}

/// The words of an error that this client alone is told.
async fn refused(socket: &mut Socket) -> String {
    let frame = heard(socket).await;
    assert_eq!(frame["event"], "error", "{frame}");
    frame["data"]["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn s0_11_frames_that_break_the_rules_end_their_socket_alone() {
    let ada = Mesh::current().person().await;
    let path = format!("/ws/posts/{}/comments", post(&ada, "Zoe").await);
    let mut good = open(&path, &bearer(&ada)).await.unwrap();
    let big = Message::Text("x".repeat(10 << 20).into());
    let pings = (0..100).map(|_| Message::Ping("x".into())).collect();
    for (what, messages, code) in [
        ("a frame of 10 MiB", vec![big], 1009),
        (
            "more pieces than a message may have",
            pieces(16, 4096),
            1009,
        ),
        ("endless empty pieces", pieces(40_000, 0), 1009),
        (
            "broken UTF-8",
            vec![piece([0xff, 0xfe], Data::Text, true)],
            1007,
        ),
        ("a flood of pings", pings, 1008),
    ] {
        assert_eq!(ended_by(&path, messages).await, code, "{what}");
    }
    say(&mut good, json!({"comment_text": "still here"})).await;
    assert_eq!(texts(&mut good, 1).await, ["still here"]);
}

#[tokio::test]
async fn d8_bad_words_are_explained_and_too_many_are_refused() {
    let ada = Mesh::current().person().await;
    let path = format!("/ws/posts/{}/comments", post(&ada, "Zoe").await);
    let mut socket = open(&path, &bearer(&ada)).await.unwrap();
    for bad in ["", "no json", "{}", r#"{"comment_text":"  "}"#] {
        socket.send(Message::Text(bad.into())).await.unwrap();
        refused(&mut socket).await;
    }
    socket.send(Message::Binary(vec![1].into())).await.unwrap();
    assert_eq!(refused(&mut socket).await, "A frame must be text");
    for _ in 0..40 {
        let sent = socket.send(Message::Text("no json".into())).await;
        sent.unwrap();
    }
    let deadline = testkit::PATIENCE;
    let refusal = async { while !refused(&mut socket).await.starts_with("Too many messages") {} };
    tokio::time::timeout(deadline, refusal).await.unwrap();
    // It passes.
    eventually("a comment is taken again", || async {
        let mut socket = open(&path, &bearer(&ada)).await.unwrap();
        say(&mut socket, json!({"comment_text": "slower"})).await;
        let frame = heard(&mut socket).await;
        (frame["comment_text"] == "slower")
            .then_some(())
            .ok_or(frame.to_string())
    })
    .await;
}

#[tokio::test]
async fn d8_a_user_has_so_many_sockets_and_no_more() {
    let ada = Mesh::current().person().await;
    let path = format!("/ws/posts/{}/comments", post(&ada, "Zoe").await);
    let mut sockets = Vec::new();
    let refused = loop {
        assert!(sockets.len() <= PER_USER * INSTANCES, "nobody was refused");
        match open(&path, &bearer(&ada)).await {
            Ok(socket) => sockets.push(socket),
            Err(Error::Http(response)) => break response,
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(refused.status(), 429);
    assert!(refused.headers().contains_key("retry-after"));
    assert!(sockets.len() >= PER_USER);
    // Others are not in want of them.
    open(&path, &[]).await.unwrap();
}

/// Signs as `users` does.
async fn signer() -> Signer {
    let users = stores::postgres_database("users").await;
    let newest = "SELECT kid, pkcs8 FROM signing_keys ORDER BY generation DESC LIMIT 1";
    let newest = Statement::from_string(DbBackend::Postgres, newest);
    let key = users.query_one_raw(newest).await.unwrap().unwrap();
    let kid: String = key.try_get_by_index(0).unwrap();
    let pkcs8: Vec<u8> = key.try_get_by_index(1).unwrap();
    Signer::from_pkcs8(&kid, &pkcs8)
}

#[tokio::test]
async fn d8_a_token_that_expires_ends_its_socket() {
    let ada = Mesh::current().person().await;
    let path = format!("/ws/posts/{}/comments", post(&ada, "Zoe").await);
    let signer = signer().await;
    let mut claims = Signer::claims(ada.id, &ada.username);
    claims.exp = claims.iat + 4;
    let short = [("authorization", format!("Bearer {}", signer.sign(&claims)))];
    let mut socket = open(&path, &short).await.unwrap();
    say(&mut socket, json!({"comment_text": "in time"})).await;
    assert_eq!(texts(&mut socket, 1).await, ["in time"]);
    let told = farewell(&mut socket).await;
    assert_eq!(told, (4401, "The token has expired".to_owned()));
    // Nobody else is refused, and who comes with it is not let in: clocks may differ by five seconds.
    open(&path, &bearer(&ada)).await.unwrap();
    eventually("it lets nobody in", || async {
        match open(&path, &short).await {
            Err(Error::Http(response)) if response.status() == 401 => Ok(()),
            other => Err(format!("{:?}", other.map(|_| ()))),
        }
    })
    .await;
}

#[tokio::test]
async fn d8_a_slow_reader_is_cut_off_and_told_and_others_feel_nothing() {
    let mesh = Mesh::current();
    let ada = mesh.person().await;
    let id = post(&ada, "Zoe").await;
    let path = format!("/ws/posts/{id}/comments");
    let mut slow = open(&path, &[]).await.unwrap();
    let mut good = open(&path, &[]).await.unwrap();
    present(&id, 2).await;
    // Four bytes a character: much more than kernels and proxies keep for somebody who does not read.
    let text = "\u{1f699}".repeat(2_000);
    let comment = json!({"comment_text": text});
    let comments = format!("/api/posts/{id}/comments");
    for round in 1.. {
        assert!(round <= 100, "it is not cut off");
        // Whoever says nothing for long is cut off for that.
        slow.send(Message::Pong("".into())).await.unwrap();
        let write = || async {
            let reply = mesh.call(Method::POST, &comments, &ada.token, &comment);
            reply.await.expect(201);
        };
        let writing = join_all((0..50).map(|_| write()));
        let (_, heard) = tokio::join!(writing, texts(&mut good, 50));
        assert!(heard.iter().all(|heard| *heard == text), "{round}");
        let reply = mesh.get(&format!("/ws/presence/posts:{id}")).await;
        let presence = reply.expect(200);
        if presence["complete"] == true && presence["sockets"] == 1 {
            break;
        }
    }
    let farewell = loop {
        let next = tokio::time::timeout(testkit::PATIENCE, slow.next());
        match next.await.expect("it ends").unwrap().unwrap() {
            Message::Close(farewell) => break farewell.unwrap(),
            Message::Text(_) | Message::Ping(_) => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(u16::from(farewell.code), 1013, "{}", farewell.reason);
    assert!(farewell.reason.contains("slowly"), "{}", farewell.reason);
    let last = json!({"comment_text": "the last"});
    let reply = mesh.call(Method::POST, &comments, &ada.token, &last);
    reply.await.expect(201);
    assert_eq!(texts(&mut good, 1).await, ["the last"]);
}

/// Waits until a post has so many sockets.
async fn present(id: &str, sockets: u64) {
    eventually("they are present", || async {
        let reply = Mesh::current()
            .get(&format!("/ws/presence/posts:{id}"))
            .await;
        let there = reply.json["sockets"] == sockets;
        there.then_some(()).ok_or(reply.text)
    })
    .await;
}

/// Somebody's socket on movies, in a room.
async fn joined(person: Option<&Person>, name: &str, room: &str) -> Socket {
    let headers = person.map(bearer);
    let headers = headers.as_ref().map_or(&[][..], |headers| &headers[..]);
    let mut socket = open("/", headers).await.unwrap();
    notice(&mut socket, "join_notification", name, room).await;
    // Who has no token is a guest, whatever it calls itself.
    let told = person.map_or("a guest", |_| name);
    let text = format!("User {told} has joined the room {room}");
    assert_eq!(heard(&mut socket).await, message(&text));
    socket
}

async fn notice(socket: &mut Socket, event: &str, user_id: &str, room: &str) {
    let data = json!({"user_id": user_id, "room_id": room, "review_title": "Great"});
    say(socket, json!({"event": event, "data": data})).await;
}

fn message(text: &str) -> Value {
    json!({"event": "message", "data": {"message": text}})
}

#[tokio::test]
async fn s3_20_to_s3_25_a_room_is_told_and_no_other() {
    let ada = Mesh::current().person().await;
    let id = ada.id.to_string();
    let (room, other) = (testkit::unique("room-"), testkit::unique("room-"));
    let mut elsewhere = joined(None, "guest", &other).await;
    let mut guest = joined(None, "guest", &room).await;
    let mut author = joined(Some(&ada), &id, &room).await;
    let joined = format!("User {id} has joined the room {room}");
    assert_eq!(heard(&mut guest).await, message(&joined));
    for (event, text) in [
        ("new_review", format!("User {id} added a new review: Great")),
        (
            "leave_notification",
            format!("User {id} has left the room {room}"),
        ),
    ] {
        notice(&mut author, event, &id, &room).await;
        for socket in [&mut author, &mut guest] {
            assert_eq!(heard(socket).await, message(&text));
        }
    }
    // Had the other room been told of any of it, it would hear that first.
    notice(&mut elsewhere, "leave_notification", "guest", &other).await;
    let left = format!("User a guest has left the room {other}");
    assert_eq!(heard(&mut elsewhere).await, message(&left));
}

#[tokio::test]
async fn d23_bad_frames_and_foreign_ids_are_refused_and_the_socket_stays() {
    let ada = Mesh::current().person().await;
    let id = ada.id.to_string();
    let room = testkit::unique("room-");
    let mut guest = joined(None, "guest", &room).await;
    let mut author = joined(Some(&ada), &id, &room).await;
    heard(&mut guest).await;
    for bad in [
        "no json",
        "[]",
        "{}",
        r#"{"event":1}"#,
        r#"{"event":"shout","data":{}}"#,
        r#"{"event":"join_notification","data":{"user_id":"1"}}"#,
    ] {
        author.send(Message::Text(bad.into())).await.unwrap();
        refused(&mut author).await;
    }
    let foreign = (ada.id + 1).to_string();
    for event in ["join_notification", "new_review", "leave_notification"] {
        notice(&mut author, event, &foreign, &room).await;
        assert_eq!(refused(&mut author).await, "`user_id` must be your own");
    }
    notice(&mut guest, "new_review", &id, &room).await;
    assert_eq!(refused(&mut guest).await, "A token is needed to write");
    // A guest may read under any name, but nobody is told that ada has come.
    let _reader = joined(None, &id, &room).await;
    let came = message(&format!("User a guest has joined the room {room}"));
    for socket in [&mut author, &mut guest] {
        assert_eq!(heard(socket).await, came);
    }
    notice(&mut author, "new_review", &id, &room).await;
    let told = message(&format!("User {id} added a new review: Great"));
    for socket in [&mut author, &mut guest] {
        assert_eq!(heard(socket).await, told);
    }
}

#[tokio::test]
async fn d10_what_is_said_about_a_model_reaches_everybody_on_it() {
    let mesh = Mesh::current();
    let ada = mesh.person().await;
    let model = testkit::unique("model-");
    let path = format!("/ws/topics/{model}");
    // The ingress spreads them over all instances.
    let mut fans = Vec::new();
    for _ in 0..6 {
        fans.push(open(&path, &[]).await.unwrap());
    }
    eventually("all are there", || async {
        let present = mesh.get(&format!("/ws/presence/topics:{model}")).await;
        let sockets = present.expect(200)["sockets"].clone();
        (sockets == 6).then_some(()).ok_or(present.text)
    })
    .await;
    let mut writer = open(&path, &bearer(&ada)).await.unwrap();
    say(&mut writer, json!({"comment_text": "Anybody here?"})).await;
    for socket in fans.iter_mut().chain([&mut writer]) {
        let said = heard(socket).await;
        assert_eq!(said["event"], "message");
        assert_eq!(said["data"]["comment_text"], "Anybody here?");
        assert_eq!(said["data"]["username"], json!(ada.username));
    }
    say(&mut fans[0], json!({"comment_text": "let me"})).await;
    assert_eq!(refused(&mut fans[0]).await, "A token is needed to write");
}

#[tokio::test]
async fn d8_what_its_author_took_back_is_not_replayed() {
    let mesh = Mesh::current();
    let ada = mesh.person().await;
    let id = post(&ada, "Zoe").await;
    let path = format!("/ws/posts/{id}/comments");
    // Both instances remember what was said.
    let mut sockets = Vec::new();
    for _ in 0..6 {
        sockets.push(open(&path, &bearer(&ada)).await.unwrap());
    }
    let mut comments = Vec::new();
    for text in ["kind", "rash", "wrong"] {
        say(&mut sockets[0], json!({"comment_text": text})).await;
        let comment = heard(&mut sockets[0]).await;
        comments.push(comment["comment_id"].as_str().unwrap().to_owned());
    }
    for socket in &mut sockets[1..] {
        assert_eq!(texts(socket, 3).await, ["kind", "rash", "wrong"]);
    }
    let comment = |number: usize| format!("/api/posts/{id}/comments/{}", comments[number]);
    let body = json!({"comment_text": "calm"});
    mesh.call(Method::PUT, &comment(1), &ada.token, &body)
        .await
        .expect(200);
    mesh.call(Method::DELETE, &comment(2), &ada.token, &Value::Null)
        .await
        .expect(200);
    for _ in 0..6 {
        // Each service hears of it by itself, within a moment.
        eventually("what is so now", || async {
            let mut back = open(&format!("{path}?after=0"), &[]).await.unwrap();
            let mut told = Vec::new();
            while let Ok(frame) =
                tokio::time::timeout(Duration::from_millis(500), heard(&mut back)).await
            {
                told.push(frame["comment_text"].clone());
            }
            (told == ["kind", "calm"])
                .then_some(())
                .ok_or(format!("{told:?}"))
        })
        .await;
    }
}
