//! Claim (D23b): a client of Socket.IO is back by itself when its instance ends, and has missed nothing.

use reqwest::Method;
use serde_json::json;
use testkit::{Mesh, Signal, SocketIo};

use crate::{ONE_AT_A_TIME, back, signal};

const CLIENTS: usize = 3;

#[tokio::test]
async fn d23b_clients_come_back_to_another_instance_and_miss_nothing() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let mesh = Mesh::current();
    let ada = mesh.person().await;
    let body = json!({"title": "Quiet", "content": "And quick", "car_model": "Zoe"});
    let reply = mesh
        .call(Method::POST, "/api/posts", &ada.token, &body)
        .await;
    let id = reply.expect(201)["post_id"].as_str().unwrap().to_owned();
    let path = format!("/api/posts/{id}/comments");
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let options = json!({"auth": {"token": ada.token}, "reconnectionDelay": 200});
        let mut client = SocketIo::open(mesh.address("ingress"), &options);
        assert_eq!(client.next().await[0], "connect");
        assert_eq!(client.join(&format!("posts/{id}")).await["ok"], true);
        clients.push(client);
    }
    let mut said = vec!["before".to_owned()];
    let first = json!({"comment_text": "before"});
    mesh.call(Method::POST, &path, &ada.token, &first)
        .await
        .expect(201);
    for client in &mut clients {
        let comment = client.until("comment").await;
        assert_eq!(comment[1]["comment_text"], "before");
    }
    // One instance goes in peace, the other does not: each client loses its connection.
    for (instance, how) in [("live-1", Signal::TERM), ("live-2", Signal::KILL)] {
        let old = signal(instance, how);
        for round in 0..5 {
            let text = format!("{instance} {round}");
            let comment = json!({"comment_text": text});
            mesh.call(Method::POST, &path, &ada.token, &comment)
                .await
                .expect(201);
            said.push(text);
        }
        back(instance, old, "/ws/presence/posts:none").await;
    }
    let mut lost = 0;
    for client in &mut clients {
        let mut heard = vec!["before".to_owned()];
        while heard.len() < said.len() {
            let happened = client.next().await;
            match happened[0].as_str() {
                Some("comment") => {
                    heard.push(happened[1]["comment_text"].as_str().unwrap().to_owned());
                }
                Some("disconnect") => lost += 1,
                _ => {}
            }
        }
        assert_eq!(heard, said);
    }
    assert!(lost >= CLIENTS, "{lost}");
}
