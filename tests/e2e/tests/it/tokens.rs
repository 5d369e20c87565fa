//! Claim (D2, D3, S6): forged and ended tokens are refused by every service.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Mesh, Reply, Signer, eventually, mesh::Person};

/// A write to each service, with this token.
async fn writes(token: &str) -> [Reply; 2] {
    let mesh = Mesh::current();
    let post = json!({"title": "T", "content": "C", "car_model": "Zoe"});
    [
        mesh.call(Method::PUT, "/api/users/me", token, &json!({"bio": "x"}))
            .await,
        mesh.call(Method::POST, "/api/posts", token, &post).await,
    ]
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
        for reply in writes(&forged).await {
            assert_eq!(reply.status, 401, "{name}: {}", reply.text);
            reply.problem(401);
            assert!(
                reply.header("www-authenticate").starts_with("Bearer"),
                "{name}"
            );
            assert!(!reply.text.contains("canary"), "a token is never said back");
        }
    }
    for reply in writes(&person.token).await {
        assert!(
            reply.status < 300,
            "the good one still works: {}",
            reply.text
        );
    }
}

#[tokio::test]
async fn d3_a_logged_out_token_is_refused_everywhere_within_a_second() {
    let mesh = Mesh::current();
    let person = mesh.person().await;
    for reply in writes(&person.token).await {
        assert!(reply.status < 300, "{}", reply.text);
    }
    mesh.call(
        Method::POST,
        "/api/auth/logout",
        &person.token,
        &Value::Null,
    )
    .await
    .expect(200);
    let refused = eventually("the refusal by every service", || async {
        match writes(&person.token)
            .await
            .iter()
            .find(|reply| reply.status != 401)
        {
            None => Ok(()),
            Some(reply) => Err(reply.text.clone()),
        }
    });
    tokio::time::timeout(Duration::from_secs(1), refused)
        .await
        .expect("within a second");
    let again = mesh.log_in(&person.username).await;
    for reply in writes(&again).await {
        assert!(reply.status < 300, "a new token is good: {}", reply.text);
    }
}
