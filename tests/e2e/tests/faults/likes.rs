//! Claim (S2-68, D28): Redis can be emptied or killed, and no answer of `likes` is wrong.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use reqwest::Method;
use serde_json::Value;
use testkit::{Mesh, eventually, mesh::Person};

use crate::ONE_AT_A_TIME;

/// What `redis-cli` would answer; nothing while Redis is away.
fn redis(command: &str) -> String {
    let url = Mesh::current().address("redis");
    let (password, host) = url
        .trim_start_matches("redis://:")
        .trim_end_matches("/0")
        .split_once('@')
        .expect("a URL with a password");
    let mut answer = String::new();
    let _ = TcpStream::connect(host).and_then(|mut stream| {
        let commands = format!("AUTH {password}\r\n{command}\r\nQUIT\r\n");
        stream.write_all(commands.as_bytes())?;
        stream.read_to_string(&mut answer)
    });
    answer
}

async fn like(person: &Person, post_id: i64) {
    let path = format!("/likes/{post_id}");
    let mesh = Mesh::current();
    let liked = mesh.call(Method::POST, &path, &person.token, &Value::Null);
    liked.await.expect(200);
}

/// Every kind of answer about a person's likes.
async fn answers(fan: &Person, posts: &[i64]) -> Vec<Value> {
    let mesh = Mesh::current();
    let mut paths = vec![
        "/likes/popular?limit=200".to_owned(),
        format!("/users/{}/likes", fan.username),
    ];
    paths.extend(posts.iter().map(|post| format!("/likes/{post}/count")));
    let mut answers = Vec::new();
    for path in paths {
        answers.push(mesh.get(&path).await.expect(200).clone());
    }
    answers
}

/// Posts, one of them liked by one more.
async fn liked(fan: &Person) -> Vec<i64> {
    let mesh = Mesh::current();
    let (author, other) = (mesh.person().await, mesh.person().await);
    let mut posts = Vec::new();
    for text in ["One", "Two", "Three"] {
        let body = serde_json::json!({ "text": text });
        let written = mesh
            .call(Method::POST, "/posts", &author.token, &body)
            .await;
        posts.push(written.expect(201)["post_id"].as_i64().expect("a number"));
    }
    for post in &posts {
        like(fan, *post).await;
    }
    like(&other, posts[1]).await;
    posts
}

async fn answered_from_redis(post: i64) {
    eventually("counters in Redis", || async {
        Mesh::current()
            .get(&format!("/likes/{post}/count"))
            .await
            .expect(200);
        let key = redis(&format!("HGET likes:count:{post} likes"));
        key.contains("$1\r\n").then_some(()).ok_or(key)
    })
    .await;
}

#[tokio::test]
async fn d28_s2_68_after_flushall_every_answer_about_likes_is_the_same() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let fan = Mesh::current().person().await;
    let posts = liked(&fan).await;
    answered_from_redis(posts[0]).await;
    let before = answers(&fan, &posts).await;
    assert!(redis("FLUSHALL").contains("+OK\r\n+OK"));
    assert_eq!(answers(&fan, &posts).await, before, "at once");
    answered_from_redis(posts[0]).await;
    assert_eq!(
        answers(&fan, &posts).await,
        before,
        "when it is filled again"
    );
}

#[tokio::test]
async fn d28_s2_68_while_redis_dies_and_comes_back_likes_are_answered() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let fan = Mesh::current().person().await;
    let posts = liked(&fan).await;
    answered_from_redis(posts[0]).await;
    let before = answers(&fan, &posts).await;
    // It ends at once, without saving; the supervisor starts it again.
    redis("SHUTDOWN NOSAVE NOW FORCE");
    assert_eq!(answers(&fan, &posts).await, before, "while it is away");
    eventually("Redis is back", || async {
        let said = redis("PING");
        said.contains("+PONG").then_some(()).ok_or(said)
    })
    .await;
    answered_from_redis(posts[0]).await;
    assert_eq!(answers(&fan, &posts).await, before, "when it is back");
}
