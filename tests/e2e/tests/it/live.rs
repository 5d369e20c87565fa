//! Claim: sockets go through the ingress to any instance of `live`, and everybody hears the same.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Mesh, SocketIo, eventually, mesh::Person};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message, client::IntoClientRequest as _, http::HeaderValue},
};

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Opens a socket through the ingress, by a library that nobody here wrote.
pub(crate) async fn open(path: &str, headers: &[(&'static str, String)]) -> Result<Socket, Error> {
    let ingress = Mesh::current().address("ingress");
    let url = format!("{}{path}", ingress.replacen("http", "ws", 1));
    let mut request = url.into_client_request().unwrap();
    for (name, value) in headers {
        let value = HeaderValue::try_from(value.as_str()).unwrap();
        request.headers_mut().insert(*name, value);
    }
    Ok(connect_async(request).await?.0)
}

pub(crate) fn bearer(person: &Person) -> [(&'static str, String); 1] {
    [("authorization", format!("Bearer {}", person.token))]
}

pub(crate) async fn say(socket: &mut Socket, frame: Value) {
    let text = frame.to_string();
    socket.send(Message::Text(text.into())).await.unwrap();
}

pub(crate) async fn heard(socket: &mut Socket) -> Value {
    loop {
        let next = tokio::time::timeout(Duration::from_secs(20), socket.next());
        match next.await.expect("nothing came in time").unwrap().unwrap() {
            Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) async fn texts(socket: &mut Socket, number: usize) -> Vec<String> {
    let mut texts = Vec::new();
    while texts.len() < number {
        let frame = heard(socket).await;
        let text = frame["comment_text"].as_str();
        texts.push(text.unwrap_or_else(|| panic!("{frame}")).to_owned());
    }
    texts
}

pub(crate) async fn post(person: &Person, car_model: &str) -> String {
    let body = json!({"title": "Quiet", "content": "And quick", "car_model": car_model});
    let reply = Mesh::current()
        .call(Method::POST, "/api/posts", &person.token, &body)
        .await;
    let id = reply.expect(201)["post_id"].as_str().unwrap();
    id.to_owned()
}

#[tokio::test]
async fn s0_11_comments_reach_everybody_on_a_post_in_one_order() {
    let mesh = Mesh::current();
    let (ada, ben) = (mesh.person().await, mesh.person().await);
    let id = post(&ada, "Zoe").await;
    let path = format!("/ws/posts/{id}/comments");
    let mut writers = [
        open(&path, &bearer(&ada)).await.unwrap(),
        open(&path, &bearer(&ben)).await.unwrap(),
    ];
    // The ingress spreads them over all instances.
    let mut readers = Vec::new();
    for _ in 0..10 {
        readers.push(open(&path, &[]).await.unwrap());
    }
    for round in 0..20 {
        let writer = round % 2;
        let frame = json!({"comment_text": format!("{writer}-{round}")});
        say(&mut writers[writer], frame).await;
    }
    let listed = eventually("all comments are stored", || async {
        let path = format!("/api/posts/{id}/comments?limit=100");
        let reply = mesh.get(&path).await;
        let mut comments = reply.expect(200).as_array().unwrap().clone();
        comments.reverse();
        if comments.len() == 20 {
            Ok(comments)
        } else {
            Err(comments.len().to_string())
        }
    })
    .await;
    let stored: Vec<&str> = listed
        .iter()
        .map(|comment| comment["comment_text"].as_str().unwrap())
        .collect();
    for socket in writers.iter_mut().chain(&mut readers) {
        assert_eq!(texts(socket, 20).await, stored);
    }
    let place = listed[16]["comment_id"].as_str().unwrap();
    let mut back = open(&format!("{path}?after={place}"), &[]).await.unwrap();
    assert_eq!(texts(&mut back, 3).await, stored[17..]);
}

#[tokio::test]
async fn s0_27_the_server_says_who_what_and_when() {
    let mesh = Mesh::current();
    let ada = mesh.person().await;
    let id = post(&ada, "Zoe").await;
    let path = format!("/ws/posts/{id}/comments");
    let mut socket = open(&path, &bearer(&ada)).await.unwrap();
    let claimed =
        json!({"comment_id": "x", "user_id": 1, "timestamp": "x", "comment_text": "So true"});
    say(&mut socket, claimed).await;
    let comment = heard(&mut socket).await;
    assert_eq!(comment["comment_text"], "So true");
    assert_eq!(comment["user_id"], ada.id);
    assert!(comment["comment_id"].as_str().unwrap().starts_with(&id));
    assert_ne!(comment["timestamp"], "x");
    // By REST, it comes to the same.
    let rest = format!("/api/posts/{id}/comments");
    let body = json!({"comment_text": "By REST"});
    let reply = mesh.call(Method::POST, &rest, &ada.token, &body).await;
    let comment_id = reply.expect(201)["comment_id"].clone();
    let told = heard(&mut socket).await;
    assert_eq!(
        (&told["comment_text"], &told["comment_id"]),
        (&json!("By REST"), &comment_id)
    );
}

#[tokio::test]
async fn d8_a_token_comes_by_header_subprotocol_or_query() {
    let mesh = Mesh::current();
    let ada = mesh.person().await;
    let id = post(&ada, "Zoe").await;
    let path = format!("/ws/posts/{id}/comments");
    let protocol = [("sec-websocket-protocol", format!("bearer, {}", ada.token))];
    let query = format!("{path}?access_token={}", ada.token);
    let mut nobody = open(&path, &[]).await.unwrap();
    say(&mut nobody, json!({"comment_text": "let me"})).await;
    assert_eq!(heard(&mut nobody).await["event"], "error");
    for (path, headers) in [
        (&path, &bearer(&ada)[..]),
        (&path, &protocol[..]),
        (&query, &[]),
    ] {
        let mut socket = open(path, headers).await.unwrap();
        say(&mut socket, json!({"comment_text": "hello"})).await;
        assert_eq!(texts(&mut socket, 1).await, ["hello"]);
    }
    let status = |result: Result<Socket, Error>| match result.map(|_| ()) {
        Err(Error::Http(response)) => response.status().as_u16(),
        other => panic!("{other:?} instead of a refusal"),
    };
    let forged = [("authorization", "Bearer a.b.c".to_owned())];
    assert_eq!(status(open(&path, &forged).await), 401);
    let foreign = [("origin", "https://foe.example".to_owned())];
    assert_eq!(status(open(&path, &foreign).await), 403);
    assert_eq!(status(open("/ws/posts/nothing/comments", &[]).await), 404);
    let own = [("origin", mesh.address("ingress").to_owned())];
    open(&path, &own).await.unwrap();
}

/// The code and the words with which a socket ends; what comes before is passed over.
pub(crate) async fn farewell(socket: &mut Socket) -> (u16, String) {
    loop {
        let next = tokio::time::timeout(testkit::PATIENCE, socket.next());
        match next.await.expect("it ends in time").unwrap().unwrap() {
            Message::Close(Some(farewell)) => {
                return (farewell.code.into(), farewell.reason.to_string());
            }
            Message::Close(None) => panic!("it ended without a word"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn d3_sockets_end_with_the_logout_and_those_of_others_stay() {
    let mesh = Mesh::current();
    let (ada, ben) = (mesh.person().await, mesh.person().await);
    let id = post(&ada, "Zoe").await;
    let path = format!("/ws/posts/{id}/comments");
    let mut ending = Vec::new();
    // The ingress spreads them over both instances.
    for door in [path.as_str(), "/ws/topics/zoe", "/ws/reviews", "/"] {
        for _ in 0..2 {
            ending.push(open(door, &bearer(&ada)).await.unwrap());
        }
    }
    let mut stays = [
        open(&path, &[]).await.unwrap(),
        open(&path, &bearer(&ben)).await.unwrap(),
    ];
    mesh.call(Method::POST, "/api/auth/logout", &ada.token, &Value::Null)
        .await
        .expect(200);
    for socket in &mut ending {
        let told = farewell(socket).await;
        assert_eq!(told, (4401, "The token was logged out".to_owned()));
    }
    say(&mut stays[1], json!({"comment_text": "still here"})).await;
    for socket in &mut stays {
        assert_eq!(texts(socket, 1).await, ["still here"]);
    }
}

#[tokio::test]
async fn s3_19_the_root_path_is_a_socket_and_a_page() {
    let mesh = Mesh::current();
    let ada = mesh.person().await;
    let room = testkit::unique("room-");
    let mut sockets = Vec::new();
    for path in ["/", "/ws/reviews"] {
        let mut socket = open(path, &bearer(&ada)).await.unwrap();
        let place = json!({"user_id": ada.id.to_string(), "room_id": room});
        say(
            &mut socket,
            json!({"event": "join_notification", "data": place}),
        )
        .await;
        let joined = heard(&mut socket).await;
        let text = format!("User {} has joined the room {room}", ada.id);
        assert_eq!(
            joined,
            json!({"event": "message", "data": {"message": text}})
        );
        sockets.push(socket);
    }
    heard(&mut sockets[0]).await;
    let review = json!({"user_id": ada.id.to_string(), "room_id": room, "review_title": "Great"});
    say(
        &mut sockets[0],
        json!({"event": "new_review", "data": review}),
    )
    .await;
    let text = format!("User {} added a new review: Great", ada.id);
    for socket in &mut sockets {
        // The one joining may still be told by the other instance.
        while heard(socket).await["data"]["message"] != text {}
    }
    // D15: without `Upgrade` it is the gateway's page.
    mesh.get("/").await.expect(200);
    mesh.get("/ws/reviews").await.problem(426);
}

#[tokio::test]
async fn d22_a_review_made_by_rest_reaches_the_room_of_its_movie() {
    let mesh = Mesh::current();
    let ada = mesh.person().await;
    let movie = json!({
        "title": "Live", "description": "A movie", "rating": 7.5, "genre": "Drama",
        "poster_url": "https://example.com/p.jpg", "release_date": "2020-01-01",
    });
    let entered = mesh
        .call(Method::POST, "/api/movies", &ada.token, &movie)
        .await;
    let id = &entered.expect(201)["id"];
    let place = json!({"user_id": "guest", "room_id": id.to_string()});
    let mut socket = open("/", &[]).await.unwrap();
    let join = json!({"event": "join_notification", "data": place});
    say(&mut socket, join).await;
    heard(&mut socket).await;
    let mut io = SocketIo::open(mesh.address("ingress"), &json!({}));
    io.emit("join_notification", place).await;
    io.until("message").await;
    let review = json!({"title": "Great", "body": "Really", "rating": 9});
    let path = format!("/api/movies/{id}/reviews");
    let written = mesh.call(Method::POST, &path, &ada.token, &review).await;
    written.expect(201);
    let told = io.until("new_review").await;
    assert_eq!(told[1]["review_title"], "Great");
    // The plain socket heard the other one join.
    heard(&mut socket).await;
    let frame = json!({"event": "new_review", "data": told[1]});
    assert_eq!(heard(&mut socket).await, frame);
}

#[tokio::test]
async fn d10_a_new_post_shows_in_the_discussion_of_its_model() {
    let mesh = Mesh::current();
    let ada = mesh.person().await;
    let model = testkit::unique("Model ");
    let path = format!("/ws/topics/{}", model.to_lowercase().replace(' ', "%20"));
    let mut socket = open(&path, &bearer(&ada)).await.unwrap();
    say(&mut socket, json!({"comment_text": "Anybody here?"})).await;
    let said = heard(&mut socket).await;
    assert_eq!(said["data"]["user_id"], ada.id);
    let id = post(&ada, &model).await;
    let told = heard(&mut socket).await;
    assert_eq!(
        (&told["event"], &told["data"]["post_id"]),
        (&json!("new_post"), &json!(id))
    );
}

#[tokio::test]
async fn s0_16_s0_23_presence_and_gauges_know_all_instances() {
    let mesh = Mesh::current();
    let ada = mesh.person().await;
    let id = post(&ada, "Zoe").await;
    let path = format!("/ws/posts/{id}/comments");
    let mut sockets = vec![open(&path, &bearer(&ada)).await.unwrap()];
    for _ in 0..5 {
        sockets.push(open(&path, &[]).await.unwrap());
    }
    eventually("all sockets are present", || async {
        let reply = mesh.get(&format!("/ws/presence/posts:{id}")).await;
        let shown = reply.expect(200);
        if shown["sockets"] == 6 && shown["user_ids"] == json!([ada.id]) {
            Ok(())
        } else {
            Err(shown.to_string())
        }
    })
    .await;
    // What `live` scales on, as Prometheus has it: other tests open some, too.
    for (gauge, least) in [("live_sockets", 6.0), ("live_rooms", 1.0)] {
        eventually(gauge, || async {
            let found = mesh.number(&format!("sum({gauge})")).await;
            let enough = found.is_some_and(|found| found >= least);
            enough.then_some(()).ok_or(format!("{found:?}"))
        })
        .await;
    }
}
