//! Claim (D2, D3, S6): forged and ended tokens are refused by every service.

use std::time::{Duration, Instant};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::{StreamExt as _, stream};
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Mesh, Reply, Signer, eventually, mesh::Person, send};

use crate::{gateway::metrics, operations::operations};

/// What every operation of every service that wants a token answers with this one. They are asked
/// for nothing that exists, and without a body: nothing changes.
async fn asked(token: &str) -> Vec<(String, Reply)> {
    let services = Mesh::current().services.keys();
    let each = services.flat_map(|service| {
        let secured = operations(service);
        secured.into_iter().filter(|operation| operation.secured)
    });
    let each = each.filter(|operation| operation.template != "/api/auth/logout");
    let replies = each.map(|operation| async move {
        let request = Mesh::current().request(operation.method.clone(), &operation.path());
        let name = format!("{} {}", operation.method, operation.template);
        (name, send(request.bearer_auth(token)).await)
    });
    stream::iter(replies).buffer_unordered(8).collect().await
}

async fn is_good(token: &str) {
    for (name, reply) in asked(token).await {
        assert_ne!(reply.status, 401, "{name}: {}", reply.text);
    }
}

fn parts(token: &str) -> (Value, String, String) {
    let mut parts = token.split('.');
    let header = URL_SAFE_NO_PAD.decode(parts.next().unwrap()).unwrap();
    let rest: Vec<&str> = parts.collect();
    (
        serde_json::from_slice(&header).unwrap(),
        rest[0].to_owned(),
        rest[1].to_owned(),
    )
}

fn with_header(header: &Value, payload: &str, signature: &str) -> String {
    format!(
        "{}.{payload}.{signature}",
        URL_SAFE_NO_PAD.encode(header.to_string())
    )
}

fn forgeries(person: &Person) -> Vec<(&'static str, String)> {
    let (header, payload, signature) = parts(&person.token);
    let kid = header["kid"].as_str().unwrap();
    let changed = |member: &str, value: &str| {
        let mut header = header.clone();
        header[member] = json!(value);
        header
    };
    let mut claims: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(&payload).unwrap()).unwrap();
    claims["sub"] = json!("1");
    let other_payload = URL_SAFE_NO_PAD.encode(claims.to_string());
    vec![
        (
            "alg none",
            with_header(&changed("alg", "none"), &payload, ""),
        ),
        (
            "alg none, signature kept",
            with_header(&changed("alg", "none"), &payload, &signature),
        ),
        (
            "alg HS256",
            with_header(&changed("alg", "HS256"), &payload, &signature),
        ),
        (
            "unknown kid",
            with_header(&changed("kid", "../../../etc/passwd"), &payload, &signature),
        ),
        (
            "another key under our kid",
            Signer::new(kid).token(person.id, &person.username),
        ),
        (
            "another key under its own kid",
            Signer::new("theirs").token(person.id, &person.username),
        ),
        (
            "changed payload",
            with_header(&header, &other_payload, &signature),
        ),
        ("no signature", with_header(&header, &payload, "")),
        ("not a token", "canary".to_owned()),
    ]
}

#[tokio::test]
async fn s6_forged_tokens_are_refused_everywhere() {
    let person = Mesh::current().person().await;
    for (name, forged) in forgeries(&person) {
        let replies = asked(&forged).await;
        assert!(replies.len() > 20, "{}", replies.len());
        for (operation, reply) in replies {
            assert_eq!(reply.status, 401, "{name}: {operation}: {}", reply.text);
            reply.problem(401);
            assert!(
                reply.header("www-authenticate").starts_with("Bearer"),
                "{name}"
            );
            assert!(!reply.text.contains("canary"), "a token is never said back");
        }
    }
    is_good(&person.token).await;
}

/// How often `discussions` lost the stream of keys and logged-out tokens, and when it last heard on it, in seconds.
async fn stream() -> (f64, f64) {
    let metrics = metrics("discussions").await;
    let value = |name: &str| {
        let lines = metrics.lines();
        let of_name = lines.filter_map(|line| line.strip_prefix(name)?.split(' ').next_back());
        of_name.filter_map(|value| value.parse::<f64>().ok()).sum()
    };
    let heard = value("tokens_stream_heard_timestamp_seconds");
    (value("tokens_stream_losses_total"), heard)
}

#[tokio::test]
async fn d3_no_proxy_ends_the_stream_of_tokens() {
    let (losses, begun) = stream().await;
    eventually("news of more than a proxy's fifteen seconds", || async {
        let (_, heard) = stream().await;
        let news = heard - begun;
        (news > 20.0).then_some(()).ok_or(format!("{news} s"))
    })
    .await;
    assert!((stream().await.0 - losses).abs() < f64::EPSILON);
}

#[tokio::test]
async fn d3_a_logged_out_token_is_refused_everywhere_within_a_second() {
    let mesh = Mesh::current();
    let person = mesh.person().await;
    is_good(&person.token).await;
    mesh.call(
        Method::POST,
        "/api/auth/logout",
        &person.token,
        &Value::Null,
    )
    .await
    .expect(200);
    let out = Instant::now();
    // Whoever is asked a second after it refuses, however long the asking takes here and now.
    eventually("the refusal by every service", || async {
        let asking = out.elapsed();
        let replies = asked(&person.token).await;
        match replies.iter().find(|(_, reply)| reply.status != 401) {
            None => Ok(()),
            Some((operation, reply)) => {
                let text = format!("{operation} after {asking:?}: {}", reply.text);
                assert!(asking < Duration::from_secs(1), "{text}");
                Err(text)
            }
        }
    })
    .await;
    let again = mesh.log_in(&person.username).await;
    is_good(&again).await;
}

#[tokio::test]
async fn a_bad_token_is_refused_by_every_read_of_every_service() {
    let mesh = Mesh::current();
    let socket = |path: &str| path.starts_with("/socket.io") || path.starts_with("/ws/");
    let mut reads = 0;
    for service in mesh.services.keys() {
        let open = operations(service).into_iter().filter(|operation| {
            operation.method == Method::GET && !operation.secured && !socket(&operation.template)
        });
        for operation in open {
            let request = mesh.request(Method::GET, &operation.path());
            let reply = send(request.bearer_auth("a.b.c")).await;
            assert_eq!(reply.status, 401, "{operation:?}: {}", reply.text);
            reads += 1;
        }
    }
    assert!(reads > 20, "{reads}");
}
