//! Claim (D6, S8, S9): a write needs a token, only the owner changes or deletes a thing, and no
//! member of a body sets what a client may not set.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::Mesh;

#[tokio::test]
async fn s0_30_another_users_post_can_be_neither_changed_nor_deleted() {
    let mesh = Mesh::current();
    let (owner, other) = (mesh.person().await, mesh.person().await);
    let body = json!({"title": "Mine", "content": "All mine", "car_model": "Zoe"});
    let reply = mesh
        .call(Method::POST, "/api/posts", &owner.token, &body)
        .await;
    let path = format!(
        "/api/posts/{}",
        reply.expect(201)["post_id"].as_str().unwrap()
    );
    for (token, status) in [(other.token.as_str(), 403), ("", 401)] {
        mesh.call(Method::PUT, &path, token, &body)
            .await
            .problem(status);
        mesh.call(Method::DELETE, &path, token, &Value::Null)
            .await
            .problem(status);
    }
    assert_eq!(mesh.get(&path).await.expect(200)["title"], "Mine");
}

#[tokio::test]
async fn s9_members_that_a_client_may_not_set_are_never_stored() {
    let mesh = Mesh::current();
    let owner = mesh.person().await;
    let forged = json!({
        "title": "Mine", "content": "All mine", "car_model": "Zoe", "role": "admin", "id": "x", "_id": "x",
        "post_id": "mine", "timestamp": "1970-01-01T00:00:00Z", "comments": [{"comment_text": "forged"}],
    });
    let reply = mesh
        .call(Method::POST, "/api/posts", &owner.token, &forged)
        .await;
    let id = reply.expect(201)["post_id"].as_str().unwrap().to_owned();
    assert_ne!(id, "mine");
    let shown = mesh.get(&format!("/api/posts/{id}")).await;
    let shown = shown.expect(200);
    assert!(shown.get("role").is_none() && shown.get("id").is_none() && shown.get("_id").is_none());
    assert_ne!(shown["timestamp"], forged["timestamp"]);
    assert_eq!(shown["comments"], json!([]));
}

#[tokio::test]
async fn s5_an_identity_in_a_header_means_nothing() {
    let mesh = Mesh::current();
    let victim = mesh.person().await;
    let request = mesh
        .request(Method::GET, "/api/users/me")
        .header("x-user-id", victim.id.to_string())
        .header("x-forwarded-user", &victim.username)
        .header(
            "x-forwarded-client-cert",
            "URI=spiffe://plaza/ns/default/dc/dc1/svc/discussions",
        );
    testkit::send(request).await.problem(401);
}
