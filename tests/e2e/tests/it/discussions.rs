//! Claim: every row of the contracts that `discussions` answers holds through the ingress.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Mesh, eventually, mesh::Person, unique};

fn post_body(user_id: i64, car_model: &str) -> Value {
    json!({"user_id": user_id, "title": "Quiet", "content": "And quick", "car_model": car_model})
}

async fn post(person: &Person, car_model: &str) -> String {
    let body = post_body(person.id, car_model);
    let reply = Mesh::current()
        .call(Method::POST, "/api/posts", &person.token, &body)
        .await;
    assert_eq!(reply.expect(201)["message"], "Post created successfully.");
    reply.json["post_id"].as_str().unwrap().to_owned()
}

async fn comment(person: &Person, post_id: &str, text: &str) -> Value {
    let path = format!("/api/posts/{post_id}/comments");
    let reply = Mesh::current()
        .call(
            Method::POST,
            &path,
            &person.token,
            &json!({"comment_text": text}),
        )
        .await;
    reply.expect(201).clone()
}

#[tokio::test]
async fn s0_06_create_a_post() {
    let mesh = Mesh::current();
    let (ada, grace) = (mesh.person().await, mesh.person().await);
    assert!(!post(&ada, "Zoe").await.is_empty());
    let others = mesh
        .call(
            Method::POST,
            "/api/posts",
            &ada.token,
            &post_body(grace.id, "Zoe"),
        )
        .await;
    others.problem(403);
    mesh.call(Method::POST, "/api/posts", "", &post_body(ada.id, "Zoe"))
        .await
        .problem(401);
}

#[tokio::test]
async fn s0_07_list_posts_newest_first() {
    let mesh = Mesh::current();
    let ada = mesh.person().await;
    let (first, second) = (post(&ada, "Zoe").await, post(&ada, "Leaf").await);
    let listed = eventually("both posts are listed", || async {
        let reply = mesh.get("/api/posts?limit=200").await;
        let posts = reply.expect(200).as_array().unwrap().clone();
        let place = |id: &str| posts.iter().position(|post| post["post_id"] == id);
        match (place(&first), place(&second)) {
            (Some(first), Some(second)) => Ok((posts[second].clone(), first, second)),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert!(listed.2 < listed.1, "newest first");
    for member in ["post_id", "title", "content", "car_model", "timestamp"] {
        assert!(listed.0[member].is_string(), "{member}: {}", listed.0);
    }
    assert_eq!(listed.0["user_id"], ada.id);
}

#[tokio::test]
async fn s0_08_read_a_post_with_its_comments() {
    let mesh = Mesh::current();
    let (ada, grace) = (mesh.person().await, mesh.person().await);
    let id = post(&ada, "Zoe").await;
    let said = comment(&grace, &id, "So true").await;
    let reply = mesh.get(&format!("/api/posts/{id}")).await;
    let shown = reply.expect(200);
    assert_eq!(
        (&shown["post_id"], &shown["user_id"]),
        (&json!(id), &json!(ada.id))
    );
    let comments = shown["comments"].as_array().unwrap();
    assert_eq!(comments.len(), 1);
    assert_eq!(
        (&comments[0]["comment_text"], &comments[0]["user_id"]),
        (&json!("So true"), &json!(grace.id))
    );
    assert_eq!(comments[0]["comment_id"], said["comment_id"]);
    mesh.get("/api/posts/nothing").await.problem(404);
}

#[tokio::test]
async fn s0_09_update_a_post() {
    let mesh = Mesh::current();
    let ada = mesh.person().await;
    let id = post(&ada, "Zoe").await;
    let change = json!({"title": "Loud", "content": "And slow", "car_model": "Beetle"});
    let reply = mesh
        .call(
            Method::PUT,
            &format!("/api/posts/{id}"),
            &ada.token,
            &change,
        )
        .await;
    assert_eq!(reply.expect(200)["message"], "Post updated successfully.");
    assert_eq!(
        mesh.get(&format!("/api/posts/{id}")).await.expect(200)["car_model"],
        "Beetle"
    );
}

#[tokio::test]
async fn s0_10_delete_a_post() {
    let mesh = Mesh::current();
    let ada = mesh.person().await;
    let id = post(&ada, "Zoe").await;
    let path = format!("/api/posts/{id}");
    let reply = mesh
        .call(Method::DELETE, &path, &ada.token, &Value::Null)
        .await;
    assert_eq!(reply.expect(200)["message"], "Post deleted successfully.");
    mesh.get(&path).await.problem(404);
}

#[tokio::test]
async fn d8_comments_are_rest_too_and_the_server_sets_their_ids() {
    let mesh = Mesh::current();
    let (ada, grace) = (mesh.person().await, mesh.person().await);
    let id = post(&ada, "Zoe").await;
    let path = format!("/api/posts/{id}/comments");
    let others = json!({"comment_text": "Hm", "user_id": ada.id});
    mesh.call(Method::POST, &path, &grace.token, &others)
        .await
        .problem(403);
    let chosen = json!({"comment_text": "Hm", "comment_id": "mine", "timestamp": "1970"});
    let reply = mesh.call(Method::POST, &path, &grace.token, &chosen).await;
    let said = reply.expect(201).clone();
    assert_eq!(said["user_id"], grace.id);
    assert_ne!(said["comment_id"], "mine");
    let own = format!("{path}/{}", said["comment_id"].as_str().unwrap());
    let change = json!({"comment_text": "Hm!"});
    mesh.call(Method::PUT, &own, &ada.token, &change)
        .await
        .problem(403);
    mesh.call(Method::PUT, &own, &grace.token, &change)
        .await
        .expect(200);
    assert_eq!(mesh.get(&path).await.expect(200)[0]["comment_text"], "Hm!");
    mesh.call(Method::DELETE, &own, &ada.token, &Value::Null)
        .await
        .problem(403);
    mesh.call(Method::DELETE, &own, &grace.token, &Value::Null)
        .await
        .expect(200);
    assert_eq!(mesh.get(&path).await.expect(200), &json!([]));
}

#[tokio::test]
async fn d10_kinds_ratings_and_subscriptions() {
    let mesh = Mesh::current();
    let ada = mesh.person().await;
    let model = unique("Model ");
    let mut body = post_body(ada.id, &model);
    body["kind"] = json!("review");
    body["rating"] = json!(4);
    let reply = mesh
        .call(Method::POST, "/api/posts", &ada.token, &body)
        .await;
    let id = reply.expect(201)["post_id"].as_str().unwrap().to_owned();
    let shown = mesh.get(&format!("/api/posts/{id}")).await;
    assert_eq!(
        (&shown.expect(200)["kind"], &shown.json["rating"]),
        (&json!("review"), &json!(4))
    );
    body["rating"] = json!(6);
    mesh.call(Method::POST, "/api/posts", &ada.token, &body)
        .await
        .problem(422);
    let topic = format!("/api/topics/{}/subscription", model.replace(' ', "%20"));
    mesh.call(Method::PUT, &topic, &ada.token, &Value::Null)
        .await
        .expect(200);
    let mine = mesh
        .call(
            Method::GET,
            "/api/users/me/subscriptions",
            &ada.token,
            &Value::Null,
        )
        .await;
    assert!(
        mine.expect(200).to_string().contains(&model),
        "{}",
        mine.text
    );
    mesh.call(Method::DELETE, &topic, &ada.token, &Value::Null)
        .await
        .expect(200);
    let mine = mesh
        .call(
            Method::GET,
            "/api/users/me/subscriptions",
            &ada.token,
            &Value::Null,
        )
        .await;
    assert!(
        !mine.expect(200).to_string().contains(&model),
        "{}",
        mine.text
    );
}

#[tokio::test]
async fn s0_12_and_s0_13_users_and_discussions_ask_each_other() {
    let mesh = Mesh::current();
    let ada = mesh.person().await;
    for _ in 0..3 {
        post(&ada, "Zoe").await;
    }
    let profile = mesh.get(&format!("/api/users/{}", ada.id)).await;
    assert_eq!(
        profile.expect(200)["post_count"],
        3,
        "users asks discussions"
    );
    let id = post(&ada, "Zoe").await;
    let shown = mesh.get(&format!("/api/posts/{id}")).await;
    assert!(
        shown.expect(200).to_string().contains(&ada.username),
        "discussions asks users: {}",
        shown.text
    );
}
