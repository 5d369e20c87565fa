//! Claim: `cargo mesh why` names the cause of ten failures, each of them made for real.

use std::{fs, process::Command, time::Duration};

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Frozen, Mesh, Reply, eventually_within, send, unique};

use crate::{ONE_AT_A_TIME, POST_OFFICE, post::Away};

/// What a busy machine may take until a failure is seen everywhere.
const SEEN: Duration = Duration::from_mins(3);

/// What the command says of an answer.
fn why(reply: &Reply) -> String {
    explained(reply.header("x-trace-id"))
}

fn explained(id: &str) -> String {
    let state = &Mesh::current().state;
    let output = Command::new(state.join("bin/mesh"))
        .args(["why", id, "--state"])
        .arg(state)
        .output()
        .expect("the command runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text + &String::from_utf8_lossy(&output.stderr)
}

/// Asserts that the end of a story has all these words.
#[track_caller]
fn says(story: &str, words: &[&str]) {
    for word in words {
        assert!(story.contains(word), "no `{word}` in\n{story}");
    }
}

async fn call(method: Method, path: &str, token: &str, body: &Value) -> Reply {
    Mesh::current().call(method, path, token, body).await
}

#[tokio::test]
async fn what_the_client_did_is_named() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let mesh = Mesh::current();
    let person = mesh.person().await;
    let unknown = mesh.get("/nowhere/at/all").await;
    assert_eq!(unknown.status, 404, "{}", unknown.text);
    let large = json!({"title": "x".repeat(3 << 20), "content": "", "car_model": "Zoe"});
    let large = call(Method::POST, "/api/posts", &person.token, &large).await;
    assert_eq!(large.status, 413, "{}", large.text);
    let wrong = json!({"username": person.username, "password": "wrong"});
    let limited = eventually_within(SEEN, "a limit", || async {
        let reply = call(Method::POST, "/login", "", &wrong).await;
        if reply.status == 429 {
            Ok(reply)
        } else {
            Err(reply.text)
        }
    })
    .await;
    let token = mesh.person().await.token;
    call(Method::POST, "/api/auth/logout", &token, &Value::Null)
        .await
        .expect(200);
    let gone = call(Method::GET, "/api/users/me", &token, &Value::Null).await;
    gone.problem(401);

    says(
        &why(&unknown),
        &["cause: no service has a route for GET /nowhere/at/all"],
    );
    says(
        &why(&large),
        &["cause: the body is too large", "POST /api/posts"],
    );
    says(
        &why(&limited),
        &["cause: this may not be asked so often", "POST /login"],
    );
    let story = explained(gone.header("x-request-id"));
    says(
        &story,
        &[
            "cause: the token was logged out",
            "users GET /api/users/me 401",
            "log in again",
        ],
    );
}

#[tokio::test]
async fn a_denied_call_is_named_with_the_line_that_declares_it() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let mesh = Mesh::current();
    let person = mesh.person().await;
    let before = mesh
        .consul_get("config/service-intentions/discussions")
        .await;
    let mut without = before.clone();
    without["Sources"]
        .as_array_mut()
        .unwrap()
        .retain(|source| source["Name"] != "users");
    write(&without).await;
    let path = format!("/api/users/{}", person.id);
    let found = denied(&path, &person.token).await;
    write(&before).await;
    says(
        &found.unwrap(),
        &[
            "cause: users may not call discussions: POST /plaza.discussions.v1.Discussions/CountByUser was denied (RBAC)",
            "consul/intentions/discussions.json allows it (declared at services/users/src/clients.rs:",
            "do: run `cargo mesh up`",
        ],
    );
}

/// What the command says once sidecars know, or the last that it said.
async fn denied(path: &str, token: &str) -> Result<String, String> {
    let mut last = Err(String::new());
    for _ in 0..10 {
        let reply = call(Method::GET, path, token, &Value::Null).await;
        let story = why(&reply);
        if story.contains("RBAC") {
            return Ok(story);
        }
        last = Err(story);
    }
    last
}

async fn write(entry: &Value) {
    let mesh = Mesh::current();
    let request = mesh.consul(Method::PUT, "config", &mesh.tokens.management);
    send(request.json(entry)).await.expect(200);
}

#[tokio::test]
async fn a_dead_service_and_a_slow_store_are_named() {
    // Buying goes on beside `absence`, and needs the store.
    let _mails = POST_OFFICE.lock().await;
    let _alone = ONE_AT_A_TIME.lock().await;
    let mesh = Mesh::current();
    let away = Away::of("polls-1", || mesh.process("polls-1")).await;
    let dead = mesh.get("/polls/1").await;
    drop(away);
    assert_eq!(dead.status, 503, "{}", dead.text);

    let frozen = Frozen::new(documents());
    let slow = mesh.get("/item").await;
    drop(frozen);
    assert_eq!(slow.status, 503, "{}", slow.text);

    says(&why(&dead), &["cause: polls does not answer"]);
    says(
        &why(&slow),
        &[
            "cause: the store of items is slow or away",
            "(documents) took",
        ],
    );
}

/// The process of the store of documents; others of the program are for suites.
fn documents() -> u32 {
    let folder = Mesh::current()
        .state
        .join("documents")
        .display()
        .to_string();
    let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let mut processes = entries.filter_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let arguments = fs::read(entry.path().join("cmdline")).ok()?;
        let mut arguments = arguments.split(|byte| *byte == 0);
        let documents = arguments.next()?.ends_with(b"documents");
        (documents && arguments.any(|argument| argument == folder.as_bytes())).then_some(pid)
    });
    processes.next().expect("the store of documents runs")
}

#[tokio::test]
async fn what_goes_wrong_behind_an_answer_is_named() {
    let _mails = POST_OFFICE.lock().await;
    let _alone = ONE_AT_A_TIME.lock().await;
    let mesh = Mesh::current();
    let person = mesh.person().await;

    let away = Away::of("mail", || mesh.program("mail")).await;
    let to = format!("{}@example.com", unique("to"));
    let body = json!({"type": "email", "recipient": to, "message": "Hello"});
    let mailed = call(Method::POST, "/notifications/send", &person.token, &body).await;
    mailed.expect(202);
    eventually_within(SEEN, "the mail server is missed", || async {
        let story = why(&mailed);
        if story.contains("cause: the mail server did not take a mail") {
            Ok(())
        } else {
            Err(story)
        }
    })
    .await;
    drop(away);

    let frozen = Frozen::new(mesh.process("notifications-1").unwrap());
    let item = json!({"name": unique("Lamp "), "price": 1});
    let added = call(Method::POST, "/item", &person.token, &item).await;
    added.expect(201);
    let story = eventually_within(SEEN, "an event that waits", || async {
        let story = why(&added);
        if story.contains("nobody has consumed it") {
            Ok(story)
        } else {
            Err(story)
        }
    })
    .await;
    drop(frozen);
    says(&story, &["cause: the event items.added"]);

    let frozen = Frozen::new(mesh.program("redis-server").expect("Redis runs"));
    let missed = eventually_within(SEEN, "Redis is missed", || async {
        let reply = mesh.get("/likes/popular").await;
        let story = why(&reply);
        if story.contains("cause: Redis is away") {
            Ok(story)
        } else {
            Err(story)
        }
    })
    .await;
    drop(frozen);
    says(&missed, &["docs/runbooks/RedisAway.md"]);
}

#[tokio::test]
async fn an_id_that_nobody_knows_is_said_to_be_none() {
    let unknown = explained("00000000000000000000000000000001");
    says(&unknown, &["nobody knows 00000000000000000000000000000001"]);
    says(&explained("a b"), &["neither a trace id"]);
}
