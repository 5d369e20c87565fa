//! Claim: clients that nobody here wrote are answered by the ingress of a whole mesh. What its listener does by itself is shown in
//! `mesh/cli/src/edge/tests.rs`; this is what takes services behind it.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use testkit::{Mesh, send, unique};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::operations::operations;

/// An origin that each mesh of tests allows.
const FRIEND: &str = "https://friend.example";

/// Sends bytes to the ingress and reads until it closes.
async fn raw(bytes: &str) -> String {
    let address = Mesh::current()
        .address("ingress")
        .trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut answer)).await;
    read.expect("the ingress closes in time").unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn http_1_0_reaches_services_with_and_without_a_host() {
    for host in ["", "Host: plaza\r\n"] {
        let answer = raw(&format!("GET /health HTTP/1.0\r\n{host}\r\n")).await;
        let line = answer.lines().next().unwrap_or_default();
        assert!(line.ends_with(" 200 OK"), "{answer}");
        assert!(!answer.contains("transfer-encoding"), "{answer}");
    }
}

#[tokio::test]
async fn an_upgrade_that_nobody_knows_is_ignored() {
    for upgrade in ["TLS/1.2", "h2c", "foo"] {
        let request = Mesh::current().request(Method::GET, "/posts?limit=1");
        let request = request.header("connection", "Upgrade");
        send(request.header("upgrade", upgrade)).await.expect(200);
    }
}

#[tokio::test]
async fn a_socket_is_told_from_what_is_none() {
    let mesh = Mesh::current();
    let upgrade = |path: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nHost: plaza\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
    };
    let answer = raw(&upgrade("/api/movies")).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    for path in ["/ws/reviews", "/ws/topics/Zoe", "/ws/posts/x/comments"] {
        let reply = mesh.get(path).await;
        reply.problem(426);
        assert_eq!(reply.header("upgrade"), "websocket", "{path}");
    }
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_uses_rest_and_polling_and_one_of_another_does_not() {
    let mesh = Mesh::current();
    for origin in [FRIEND, "http://localhost:3000"] {
        let asked = mesh
            .request(Method::OPTIONS, "/posts")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization");
        let preflight = send(asked).await;
        preflight.expect(204);
        let methods = preflight.header("access-control-allow-methods");
        assert_eq!(methods, "GET, HEAD, POST");
        for path in ["/posts", "/socket.io/?EIO=4&transport=polling", "/nothing"] {
            let reply = send(mesh.request(Method::GET, path).header("origin", origin)).await;
            let shared = reply.headers.get_all("access-control-allow-origin");
            let shared: Vec<_> = shared.iter().collect();
            assert_eq!(shared, [origin], "{path}");
        }
    }
    let foe = |path| {
        let request = mesh.request(Method::GET, path);
        send(request.header("origin", "https://foe.example"))
    };
    let refused = foe("/posts").await;
    assert_eq!(refused.header("access-control-allow-origin"), "");
    let document = foe("/openapi.json").await;
    assert_eq!(document.header("access-control-allow-origin"), "*");
}

#[tokio::test]
async fn each_operation_is_in_the_preflight_of_its_path() {
    let mesh = Mesh::current();
    for service in mesh.services.keys() {
        let operations = operations(service).into_iter();
        for operation in operations.filter(|operation| !operation.socket) {
            let asked = mesh
                .request(Method::OPTIONS, &operation.path())
                .header("origin", FRIEND)
                .header("access-control-request-method", operation.method.as_str());
            let reply = send(asked).await;
            let what = format!("{} {}", operation.method, operation.path());
            assert_eq!(reply.status, 204, "{what}: {}", reply.text);
        }
    }
}

#[tokio::test]
async fn long_answers_are_compressed_and_known_ones_not_sent_again() {
    let mesh = Mesh::current();
    let person = mesh.person().await;
    for _ in 0..8 {
        let text = unique("a text of some length, so that a list of them is worth it ");
        let body = json!({ "text": text });
        let made = mesh.call(Method::POST, "/posts", &person.token, &body);
        made.await.expect(201);
    }
    for path in ["/docs/swagger-ui.js", "/openapi.json", "/posts?limit=200"] {
        let request = mesh.request(Method::GET, path);
        let reply = send(request.header("accept-encoding", "gzip")).await;
        assert_eq!(reply.header("content-encoding"), "gzip", "{path}");
        assert!(reply.header("vary").contains("Accept-Encoding"), "{path}");
        let tag = reply.header("etag").to_owned();
        if !tag.is_empty() {
            let again = mesh.request(Method::GET, path).header("if-none-match", tag);
            assert_eq!(send(again).await.status, 304, "{path}");
        }
    }
}

#[tokio::test]
async fn the_headers_of_an_answer_are_those_of_one_server() {
    let mesh = Mesh::current();
    for path in ["/docs", "/posts", "/nothing", "/api/users/me"] {
        let reply = mesh.get(path).await;
        let kinds = reply.headers.get_all("x-content-type-options");
        assert_eq!(kinds.iter().collect::<Vec<_>>(), ["nosniff"], "{path}");
        assert_eq!(reply.header("via"), "1.1 plaza", "{path}");
        let mut names = reply
            .headers
            .keys()
            .map(reqwest::header::HeaderName::as_str);
        assert!(!names.any(|name| name.starts_with("x-envoy-")), "{path}");
    }
    let literal = send(mesh.request(Method::OPTIONS, "/posts/async")).await;
    assert_eq!(literal.header("allow"), "POST");
}
