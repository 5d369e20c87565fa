//! Whatever is sent, the answer is a problem document (D4) and never a 500.

use reqwest::Method;
use serde_json::json;
use testkit::{Reply, send};
use users::Users;

use crate::helpers::{Backend, PASSWORD, get, post, start};

type Service = testkit::TestService<Users>;

crate::on_each_store![
    d4_bodies_that_are_none_are_told_apart,
    d4_unknown_paths_and_methods_are_told_apart,
    d4_a_trailing_slash_and_head_are_accepted,
    s9_members_that_a_client_may_not_set_are_ignored,
    d1_values_outside_their_bounds_are_422,
    a_password_of_another_type_is_not_said_back,
];

async fn raw(users: &Service, kind: &str, body: Vec<u8>) -> Reply {
    send(
        users
            .request(Method::POST, "/register")
            .header("content-type", kind)
            .body(body),
    )
    .await
}

async fn d4_bodies_that_are_none_are_told_apart(backend: Backend) {
    let users = start(backend).await;
    let json_type = "application/json";
    raw(&users, json_type, b"{".to_vec()).await.problem(400);
    raw(&users, json_type, b"\xff\xfe".to_vec())
        .await
        .problem(400);
    raw(&users, json_type, Vec::new()).await.problem(400);
    raw(
        &users,
        json_type,
        format!("{{\"x\":{}", "[".repeat(60_000)).into_bytes(),
    )
    .await
    .problem(400);
    raw(&users, json_type, b"1e999".to_vec()).await.problem(422);
    raw(&users, json_type, b"null".to_vec()).await.problem(422);
    raw(
        &users,
        json_type,
        b"{\"username\":\"abc\",\"username\":\"abd\"}".to_vec(),
    )
    .await
    .problem(422);
    raw(&users, json_type, b"{\"username\":\"\\ud800\"}".to_vec())
        .await
        .problem(422);
    raw(&users, "text/plain", b"{}".to_vec()).await.problem(415);
    raw(
        &users,
        "application/x-www-form-urlencoded",
        b"username=abc".to_vec(),
    )
    .await
    .problem(415);
    let too_large = format!("{{\"username\":\"{}\"}}", "x".repeat(512 * 1024));
    raw(&users, json_type, too_large.into_bytes())
        .await
        .problem(413);
    let gzip = users
        .request(Method::POST, "/register")
        .header("content-type", json_type)
        .header("content-encoding", "gzip");
    send(gzip.body("x")).await.problem(415);
}

async fn d4_unknown_paths_and_methods_are_told_apart(backend: Backend) {
    let users = start(backend).await;
    get(&users, "/nothing/here", "").await.problem(404);
    let reply = send(users.request(Method::DELETE, "/users/register")).await;
    reply.problem(405);
    assert_eq!(reply.header("allow"), "POST", "nobody is called `register`");
    let reply = send(users.request(Method::PUT, "/api/auth/logout")).await;
    reply.problem(405);
    assert_eq!(reply.header("allow"), "POST");
}

async fn d4_a_trailing_slash_and_head_are_accepted(backend: Backend) {
    let users = start(backend).await;
    get(&users, "/api/auth/status/", "").await.expect(200);
    let head = send(users.request(Method::HEAD, "/api/auth/status")).await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
}

async fn s9_members_that_a_client_may_not_set_are_ignored(backend: Backend) {
    let users = start(backend).await;
    let body = json!({
        "username": "mallory", "email": "m@example.com", "password": PASSWORD,
        "id": 4242, "user_id": 4242, "role": "admin", "is_admin": true, "created_at": "1970-01-01", "password_hash": "x",
    });
    let answer = post(&users, "/register", &body).await.expect(201).clone();
    assert_ne!(answer["user_id"], 4242);
    assert!(answer.get("role").is_none() && answer.get("is_admin").is_none());
    get(&users, "/api/users/4242", "").await.problem(404);
}

async fn d1_values_outside_their_bounds_are_422(backend: Backend) {
    let users = start(backend).await;
    let good = json!({"username": "someone", "email": "s@example.com", "password": PASSWORD});
    let bad = [
        ("username", json!("ab")),
        ("username", json!("x".repeat(51))),
        ("username", json!("me")),
        ("username", json!("a b")),
        ("username", json!(7)),
        ("username", json!("a\0bc")),
        ("email", json!("no address")),
        ("email", json!("a@b.c\r\nBcc: d@e.f")),
        ("email", json!("Ada <a@b.c>")),
        ("email", json!("a@b.c, d@e.f")),
        ("password", json!("short")),
        ("password", json!("x".repeat(2000))),
        ("password", json!({"$gt": ""})),
        ("bio", json!("x".repeat(1001))),
        ("name", json!("")),
        ("name", json!("a\0b")),
        ("username", json!(null)),
    ];
    for (member, value) in bad {
        let mut body = good.clone();
        body[member] = value.clone();
        let reply = post(&users, "/register", &body).await;
        assert_eq!(reply.status, 422, "{member} {value}: {}", reply.text);
        reply.problem(422);
    }
}

async fn a_password_of_another_type_is_not_said_back(backend: Backend) {
    let users = start(backend).await;
    let number = 8_123_456_789_u64;
    for (path, body, expected) in [
        (
            "/login",
            json!({"username": "ada", "password": number}),
            "`password` must be a text",
        ),
        (
            "/api/auth/register",
            json!({"username": "ada", "email": "ada@example.com", "password": [number]}),
            "`password` must be a text",
        ),
        (
            "/api/users/register",
            json!({"name": "Ada", "email": {"a": number}, "password": "correct horse"}),
            "`email` must be a text",
        ),
        (
            "/users/login",
            json!(number.to_string()),
            "The body must be an object",
        ),
    ] {
        let refused = post(&users, path, &body).await;
        assert_eq!(refused.problem(422), expected, "{path}");
        assert!(!refused.text.contains(&number.to_string()), "{path}");
    }
}
