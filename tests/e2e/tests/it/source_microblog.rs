//! Claim: what a client of the microblog sends, request by request, is answered through the ingress as it expects.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Mesh, Reply, eventually, unique};

/// Somebody who has come in by the doors of this product alone.
struct Author {
    username: String,
    token: String,
}

impl Author {
    async fn register() -> Self {
        let mesh = Mesh::current();
        let username = unique("user");
        let body = json!({
            "username": username, "email": format!("{username}@example.com"), "password": "password1", "bio": "A bio",
        });
        let made = mesh.call(Method::POST, "/register", "", &body).await;
        assert_eq!(made.expect(201)["bio"], "A bio");
        // Again, the name is taken.
        mesh.call(Method::POST, "/register", "", &body)
            .await
            .problem(400);
        let login = format!("/login?username={username}&password=password1");
        let entered = mesh.call(Method::POST, &login, "", &Value::Null).await;
        assert_eq!(entered.expect(200)["token_type"], "bearer");
        Self {
            token: entered.json["access_token"].as_str().unwrap().to_owned(),
            username,
        }
    }

    async fn call(&self, method: Method, path: &str, body: &Value) -> Reply {
        Mesh::current().call(method, path, &self.token, body).await
    }

    async fn post(&self, path: &str, body: &Value) -> Reply {
        self.call(Method::POST, path, body).await
    }

    async fn write(&self, text: &str) -> i64 {
        let post = self.post("/posts", &json!({ "text": text })).await;
        post.expect(201)["post_id"].as_i64().unwrap()
    }
}

fn ids(list: &Value) -> Vec<i64> {
    let posts = list.as_array().unwrap().iter();
    posts.filter_map(|post| post["post_id"].as_i64()).collect()
}

#[tokio::test]
async fn people_follow_one_another_and_read_what_the_others_write() {
    let mesh = Mesh::current();
    let (one, two, three) =
        tokio::join!(Author::register(), Author::register(), Author::register());
    for (who, whom) in [(&one, &two), (&one, &three), (&two, &three)] {
        let path = format!("/users/follow/{}", whom.username);
        let followed = who.post(&path, &Value::Null).await;
        assert_eq!(followed.expect(200), &json!({"status": "ok"}));
    }
    let oneself = format!("/users/follow/{}", one.username);
    one.post(&oneself, &Value::Null).await.problem(400);
    let followees = mesh
        .get(&format!("/users/{}/followees", one.username))
        .await;
    assert_eq!(
        followees.expect(200)["followees"].as_array().unwrap().len(),
        2
    );
    let (first, second) = (
        one.write("Hello from one").await,
        two.write("Hello from two").await,
    );
    let third = three.write("Hello from three").await;
    let behind = three
        .post("/posts/async", &json!({"text": "Hello by a queue"}))
        .await;
    assert_eq!(behind.expect(202)["status"], "accepted");
    let of_two = mesh.get(&format!("/posts/{}", two.username)).await;
    assert_eq!(ids(of_two.expect(200)), [second]);
    let all = mesh.get("/posts").await;
    assert!(all.expect(200).is_array());
    mesh.get(&format!("/posts/id/{first}")).await.expect(200);
    mesh.get("/posts/id/abc").await.problem(422);
    let home = format!("/posts/home/{}", one.username);
    eventually("the home timeline", || async {
        let reply = one.call(Method::GET, &home, &Value::Null).await;
        let seen = ids(reply.expect(200));
        let whole = seen.len() == 3 && seen.ends_with(&[third, second]);
        whole.then_some(()).ok_or(format!("{seen:?}"))
    })
    .await;
    let page = format!("{home}?limit=1&offset=2");
    let oldest = one.call(Method::GET, &page, &Value::Null).await;
    assert_eq!(ids(oldest.expect(200)), [second]);
}

#[tokio::test]
async fn a_client_that_counts_comes_to_the_end_of_a_timeline() {
    let mesh = Mesh::current();
    let author = Author::register().await;
    let mut written = Vec::new();
    for number in 0..5 {
        written.insert(0, author.write(&number.to_string()).await);
    }
    let (mut seen, mut offset) = (Vec::new(), 0);
    loop {
        let page = mesh
            .get(&format!(
                "/posts/{}?limit=2&offset={offset}",
                author.username
            ))
            .await;
        let page = ids(page.expect(200));
        if page.is_empty() {
            break;
        }
        seen.extend(page);
        offset += 2;
    }
    assert_eq!(seen, written);
    for bad in ["-1", "10001", "x"] {
        mesh.get(&format!("/posts?limit=2&offset={bad}"))
            .await
            .problem(422);
    }
}

#[tokio::test]
async fn what_is_posted_behind_comes_in_the_order_of_asking() {
    let mesh = Mesh::current();
    let author = Author::register().await;
    let asked: Vec<String> = (0..30).map(|number| number.to_string()).collect();
    for text in &asked {
        author
            .post("/posts/async", &json!({ "text": text }))
            .await
            .expect(202);
    }
    let path = format!("/posts/{}?limit=200", author.username);
    let made = eventually("all posts", || async {
        let posts = mesh.get(&path).await;
        let posts = posts.expect(200).as_array().unwrap().clone();
        if posts.len() == asked.len() {
            Ok(posts)
        } else {
            Err(posts.len().to_string())
        }
    });
    let made = made.await;
    let texts: Vec<&str> = made
        .iter()
        .rev()
        .filter_map(|post| post["text"].as_str())
        .collect();
    assert_eq!(texts, asked);
}

#[tokio::test]
async fn posts_are_liked_counted_and_listed() {
    let mesh = Mesh::current();
    let (one, two) = tokio::join!(Author::register(), Author::register());
    let post = two.write("Like me").await;
    let liked = one.post(&format!("/likes/{post}"), &Value::Null).await;
    assert_eq!(
        liked.expect(200),
        &json!({"status": "ok", "liked": true, "post_id": post})
    );
    let count = mesh.get(&format!("/likes/{post}/count")).await;
    assert_eq!(count.expect(200)["likes"], 1);
    let likes = mesh.get(&format!("/users/{}/likes", one.username)).await;
    assert_eq!(likes.expect(200)["post_ids"], json!([post]));
    let nobody = unique("nobody");
    let likes = mesh.get(&format!("/users/{nobody}/likes?limit=1000")).await;
    assert_eq!(
        likes.expect(200),
        &json!({"username": nobody, "post_ids": []})
    );
    mesh.get("/likes/popular?limit=200").await.expect(200);
    mesh.get("/likes/abc/count").await.problem(422);
    let unliked = one
        .call(Method::DELETE, &format!("/likes/{post}"), &Value::Null)
        .await;
    assert_eq!(unliked.expect(200)["liked"], false);
}

#[tokio::test]
async fn a_poll_is_asked_voted_in_and_counted() {
    let mesh = Mesh::current();
    let (one, two, three) =
        tokio::join!(Author::register(), Author::register(), Author::register());
    let body =
        json!({"question": "q".repeat(500), "options": ["o".repeat(200), "Go", "Rust", "Rust"]});
    let poll = one.post("/polls", &body).await;
    let path = format!("/polls/{}", poll.expect(201)["poll_id"].as_str().unwrap());
    let vote = format!("{path}/vote");
    two.post(&vote, &json!({"choice_index": 0}))
        .await
        .expect(200);
    let voted = three.post(&vote, &json!({"choice_index": 2})).await;
    assert_eq!(voted.expect(200)["poll"]["counts"], json!([1, 0, 1, 0]));
    one.post(&vote, &json!({"choice_index": 4}))
        .await
        .problem(400);
    for path in [path.clone(), format!("{path}/results")] {
        let shown = mesh.get(&path).await;
        assert_eq!(shown.expect(200)["counts"], json!([1, 0, 1, 0]));
    }
}
