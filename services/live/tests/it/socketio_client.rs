//! The client of Socket.IO that npm has, set up as it comes, before two instances that know
//! nothing of each other's clients.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use serde_json::{Value, json};
use testkit::{Signer, SocketIo};
use tokio::net::{TcpListener, TcpStream};

use crate::{ends::log_out, world::World};

/// Gives each connection to the next instance in turn.
#[derive(Debug, Clone)]
struct Turns {
    instances: Arc<Mutex<Vec<SocketAddr>>>,
    taken: Arc<AtomicUsize>,
    url: String,
}

impl Turns {
    async fn start(instances: &[SocketAddr]) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let turns = Self {
            instances: Arc::new(Mutex::new(instances.to_vec())),
            taken: Arc::default(),
            url: format!("http://{}", listener.local_addr().unwrap()),
        };
        let own = turns.clone();
        tokio::spawn(async move {
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                let to = own.next();
                tokio::spawn(async move {
                    if let Ok(mut server) = TcpStream::connect(to).await {
                        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        });
        turns
    }

    fn next(&self) -> SocketAddr {
        let instances = self.instances.lock().unwrap();
        instances[self.taken.fetch_add(1, SeqCst) % instances.len()]
    }

    fn remove(&self, instance: SocketAddr) {
        let mut instances = self.instances.lock().unwrap();
        instances.retain(|other| *other != instance);
    }
}

/// The next comments, and how often the connection was lost meanwhile.
async fn comments(client: &mut SocketIo, number: usize) -> (Vec<String>, Vec<Value>) {
    let (mut texts, mut lost) = (Vec::new(), Vec::new());
    while texts.len() < number {
        let happened = client.next().await;
        match happened[0].as_str() {
            Some("comment") => texts.push(happened[1]["comment_text"].as_str().unwrap().to_owned()),
            Some("disconnect") => lost.push(happened[2].clone()),
            _ => {}
        }
    }
    (texts, lost)
}

#[tokio::test]
async fn d23b_a_client_as_it_comes_uses_any_instance_and_changes_to_another() {
    let world = World::start();
    let (one, other) = (world.live(&[]).await, world.live(&[]).await);
    let turns = Turns::start(&[one.address, other.address]).await;
    // One request more or less for each, so that their sockets end up here and there.
    let mut clients = Vec::new();
    for _ in 0..4 {
        turns.next();
        let mut client = SocketIo::open(&turns.url, &json!({"reconnectionDelay": 100}));
        assert_eq!(client.next().await, json!(["connect", "websocket"]));
        assert_eq!(client.join("posts/p").await, json!({"ok": true}));
        clients.push(client);
    }
    // One that stays on each instance, whatever comes of the others.
    for live in [&one, &other] {
        let url = format!("http://{}", live.address);
        let mut client = SocketIo::open(&url, &json!({"transports": ["websocket"]}));
        assert_eq!(client.next().await, json!(["connect", "websocket"]));
        assert_eq!(client.join("posts/p").await, json!({"ok": true}));
        clients.push(client);
    }
    for text in ["1", "2"] {
        world.discussions.write("p", 7, text);
    }
    for client in &mut clients {
        assert_eq!(comments(client, 2).await.0, ["1", "2"]);
    }
    turns.remove(one.address);
    let (bound, stays) = (clients.remove(4), clients.remove(4));
    let ending = tokio::spawn(one.stop());
    for text in ["3", "4", "5"] {
        world.discussions.write("p", 7, text);
    }
    clients.push(stays);
    for client in &mut clients {
        let (texts, lost) = comments(client, 3).await;
        assert_eq!(texts, ["3", "4", "5"]);
        assert!(lost.iter().all(|code| *code == 1012), "{lost:?}");
    }
    let mut bound = bound;
    assert_eq!(
        bound.until("disconnect").await,
        json!(["disconnect", "transport close", 1012])
    );
    ending.await.unwrap();
}

#[tokio::test]
async fn d23b_a_client_without_websockets_is_told_that_it_needs_them() {
    let world = World::start();
    let live = world.live(&[]).await;
    let url = format!("http://{}", live.address);
    let mut client = SocketIo::open(&url, &json!({"transports": ["polling"]}));
    let error = client.next().await;
    assert!(
        error[1]
            .as_str()
            .unwrap()
            .contains("WebSocket did not come"),
        "{error}"
    );
    assert_eq!(
        (&error[0], &error[2]["status"], &error[3]),
        (&json!("connect_error"), &json!(422), &json!(false))
    );
}

#[tokio::test]
async fn a_client_whose_token_ends_hears_why_and_stays_away() {
    let world = World::start();
    let live = world.live(&[]).await;
    let url = format!("http://{}", live.address);
    for options in [json!({}), json!({"transports": ["websocket"]})] {
        let claims = Signer::claims(7, "ada");
        let mut all = options.clone();
        all["auth"] = json!({ "token": live.signer().sign(&claims) });
        let mut client = SocketIo::open(&url, &all);
        assert_eq!(client.next().await, json!(["connect", "websocket"]));
        log_out(&live, &[&claims.jti], false);
        let why = json!({"message": "The token was logged out"});
        assert_eq!(client.until("error").await[1], why);
        let gone = client.until("disconnect").await;
        assert_eq!(gone[1], "io server disconnect", "{gone}");
    }
}
