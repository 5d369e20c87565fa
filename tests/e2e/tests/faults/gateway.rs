//! Claim (S2-76): the gateway takes its routes from the registry, whatever they are at the moment.

use reqwest::Method;
use testkit::{Mesh, eventually, send};

use crate::ONE_AT_A_TIME;

/// Waits until the gateway answers `/health` with this status.
async fn answers(status: u16) {
    eventually(&format!("/health is answered {status}"), || async {
        let reply = Mesh::current().get("/health").await;
        if reply.status == status {
            Ok(())
        } else {
            Err(format!("{} {}", reply.status, reply.text))
        }
    })
    .await;
}

#[tokio::test]
async fn s2_76_the_gateway_takes_its_routes_from_the_registry() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let mesh = Mesh::current();
    answers(200).await;
    let route = mesh.consul_get("config/http-route/portal").await;
    let token = &mesh.tokens.management;
    let removed = mesh.consul(Method::DELETE, "config/http-route/portal", token);
    assert_eq!(send(removed).await.status, 200);
    answers(404).await;
    mesh.get("/api/auth/status").await.expect(200);
    let restored = mesh.consul(Method::PUT, "config", token).json(&route);
    assert_eq!(send(restored).await.status, 200);
    answers(200).await;
}
