//! Claim (S4 of the security probes): a service's token is good for that service alone.

use reqwest::Method;
use serde_json::json;
use testkit::{Mesh, send, unique};

async fn registers(token: &str, name: &str) -> u16 {
    let mesh = Mesh::current();
    let id = unique("intruder-");
    let body = json!({"ID": id, "Name": name, "Address": "127.0.0.1", "Port": 1});
    let reply = send(
        mesh.consul(Method::PUT, "agent/service/register", token)
            .json(&body),
    )
    .await;
    if reply.status == 200 {
        send(mesh.consul(
            Method::PUT,
            &format!("agent/service/deregister/{id}"),
            &mesh.tokens.management,
        ))
        .await;
    }
    reply.status
}

#[tokio::test]
async fn registration_with_another_services_token_is_refused() {
    let mesh = Mesh::current();
    for (service, token) in &mesh.tokens.services {
        for name in mesh.services.keys().map(String::as_str).chain([
            "ingress",
            "redis",
            "documents",
            "rabbitmq",
            "mail",
            "a-new-one",
        ]) {
            let expected = if name == service { 200 } else { 403 };
            assert_eq!(
                registers(token, name).await,
                expected,
                "{service} registers {name}"
            );
        }
    }
}

#[tokio::test]
async fn nobody_without_a_token_may_register_or_read_settings() {
    let mesh = Mesh::current();
    for name in mesh.services.keys() {
        assert_eq!(registers("", name).await, 403, "{name}");
    }
    for path in [
        "config/service-intentions",
        "acl/tokens",
        "kv/?recurse=true",
        "connect/intentions",
    ] {
        let reply = send(mesh.consul(Method::GET, path, "")).await;
        let empty = reply.status == 200 && reply.json.as_array().is_some_and(Vec::is_empty);
        assert!(
            reply.status == 403 || reply.status == 404 || empty,
            "{path}: {} {}",
            reply.status,
            reply.text
        );
    }
}

#[tokio::test]
async fn a_service_may_neither_change_the_mesh_nor_take_another_down() {
    let mesh = Mesh::current();
    for (service, token) in &mesh.tokens.services {
        let open = json!({"Kind": "service-intentions", "Name": service, "Sources": [{"Name": "*", "Action": "allow"}]});
        let reply = send(mesh.consul(Method::PUT, "config", token).json(&open)).await;
        assert_eq!(reply.status, 403, "{service} opens itself: {}", reply.text);
        for (other, entry) in mesh.services.iter().filter(|(other, _)| *other != service) {
            let path = format!("agent/service/deregister/{}", entry.instances[0]);
            let reply = send(mesh.consul(Method::PUT, &path, token)).await;
            assert_eq!(
                reply.status, 403,
                "{service} deregisters {other}: {}",
                reply.text
            );
        }
    }
}
