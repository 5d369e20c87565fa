//! Claim: every row of the contracts that `timelines` answers holds through the ingress.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Mesh, eventually, mesh::Person};

async fn post(person: &Person, text: &str) -> i64 {
    let body = json!({ "text": text });
    let reply = Mesh::current()
        .call(Method::POST, "/posts", &person.token, &body)
        .await;
    reply.expect(201)["post_id"].as_i64().unwrap()
}

async fn act(verb: &str, person: &Person, whom: &Person) {
    let path = format!("/users/{verb}/{}", whom.username);
    let reply = Mesh::current()
        .call(Method::POST, &path, &person.token, &Value::Null)
        .await;
    assert_eq!(reply.expect(200)["status"], "ok");
}

fn ids(list: &Value) -> Vec<i64> {
    let posts = list.as_array().unwrap().iter();
    posts
        .map(|post| post["post_id"].as_i64().unwrap())
        .collect()
}

/// Waits until a person's home timeline is this.
async fn sees(person: &Person, wanted: &[i64]) {
    let path = format!("/posts/home/{}", person.username);
    eventually("the home timeline", || async {
        let reply = Mesh::current()
            .call(Method::GET, &path, &person.token, &Value::Null)
            .await;
        let home = ids(reply.expect(200));
        if home == wanted {
            Ok(())
        } else {
            Err(format!("{home:?}, not {wanted:?}"))
        }
    })
    .await;
}

#[tokio::test]
async fn s2_20_and_s2_22_create_and_show_a_post() {
    let mesh = Mesh::current();
    let ada = mesh.person().await;
    let url = "http://localhost:8080/posts/id/1";
    let body = json!({"text": "Hello, world", "repost_original_url": url});
    let reply = mesh.call(Method::POST, "/posts", &ada.token, &body).await;
    let post = reply.expect(201);
    assert_eq!(
        (&post["user_id"], &post["username"], &post["text"]),
        (&json!(ada.id), &json!(ada.username), &json!("Hello, world"))
    );
    assert_eq!(post["repost_original_url"], url);
    assert!(post["created_at"].is_string());
    let shown = mesh.get(&format!("/posts/id/{}", post["post_id"])).await;
    assert_eq!(shown.expect(200), post);
    mesh.get("/posts/id/999999999").await.problem(404);
    mesh.call(Method::POST, "/posts", "", &body)
        .await
        .problem(401);
    let long = json!({"text": "x".repeat(281)});
    mesh.call(Method::POST, "/posts", &ada.token, &long)
        .await
        .problem(422);
}

/// A post through the queue; the job.
async fn queue(person: &Person) -> String {
    let body = json!({"text": "Later"});
    let reply = Mesh::current()
        .call(Method::POST, "/posts/async", &person.token, &body)
        .await;
    let answer = reply.expect(202);
    assert_eq!(answer["status"], "accepted");
    assert_eq!(answer["message"], "Post creation queued for processing");
    answer["job_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn s2_21_and_s2_35_create_a_post_through_the_queue() {
    let mesh = Mesh::current();
    let ada = mesh.person().await;
    let path = format!("/posts/jobs/{}", queue(&ada).await);
    let post_id = eventually("the post", || async {
        let reply = mesh.call(Method::GET, &path, &ada.token, &Value::Null);
        let job = reply.await.expect(200).clone();
        match job["status"].as_str() {
            Some("done") => Ok(job["post_id"].as_i64().unwrap()),
            _ => Err(job.to_string()),
        }
    })
    .await;
    let shown = mesh.get(&format!("/posts/id/{post_id}")).await;
    assert_eq!(shown.expect(200)["text"], "Later");
    let body = json!({"text": "Later"});
    mesh.call(Method::POST, "/posts/async", "", &body)
        .await
        .problem(401);
}

#[tokio::test]
async fn s2_73_the_fate_of_a_job_is_told_to_its_owner() {
    let mesh = Mesh::current();
    let (ada, grace) = (mesh.person().await, mesh.person().await);
    let job_id = queue(&ada).await;
    let path = format!("/posts/jobs/{job_id}");
    let reply = mesh
        .call(Method::GET, &path, &ada.token, &Value::Null)
        .await;
    assert_eq!(reply.expect(200)["job_id"], job_id);
    mesh.call(Method::GET, &path, &grace.token, &Value::Null)
        .await
        .problem(403);
    mesh.get(&path).await.problem(401);
    mesh.call(Method::GET, "/posts/jobs/none", &ada.token, &Value::Null)
        .await
        .problem(404);
}

#[tokio::test]
async fn s2_23_user_timeline() {
    let mesh = Mesh::current();
    let ada = mesh.person().await;
    let path = format!("/posts/{}", ada.username);
    assert_eq!(mesh.get(&path).await.expect(200), &json!([]));
    let (first, second) = (post(&ada, "first").await, post(&ada, "second").await);
    let listed = mesh.get(&path).await;
    assert_eq!(ids(listed.expect(200)), [second, first]);
    mesh.get("/posts/nobody-of-this-name").await.problem(404);
}

#[tokio::test]
async fn s2_24_public_timeline() {
    let mesh = Mesh::current();
    let ada = mesh.person().await;
    let (first, second) = (post(&ada, "first").await, post(&ada, "second").await);
    let listed = ids(mesh.get("/posts?limit=200").await.expect(200));
    let place = |id: i64| listed.iter().position(|listed| *listed == id).unwrap();
    assert!(place(second) < place(first), "newest first");
    let page = mesh.get("/posts?limit=1").await;
    assert!(page.header("link").contains("rel=\"next\""), "D7");
}

#[tokio::test]
async fn s2_25_home_timeline() {
    let mesh = Mesh::current();
    let (reader, ada, grace) = tokio::join!(mesh.person(), mesh.person(), mesh.person());
    let before = post(&ada, "before").await;
    act("follow", &reader, &ada).await;
    sees(&reader, &[before]).await;
    let after = post(&ada, "after").await;
    post(&grace, "a stranger's").await;
    sees(&reader, &[after, before]).await;
    act("follow", &reader, &grace).await;
    let by_grace = post(&grace, "a friend's").await;
    act("unfollow", &reader, &ada).await;
    eventually("a home timeline without Ada", || async {
        let path = format!("/posts/home/{}", reader.username);
        let reply = mesh.call(Method::GET, &path, &reader.token, &Value::Null);
        let home = ids(reply.await.expect(200));
        if home.contains(&by_grace) && !home.contains(&after) {
            Ok(())
        } else {
            Err(format!("{home:?}"))
        }
    })
    .await;
}

#[tokio::test]
async fn d19_a_home_timeline_is_its_owners_and_a_post_its_authors() {
    let mesh = Mesh::current();
    let (ada, grace) = tokio::join!(mesh.person(), mesh.person());
    let home = format!("/posts/home/{}", ada.username);
    mesh.get(&home).await.problem(401);
    mesh.call(Method::GET, &home, &grace.token, &Value::Null)
        .await
        .problem(403);
    act("follow", &grace, &ada).await;
    let (kept, deleted) = (post(&ada, "kept").await, post(&ada, "deleted").await);
    sees(&grace, &[deleted, kept]).await;
    let path = format!("/posts/id/{deleted}");
    mesh.call(Method::DELETE, &path, &grace.token, &Value::Null)
        .await
        .problem(403);
    mesh.call(Method::DELETE, &path, &ada.token, &Value::Null)
        .await
        .expect(200);
    mesh.get(&path).await.problem(404);
    sees(&grace, &[kept]).await;
}
