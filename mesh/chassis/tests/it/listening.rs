//! An application on a Unix socket: its sidecar reaches it there, and nobody by a port.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use testkit::{TestService, mesh::client, send};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
};

use crate::echo::Echo;

/// Far longer than the bound under test, far shorter than no bound at all.
const PATIENCE: Duration = Duration::from_secs(10);

async fn on_a_socket(flags: &[&str]) -> (TestService<Echo>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let place = format!("--http-addr=unix:{}/own/app.sock", folder.path().display());
    let flags: Vec<&str> = [&place[..]].iter().chain(flags).copied().collect();
    (TestService::start(&flags).await, folder)
}

#[tokio::test]
async fn an_application_on_a_socket_answers_there_and_on_no_port() {
    let (service, _folder) = on_a_socket(&[]).await;
    let said = json!({"text": "hello"});
    let reply = service.call(Method::POST, "/echo", "", &said).await;
    assert_eq!(reply.expect(201), &said);
    service.get("/numbers").await.expect(200);
    // The only port is that of operators, who get no answer of the application but its documentation.
    let ask = |method: Method, path: &str| {
        let url = format!("http://{}{path}", service.admin);
        send(client().request(method, url))
    };
    for path in ["/numbers", "/things/x", "/echo"] {
        assert_eq!(ask(Method::GET, path).await.status, 404, "{path}");
        assert_eq!(ask(Method::POST, path).await.status, 404, "{path}");
    }
    let document = ask(Method::GET, "/openapi.json").await;
    assert!(document.expect(200)["paths"]["/echo"].is_object());
    let page = ask(Method::GET, "/docs").await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(ask(Method::GET, "/docs/start.js").await.status, 200);
    let socket = service.place.socket().unwrap().to_owned();
    assert!(socket.exists());
    service.stop().await;
    assert!(!socket.exists(), "what ends leaves no socket behind");
}

#[tokio::test]
async fn s12_a_slow_header_sender_is_cut_off_on_a_socket_too() {
    let (service, _folder) = on_a_socket(&["--header-timeout-seconds", "1"]).await;
    let mut stream = UnixStream::connect(service.place.socket().unwrap())
        .await
        .unwrap();
    let head = b"GET /slow HTTP/1.1\r\nhost: a\r\nx-slow: ";
    stream.write_all(head).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    read.expect("the server closes in time").unwrap();
    assert!(!String::from_utf8_lossy(&answer).contains("200"));
    assert_eq!(service.service.arrived.available_permits(), 0);
}
