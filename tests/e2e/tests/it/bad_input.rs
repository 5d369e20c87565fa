//! Claim (D4, S11 to S14): bad input is answered with a problem document that has `message`;
//! never with a 500, never by dropping the connection. So are the ingress's own refusals.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use testkit::{Mesh, Reply, send};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

async fn raw_body(path: &str, token: &str, kind: &str, body: impl Into<reqwest::Body>) -> Reply {
    let request = Mesh::current()
        .request(Method::POST, path)
        .header("content-type", kind);
    send(request.bearer_auth(token).body(body)).await
}

#[tokio::test]
async fn d4_broken_bodies_are_problems_on_every_service() {
    let person = Mesh::current().person().await;
    for path in ["/users/register", "/api/posts"] {
        let json_type = "application/json";
        raw_body(path, &person.token, json_type, "{")
            .await
            .problem(400);
        raw_body(path, &person.token, json_type, vec![0xff, 0xfe])
            .await
            .problem(400);
        raw_body(path, &person.token, json_type, "")
            .await
            .problem(400);
        raw_body(path, &person.token, json_type, "[]")
            .await
            .problem(422);
        raw_body(
            path,
            &person.token,
            json_type,
            "{\"title\":{\"$ne\":null},\"username\":{\"$ne\":null}}",
        )
        .await
        .problem(422);
        raw_body(
            path,
            &person.token,
            json_type,
            format!("{{\"x\":{}", "[".repeat(50_000)),
        )
        .await
        .problem(400);
        raw_body(path, &person.token, "text/plain", "{}")
            .await
            .problem(415);
        raw_body(path, &person.token, "application/xml", "<a/>")
            .await
            .problem(415);
        raw_body(path, &person.token, json_type, "x".repeat(2 * 1024 * 1024))
            .await
            .problem(413);
    }
}

#[tokio::test]
async fn d4_unknown_paths_and_methods_are_problems() {
    let mesh = Mesh::current();
    for path in [
        "/nothing",
        "/api/nothing",
        "/api/posts/x/y/z",
        "/plaza.users.v1.Users/Get",
        "/metrics",
        "/readyz",
    ] {
        mesh.get(path).await.problem(404);
    }
    mesh.get("/%00").await.problem(400);
    let reply = send(mesh.request(Method::PATCH, "/api/posts")).await;
    reply.problem(405);
    assert!(
        reply.header("allow").contains("GET") && reply.header("allow").contains("POST"),
        "{}",
        reply.header("allow")
    );
}

#[tokio::test]
async fn x22_the_grpc_side_is_not_reachable_from_outside() {
    let request = Mesh::current()
        .request(Method::POST, "/plaza.users.v1.Users/Get")
        .header("content-type", "application/grpc");
    let reply = send(request.body(vec![0; 5])).await;
    assert!(
        reply.status == 404 || reply.header("grpc-status") == "12",
        "{} {:?}",
        reply.status,
        reply.headers
    );
}

#[tokio::test]
async fn d7_limits_and_cursors_are_checked() {
    let mesh = Mesh::current();
    for query in [
        "limit=0",
        "limit=-1",
        "limit=x",
        "cursor=x",
        "cursor=%00",
        "limit=1.5",
    ] {
        mesh.get(&format!("/api/posts?{query}")).await.problem(400);
    }
    assert!(
        mesh.get("/api/posts?limit=100000")
            .await
            .expect(200)
            .as_array()
            .unwrap()
            .len()
            <= 200
    );
}

/// Sends bytes to the ingress and reads until it closes.
async fn raw(bytes: &[u8]) -> String {
    let address = Mesh::current()
        .address("ingress")
        .trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut answer)).await;
    read.expect("the ingress closes in time").unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn s12_a_slow_header_sender_is_cut_off_by_the_ingress() {
    let answer = raw(b"GET /api/auth/status HTTP/1.1\r\nhost: plaza\r\nx-slow: ").await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 408"),
        "{answer}"
    );
}

#[tokio::test]
async fn s11_ambiguous_requests_are_refused_and_smuggle_nothing() {
    for lengths in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "Content-Length: 4\r\nContent-Length: 5",
        "Content-Length: +4",
    ] {
        let request = format!(
            "POST /login HTTP/1.1\r\nHost: plaza\r\n{lengths}\r\nConnection: close\r\n\r\n0\r\n\r\nGET /api/auth/status HTTP/1.1\r\nHost: plaza\r\n\r\n"
        );
        let answer = raw(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{lengths}: {answer}");
        assert!(
            !answer.contains("Connected"),
            "{lengths}: a second request got through: {answer}"
        );
    }
}

#[tokio::test]
async fn s19_errors_carry_nothing_of_the_inside() {
    let mesh = Mesh::current();
    let body = json!({"username": "canary-user", "password": "canary-password"});
    let reply = mesh.call(Method::POST, "/login", "", &body).await;
    reply.problem(401);
    for word in ["canary", "sqlx", "SELECT", "/home", "panicked", "src/"] {
        assert!(!reply.text.contains(word), "{word}: {}", reply.text);
    }
}
