//! What a client may cost: time for headers and body, size, connections, requests at once.

use std::time::Duration;

use reqwest::Method;
use testkit::{TestService, eventually, send};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::echo::Echo;

/// Far longer than the bound under test, far shorter than no bound at all.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends `head` and reads what comes until the server closes.
async fn raw(service: &TestService<Echo>, head: &str) -> String {
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    read.expect("the server closes in time").unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn s12_a_slow_header_sender_is_cut_off() {
    let service = TestService::<Echo>::start(&["--header-timeout-seconds", "1"]).await;
    let answer = raw(&service, "GET /slow HTTP/1.1\r\nhost: a\r\nx-slow: ").await;
    assert!(!answer.contains("200"), "{answer}");
    assert_eq!(
        service.service.arrived.available_permits(),
        0,
        "the request never began"
    );
}

#[tokio::test]
async fn s12_a_slow_body_is_answered_408() {
    let service = TestService::<Echo>::start(&["--body-timeout-seconds", "1"]).await;
    let head = "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 20\r\n\
                connection: close\r\n\r\n{\"te";
    let answer = raw(&service, head).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("application/problem+json"), "{answer}");
}

#[tokio::test]
async fn s13_a_body_is_counted_as_it_comes() {
    let service = TestService::<Echo>::start(&[]).await;
    let chunk = format!("{:x}\r\n{}\r\n", 40_000, " ".repeat(40_000));
    let head = "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
                transfer-encoding: chunked\r\nconnection: close\r\n\r\n";
    let answer = raw(&service, &format!("{head}{chunk}{chunk}0\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    let declared = service
        .request(Method::POST, "/echo")
        .header("content-type", "application/json");
    send(declared.body(" ".repeat(65 * 1024)))
        .await
        .problem(413);
}

#[tokio::test]
async fn s11_two_lengths_are_no_request() {
    let service = TestService::<Echo>::start(&[]).await;
    for lengths in [
        "content-length: 4\r\ncontent-length: 5",
        "content-length: +5",
        "transfer-encoding: chunked\r\ncontent-length: 5",
    ] {
        let head = format!(
            "POST /echo HTTP/1.1\r\nhost: a\r\n{lengths}\r\nconnection: close\r\n\r\n0\r\n\r\nGET /slow HTTP/1.1\r\nhost: a\r\n\r\n"
        );
        let answer = raw(&service, &head).await;
        assert!(!answer.starts_with("HTTP/1.1 2"), "{lengths}: {answer}");
        assert_eq!(
            service.service.arrived.available_permits(),
            0,
            "{lengths}: no second request came of it"
        );
    }
}

#[tokio::test]
async fn more_requests_than_the_bound_are_answered_503() {
    let service = TestService::<Echo>::start(&["--max-in-flight", "1"]).await;
    let slow = tokio::spawn(service.request(Method::GET, "/slow").send());
    service.service.arrived.acquire().await.unwrap().forget();
    let refused = service.get("/numbers").await;
    refused.problem(503);
    assert_eq!(refused.header("retry-after"), "1");
    service.service.go.add_permits(1);
    assert_eq!(slow.await.unwrap().unwrap().status(), 200);
    service.get("/numbers").await.expect(200);
}

#[tokio::test]
async fn more_connections_than_the_bound_wait_for_a_place() {
    let service =
        TestService::<Echo>::start(&["--max-connections", "1", "--header-timeout-seconds", "1"])
            .await;
    let _idle = TcpStream::connect(service.address).await.unwrap();
    let head = "GET /numbers HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    // The idle one is ended by the header timeout, and that makes room.
    assert!(raw(&service, head).await.starts_with("HTTP/1.1 200"));
    eventually("the place is free again", || async {
        let answer = raw(&service, head).await;
        if answer.starts_with("HTTP/1.1 200") {
            Ok(())
        } else {
            Err(answer)
        }
    })
    .await;
}

#[tokio::test]
async fn s12_a_silent_connection_and_a_slow_second_request_are_cut_off_but_idling_is_not() {
    let service = TestService::<Echo>::start(&["--header-timeout-seconds", "1"]).await;
    assert_eq!(raw(&service, "").await, "", "silence is cut off");
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    let request = b"GET /numbers HTTP/1.1\r\nhost: a\r\n\r\n";
    let mut buffer = [0; 4096];
    for _ in 0..2 {
        stream.write_all(request).await.unwrap();
        assert!(stream.read(&mut buffer).await.unwrap() > 0);
        // Idle for longer than headers may take: the one wait that cannot be polled for.
        let closed = tokio::time::timeout(Duration::from_millis(1500), stream.read(&mut buffer));
        assert!(closed.await.is_err(), "still open");
    }
    stream
        .write_all(b"GET /numbers HTTP/1.1\r\nhost: ")
        .await
        .unwrap();
    let closed = tokio::time::timeout(PATIENCE, stream.read(&mut buffer)).await;
    assert!(matches!(closed, Ok(Ok(0) | Err(_))), "{closed:?}");
}
