//! Sessions of Socket.IO that have no WebSocket: how many there may be, and what each holds.

use futures_util::future::join_all;
use live::Live;
use reqwest::Method;
use testkit::{Reply, TestService, send};

use crate::{
    socketio::{Io, PATH, POLL, knock, post, sid},
    world::{Client, World},
};

/// Begins from an address, as the ingress tells it.
async fn knock_from(live: &TestService<Live>, address: &str, token: Option<&str>) -> Reply {
    let mut request = live.request(Method::GET, POLL);
    request = request.header("x-forwarded-for", address);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    send(request).await
}

#[tokio::test]
async fn sessions_without_a_websocket_are_counted_on_all_instances() {
    let world = World::start();
    let flags = ["--polling-per-address=3", "--sockets-per-user=2"];
    let (one, other) = (world.live(&flags).await, world.live(&flags).await);
    let (here, there) = ("192.0.2.1", "192.0.2.2");
    let mut begun = Vec::new();
    for live in [&one, &other, &one] {
        begun.push(sid(&knock_from(live, here, None).await));
    }
    for live in [&one, &other] {
        let refusal = knock_from(live, here, None).await;
        assert!(
            refusal.problem(429).contains("3 sessions"),
            "{}",
            refusal.text
        );
        assert!(!refusal.header("retry-after").is_empty());
    }
    // To begin and to close is not free.
    assert_eq!(post(&one, &begun[0], "1").await.text, "ok");
    knock_from(&other, here, None).await.problem(429);
    // Whoever goes on to a WebSocket is counted there.
    let path = format!("{PATH}&sid={}", begun[1]);
    let mut io = Io(Client::try_open_from(&other, &path, None, Some(here))
        .await
        .unwrap());
    io.say("2probe").await;
    assert_eq!(io.heard().await, "3probe");
    io.say("5").await;
    io.say("40").await;
    assert!(io.heard().await.starts_with("40{"));
    sid(&knock_from(&one, here, None).await);
    // An account has its own limit, from wherever.
    let (token, others) = (one.token(7, "ada"), other.token(7, "ada"));
    sid(&knock_from(&one, there, Some(&token)).await);
    sid(&knock_from(&other, "192.0.2.3", Some(&others)).await);
    let refusal = knock_from(&one, "192.0.2.4", Some(&token)).await;
    assert!(
        refusal.problem(429).contains("You have 2"),
        "{}",
        refusal.text
    );
    sid(&knock_from(&one, there, None).await);
}

#[tokio::test]
async fn four_hundred_sessions_at_once_get_what_one_address_may_have() {
    let world = World::start();
    let (one, other) = (world.live(&[]).await, world.live(&[]).await);
    let knocks = (0..200).flat_map(|_| [&one, &other]);
    let knocks = knocks.map(|live| knock_from(live, "192.0.2.1", None));
    let replies = join_all(knocks).await;
    let let_in = replies.iter().filter(|reply| reply.status == 200);
    assert_eq!(let_in.count(), 100);
    for refusal in replies.iter().filter(|reply| reply.status != 200) {
        refusal.problem(429);
    }
    sid(&knock_from(&one, "192.0.2.2", None).await);
}

#[tokio::test]
async fn a_session_holds_so_many_bytes_and_no_more() {
    let world = World::start();
    let live = world.live(&[]).await;
    let id = knock(&live).await;
    for _ in 0..2 {
        assert_eq!(post(&live, &id, "4".repeat(4_000)).await.text, "ok");
    }
    post(&live, &id, "4".repeat(200)).await.problem(429);
    post(&live, &id, "40").await.problem(400);
}

#[tokio::test]
async fn pages_of_foreign_origins_cannot_begin_by_polling_either() {
    let world = World::start();
    let live = world
        .live(&["--allowed-origins=https://friend.example"])
        .await;
    let own = format!("http://{}", live.address);
    let id = knock(&live).await;
    for (origin, status, shared) in [
        (own.as_str(), 200, ""),
        ("https://friend.example", 200, "https://friend.example"),
        ("http://localhost:5173", 200, "http://localhost:5173"),
        ("https://foe.example", 403, ""),
        ("null", 403, ""),
    ] {
        let begin = live.request(Method::GET, POLL).header("origin", origin);
        let said = live
            .request(Method::POST, &format!("{POLL}&sid={id}"))
            .header("origin", origin)
            .header("content-type", "text/plain;charset=UTF-8")
            .body("40/x,");
        for request in [begin, said] {
            let reply = send(request).await;
            assert_eq!(reply.status, status, "{origin}: {}", reply.text);
            assert_eq!(reply.header("access-control-allow-origin"), shared);
            assert_eq!(reply.header("access-control-allow-credentials"), "");
            assert!(reply.header("vary").contains("origin"));
        }
    }
}
