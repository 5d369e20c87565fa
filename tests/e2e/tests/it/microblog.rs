//! Claim: what the microblog's contract says of all its services together holds through the ingress.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Mesh, unique};

#[tokio::test]
async fn s2_63_the_nine_rows_that_ask_for_a_token_get_a_bearer_token_or_refuse() {
    let mesh = Mesh::current();
    let text = json!({"text": "hello"});
    let poll = json!({"question": "?", "options": ["a", "b"]});
    for (method, path, body) in [
        (Method::POST, "/users/follow/somebody", Value::Null),
        (Method::POST, "/users/unfollow/somebody", Value::Null),
        (Method::POST, "/posts", text.clone()),
        (Method::POST, "/posts/async", text),
        (Method::GET, "/posts/home/somebody", Value::Null),
        (Method::POST, "/likes/1", Value::Null),
        (Method::DELETE, "/likes/1", Value::Null),
        (Method::POST, "/polls", poll),
        (Method::POST, "/polls/1/vote", json!({"choice_index": 0})),
    ] {
        let refused = mesh.call(method, path, "", &body).await;
        refused.problem(401);
        let asks = refused.header("www-authenticate");
        assert!(asks.starts_with("Bearer"), "{path}: {asks}");
    }
}

#[tokio::test]
async fn s2_70_followers_are_listed_and_a_post_is_deleted() {
    let mesh = Mesh::current();
    let (ada, ben) = (mesh.person().await, mesh.person().await);
    let follow = format!("/users/follow/{}", ada.username);
    mesh.call(Method::POST, &follow, &ben.token, &Value::Null)
        .await
        .expect(200);
    let followers = mesh
        .get(&format!("/users/{}/followers", ada.username))
        .await;
    assert_eq!(
        followers.expect(200)["followers"][0]["username"],
        ben.username
    );
    let post = json!({"text": unique("soon gone ")});
    let post = mesh.call(Method::POST, "/posts", &ada.token, &post).await;
    let path = format!("/posts/id/{}", post.expect(201)["post_id"]);
    mesh.call(Method::DELETE, &path, &ben.token, &Value::Null)
        .await
        .problem(403);
    mesh.call(Method::DELETE, &path, &ada.token, &Value::Null)
        .await
        .expect(200);
    mesh.get(&path).await.problem(404);
}

#[tokio::test]
async fn s2_71_to_s2_72_a_home_is_its_owners_and_a_vote_is_the_only_one() {
    let mesh = Mesh::current();
    let (ada, ben) = (mesh.person().await, mesh.person().await);
    let home = format!("/posts/home/{}", ada.username);
    mesh.call(Method::GET, &home, &ben.token, &Value::Null)
        .await
        .problem(403);
    mesh.call(Method::GET, &home, &ada.token, &Value::Null)
        .await
        .expect(200);
    let poll = json!({"question": "Which?", "options": ["a", "b"]});
    let poll = mesh.call(Method::POST, "/polls", &ada.token, &poll).await;
    let id = poll.expect(201)["poll_id"].clone();
    let id = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
    let vote = |choice: i64| {
        let path = format!("/polls/{id}/vote");
        let token = ben.token.clone();
        async move {
            mesh.call(
                Method::POST,
                &path,
                &token,
                &json!({"choice_index": choice}),
            )
            .await
        }
    };
    assert_eq!(vote(0).await.expect(200)["poll"]["counts"], json!([1, 0]));
    vote(1).await.problem(409);
    let results = mesh.get(&format!("/polls/{id}/results")).await;
    assert_eq!(results.expect(200)["counts"], json!([1, 0]));
}
