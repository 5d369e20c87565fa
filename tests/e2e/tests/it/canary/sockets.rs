//! Sockets: who opens them, and what is said on them.

use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::Method;
use serde_json::json;
use testkit::Mesh;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::Canary;
use crate::live::{Socket, bearer, open, post};

pub(super) async fn say(canary: &mut Canary) {
    refused(canary).await;
    let person = Mesh::current().person().await;
    let id = post(&person, "Zoe").await;
    for path in [
        format!("/ws/posts/{id}/comments"),
        "/ws/topics/Zoe".to_owned(),
        "/ws/reviews".to_owned(),
    ] {
        // No socket may say much at once.
        for frames in frames(canary).chunks(5) {
            let mut socket = open(&path, &bearer(&person)).await.unwrap();
            for frame in frames {
                let seen = canary.seen_in(&answer(&mut socket, frame).await);
                assert_eq!(seen, None, "{path} {frame}");
            }
            let _ = socket.close(None).await;
        }
    }
    packets(canary).await;
}

/// Tokens that are none, wherever a socket takes one.
async fn refused(canary: &Canary) {
    let text = &canary.text;
    for (path, headers) in [
        (format!("/ws/reviews?access_token={text}"), vec![]),
        (
            format!("/ws/topics/Zoe?access_token={text}&access_token={text}"),
            vec![],
        ),
        (
            "/ws/reviews".to_owned(),
            vec![("sec-websocket-protocol", format!("bearer, {text}"))],
        ),
        (
            "/ws/reviews".to_owned(),
            vec![("authorization", format!("Bearer {text}"))],
        ),
        (
            "/".to_owned(),
            vec![("sec-websocket-protocol", format!("bearer, {text}, {text}"))],
        ),
    ] {
        let refusal = match open(&path, &headers).await {
            Err(Error::Http(response)) => {
                let body = response.body().clone().unwrap_or_default();
                format!(
                    "{:?} {}",
                    response.headers(),
                    String::from_utf8_lossy(&body)
                )
            }
            Err(error) => error.to_string(),
            Ok(_) => panic!("{path} {headers:?} opened a socket"),
        };
        assert_eq!(canary.seen_in(&refusal), None, "{path} {headers:?}");
    }
}

/// What is not a comment, a review or a way into a room.
fn frames(canary: &Canary) -> Vec<String> {
    let mut frames = vec![
        canary.text.clone(),
        format!("{{\"comment_text\":{}", canary.text),
        canary.number.to_string(),
    ];
    for shape in canary.shapes().into_iter().skip(1) {
        frames.push(json!({ "comment_text": shape }).to_string());
        frames.push(json!({ "event": shape, "data": {} }).to_string());
        let data = json!({ "user_id": "1", "room_id": [shape], "review_title": shape });
        frames.push(json!({ "event": "new_review", "data": data }).to_string());
    }
    frames
}

/// What a frame is answered, up to the pong that follows it or the end.
async fn answer(socket: &mut Socket, frame: &str) -> String {
    // A socket that is refused for what it said may be closed already.
    let _ = socket.send(Message::Text(frame.into())).await;
    let _ = socket.send(Message::Ping("x".into())).await;
    let mut heard = String::new();
    loop {
        let next = tokio::time::timeout(testkit::PATIENCE, socket.next());
        match next.await.expect("an answer in time") {
            None | Some(Err(_) | Ok(Message::Pong(_))) => return heard,
            Some(Ok(other)) => heard.push_str(&other.to_string()),
        }
    }
}

/// Packets of Socket.IO: who comes in, where to, and what is said.
async fn packets(canary: &mut Canary) {
    let text = canary.text.clone();
    let wanted = ["polling", "websocket"].map(|transport| {
        format!("/socket.io/?EIO=4&transport={transport}&token={text}&auth={text}")
    });
    let polling = Mesh::current().request(Method::GET, &wanted[0]);
    canary.ask("polling", polling).await.expect(200);
    let lost = format!("/socket.io/?EIO=4&transport=polling&sid={text}");
    let lost = Mesh::current()
        .request(Method::POST, &lost)
        .body(text.clone());
    canary.ask("a session that is none", lost).await;
    let mut packets = vec![
        text.clone(),
        format!("4{text}"),
        format!("40{{\"token\":{text}"),
    ];
    for shape in canary.shapes() {
        let room = json!(["join", { "room": shape, "after": shape }]);
        packets.push(format!("40{}", json!({ "token": shape })));
        packets.extend([
            format!("40{shape}"),
            format!("42{room}"),
            format!("42{shape}"),
        ]);
    }
    for packet in packets {
        let mut socket = open(&wanted[1], &[]).await.unwrap();
        let heard = answer(&mut socket, &packet).await;
        assert_eq!(canary.seen_in(&heard), None, "{packet}");
        let _ = socket.close(None).await;
    }
    // Inside, where what is said is read.
    let person = Mesh::current().person().await;
    let mut socket = open(&wanted[1], &[]).await.unwrap();
    answer(
        &mut socket,
        &format!("40{}", json!({ "token": person.token })),
    )
    .await;
    for shape in canary.shapes() {
        let said = json!(["comment", { "room": "topics/Zoe", "comment_text": [shape] }]);
        let heard = answer(&mut socket, &format!("421{said}")).await;
        assert_eq!(canary.seen_in(&heard), None, "{said}");
    }
    let _ = socket.close(None).await;
}
