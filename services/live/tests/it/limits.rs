//! Bad clients, and the end of instances.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::time::interval;
use tokio_tungstenite::{
    connect_async,
    tungstenite::{
        Error, Message,
        client::IntoClientRequest as _,
        http::HeaderValue,
        protocol::{
            CloseFrame,
            frame::{
                Frame,
                coding::{CloseCode, Data, OpCode},
            },
        },
    },
};

use crate::world::{Client, World, refused};

const PATH: &str = "/ws/posts/p/comments";

#[tokio::test]
async fn d8_only_pages_of_the_own_origin_open_sockets() {
    let world = World::start();
    let live = world
        .live(&["--allowed-origins=https://friend.example"])
        .await;
    let own = format!("http://{}", live.address);
    for (origin, allowed) in [
        (own.as_str(), true),
        ("https://friend.example", true),
        ("https://foe.example", false),
        ("null", false),
    ] {
        let url = format!("ws://{}{PATH}", live.address);
        let mut request = url.into_client_request().unwrap();
        let value = HeaderValue::from_str(origin).unwrap();
        request.headers_mut().insert("origin", value);
        match connect_async(request).await {
            Ok(_) => assert!(allowed, "{origin}"),
            Err(Error::Http(response)) => {
                assert!(!allowed, "{origin}");
                assert_eq!(response.status(), 403);
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn s0_11_what_is_no_handshake_is_told_what_is_needed() {
    let world = World::start();
    let live = world.live(&[]).await;
    let reply = live.get(PATH).await;
    reply.problem(426);
    assert_eq!(reply.header("upgrade"), "websocket");
}

#[tokio::test]
async fn s0_11_frames_that_break_the_rules_end_the_socket_alone() {
    let world = World::start();
    let live = world.live(&[]).await;
    let token = live.token(7, "ada");
    let mut good = Client::open(&live, PATH, Some(&token)).await;

    let mut big = Client::open(&live, PATH, None).await;
    let _ = big
        .stream
        .send(Message::Text("x".repeat(10 << 20).into()))
        .await;
    assert_eq!(big.closed().await, 1009);

    let mut fragments = Client::open(&live, PATH, None).await;
    let piece = |opcode| {
        Message::Frame(Frame::message(
            vec![b'x'; 4096],
            OpCode::Data(opcode),
            false,
        ))
    };
    fragments.stream.send(piece(Data::Text)).await.unwrap();
    for _ in 0..8 {
        let _ = fragments.stream.send(piece(Data::Continue)).await;
    }
    assert_eq!(fragments.closed().await, 1009);

    let mut broken = Client::open(&live, PATH, None).await;
    let bytes = Frame::message(vec![0xff, 0xfe], OpCode::Data(Data::Text), true);
    broken.stream.send(Message::Frame(bytes)).await.unwrap();
    assert_eq!(broken.closed().await, 1007);

    let mut pinging = Client::open(&live, PATH, None).await;
    for _ in 0..100 {
        let _ = pinging.stream.send(Message::Ping("x".into())).await;
    }
    assert_eq!(pinging.closed().await, 1008);

    let mut binary = Client::open(&live, PATH, None).await;
    binary
        .stream
        .send(Message::Binary(vec![1].into()))
        .await
        .unwrap();
    binary.error().await;

    good.comment("still here").await;
    assert_eq!(good.texts(1).await, ["still here"]);
}

#[tokio::test]
async fn s0_11_a_farewell_is_answered() {
    let world = World::start();
    let live = world.live(&[]).await;
    let mut client = Client::open(&live, PATH, None).await;
    let farewell = CloseFrame {
        code: CloseCode::Normal,
        reason: "Good night".into(),
    };
    let sent = client.stream.send(Message::Close(Some(farewell))).await;
    sent.unwrap();
    assert_eq!(client.closed().await, 1000);
}

#[tokio::test]
async fn d8_too_many_messages_are_refused_and_a_flood_ends() {
    let world = World::start();
    let live = world.live(&["--messages-per-second=1"]).await;
    let token = live.token(7, "ada");
    let mut client = Client::open(&live, PATH, Some(&token)).await;
    for number in 1..=10 {
        client.comment(&number.to_string()).await;
    }
    // What is refused is said at once, perhaps before what was written has come back.
    let mut texts: Vec<u32> = Vec::new();
    for _ in 0..10 {
        let frame = client.heard().await;
        if let Some(text) = frame["comment_text"].as_str() {
            texts.push(text.parse().unwrap());
        }
    }
    // Two seconds' worth are written; of the others, as many as there were seconds.
    assert!(texts.starts_with(&[1, 2]) && texts.is_sorted(), "{texts:?}");
    assert!(texts.len() < 10, "none was refused");
    for _ in 0..110 {
        let _ = client.stream.send(Message::Text("x".into())).await;
    }
    assert_eq!(client.closed().await, 1008);
}

#[tokio::test]
async fn d8_a_user_has_so_many_sockets_and_no_more() {
    let world = World::start();
    let live = world.live(&["--sockets-per-user=2"]).await;
    let token = live.token(7, "ada");
    let first = Client::open(&live, PATH, Some(&token)).await;
    let _second = Client::open(&live, PATH, Some(&token)).await;
    let third = Client::try_open(&live, PATH, Some(&token)).await;
    assert_eq!(refused(third), 429);
    let _other = Client::open(&live, PATH, Some(&live.token(8, "ben"))).await;
    drop(first);
    testkit::eventually("a seat is free", || async {
        let opened = Client::try_open(&live, PATH, Some(&token)).await;
        opened.map(|_| ()).map_err(|error| error.to_string())
    })
    .await;
}

#[tokio::test]
async fn an_address_has_so_many_sockets_signed_in_or_not() {
    let world = World::start();
    let flags = ["--sockets-per-address=2", "--sockets-per-address-in-all=3"];
    let live = world.live(&flags).await;
    let [ada, ben] = [(7, "ada"), (8, "ben")].map(|(id, name)| live.token(id, name));
    let open = |token, address| Client::try_open_from(&live, PATH, token, Some(address));
    let (here, there) = ("192.0.2.1", "192.0.2.2");
    let first = open(None, here).await.unwrap();
    let _second = open(None, here).await.unwrap();
    assert_eq!(refused(open(None, here).await), 429);
    let _third = open(Some(&ada), here).await.unwrap();
    assert_eq!(refused(open(Some(&ben), here).await), 429);
    let _elsewhere = [open(None, there).await, open(Some(&ben), there).await].map(Result::unwrap);
    drop(first);
    testkit::eventually("a seat is free", || async {
        let opened = open(Some(&ben), here).await;
        opened.map(|_| ()).map_err(|error| error.to_string())
    })
    .await;
}

#[tokio::test]
async fn s0_11_a_message_in_endless_pieces_ends_the_socket() {
    let world = World::start();
    let live = world.live(&[]).await;
    let empty = |opcode| Message::Frame(Frame::message(vec![], OpCode::Data(opcode), false));
    let mut client = Client::open(&live, PATH, None).await;
    client.stream.feed(empty(Data::Text)).await.unwrap();
    for _ in 0..20 {
        // A ping in the middle of it ends nothing.
        let _ = client.stream.feed(Message::Ping("x".into())).await;
        for _ in 0..2_000 {
            let _ = client.stream.feed(empty(Data::Continue)).await;
        }
        let _ = client.stream.flush().await;
    }
    assert_eq!(client.closed().await, 1009);

    // Pings and messages that end are no such thing, however many there are.
    let mut client = Client::open(&live, PATH, None).await;
    let mut pace = interval(Duration::from_millis(150));
    for _ in 0..20 {
        pace.tick().await;
        let ping = "x".repeat(125);
        let sent = client.stream.feed(Message::Ping(ping.into())).await;
        sent.unwrap();
        client.say("x".repeat(8 * 1024)).await;
        client.error().await;
    }
}

#[tokio::test]
async fn d8_an_instance_that_ends_says_so_and_another_goes_on() {
    let world = World::start();
    let (one, other) = (world.live(&[]).await, world.live(&[]).await);
    let token = one.token(7, "ada");
    let mut client = Client::open(&one, PATH, Some(&token)).await;
    client.comment("1").await;
    assert_eq!(client.heard().await["comment_id"], "p.1");
    let ending = tokio::spawn(one.stop());
    assert_eq!(client.closed().await, 1012);
    assert!(client.stream.next().await.is_none_or(|next| next.is_err()));
    world.discussions.write("p", 7, "2");
    let back = format!("{PATH}?after=p.1");
    let mut client = Client::open(&other, &back, None).await;
    assert_eq!(client.texts(1).await, ["2"]);
    ending.await.unwrap();
}

#[tokio::test]
async fn d8_a_slow_reader_is_cut_off_and_others_feel_nothing() {
    let world = World::start();
    let live = world.live(&["--queue=64", "--look-millis=50"]).await;
    let mut slow = Client::open(&live, PATH, None).await;
    let mut good = Client::open(&live, PATH, None).await;
    let text = "x".repeat(1_900);
    // More than the kernel takes for somebody who does not read.
    for round in 0..80 {
        for _ in 0..50 {
            world.discussions.write("p", 1, &text);
        }
        assert_eq!(good.texts(50).await.len(), 50, "{round}");
    }
    assert_eq!(slow.closed().await, 1013);
}

#[tokio::test]
async fn s0_23_sockets_and_rooms_are_measured() {
    let world = World::start();
    let live = world.live(&[]).await;
    let _client = Client::open(&live, PATH, None).await;
    let metrics = reqwest::get(format!("http://{}/metrics", live.admin)).await;
    let metrics = metrics.unwrap().text().await.unwrap();
    // All tests of this process count together.
    for gauge in ["live_sockets", "live_rooms"] {
        let mut lines = metrics.lines();
        let line = lines.find(|line| line.starts_with(&format!("{gauge} ")));
        let value: f64 = line.unwrap().rsplit(' ').next().unwrap().parse().unwrap();
        assert!(value >= 1.0, "{gauge} {value}");
    }
}
