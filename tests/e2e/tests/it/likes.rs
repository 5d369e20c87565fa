//! Claim: every row of the contracts that `likes` answers holds through the ingress.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Mesh, eventually, mesh::Person, send};
use tokio::time::{interval, timeout};

/// Likes are collected for a minute; then it takes some seconds at most.
const MAIL_DEADLINE: Duration = Duration::from_secs(90);

/// Writes a post in the microblog; its number.
async fn post(author: &Person) -> i64 {
    let body = json!({"text": "Something to like"});
    let written = Mesh::current()
        .call(Method::POST, "/posts", &author.token, &body)
        .await;
    written.expect(201)["post_id"].as_i64().unwrap()
}

async fn act(method: Method, person: &Person, post_id: i64) -> Value {
    let path = format!("/likes/{post_id}");
    let done = Mesh::current()
        .call(method, &path, &person.token, &Value::Null)
        .await;
    done.expect(200).clone()
}

async fn like(person: &Person, post_id: i64) -> Value {
    act(Method::POST, person, post_id).await
}

async fn count(post_id: i64) -> Value {
    let reply = Mesh::current()
        .get(&format!("/likes/{post_id}/count"))
        .await;
    reply.expect(200).clone()
}

/// A post that nobody has written yet.
async fn unwritten(author: &Person) -> i64 {
    post(author).await + 1_000_000_000
}

#[tokio::test]
async fn s2_26_a_like_counts_once_and_needs_a_token() {
    let mesh = Mesh::current();
    let (author, fan) = (mesh.person().await, mesh.person().await);
    let id = post(&author).await;
    let liked = json!({"status": "ok", "liked": true, "post_id": id});
    for _ in 0..2 {
        assert_eq!(like(&fan, id).await, liked);
        assert_eq!(count(id).await, json!({"post_id": id, "likes": 1}));
    }
    let path = format!("/likes/{id}");
    let anonymous = mesh.call(Method::POST, &path, "", &Value::Null).await;
    anonymous.problem(401);
}

#[tokio::test]
async fn s2_27_an_unlike_takes_it_back_once_and_needs_a_token() {
    let mesh = Mesh::current();
    let (author, fan) = (mesh.person().await, mesh.person().await);
    let id = post(&author).await;
    like(&fan, id).await;
    like(&author, id).await;
    let unliked = json!({"status": "ok", "liked": false, "post_id": id});
    for _ in 0..2 {
        assert_eq!(act(Method::DELETE, &fan, id).await, unliked);
        assert_eq!(count(id).await, json!({"post_id": id, "likes": 1}));
    }
    let path = format!("/likes/{id}");
    let anonymous = mesh.call(Method::DELETE, &path, "", &Value::Null).await;
    anonymous.problem(401);
}

#[tokio::test]
async fn s2_28_a_count_is_open_to_all_and_a_post_is_a_number() {
    let mesh = Mesh::current();
    let id = unwritten(&mesh.person().await).await;
    assert_eq!(count(id).await, json!({"post_id": id, "likes": 0}));
    for (bad, status) in [
        ("/likes/x/count", 422),
        ("/likes/-1/count", 404),
        ("/likes/99999999999999999999/count", 404),
        ("/likes/popular?limit=0", 422),
    ] {
        mesh.get(bad).await.problem(status);
    }
}

#[tokio::test]
async fn s2_29_likes_of_a_user_newest_first() {
    let mesh = Mesh::current();
    let (author, fan) = (mesh.person().await, mesh.person().await);
    let empty = json!({"username": fan.username, "post_ids": []});
    let path = format!("/users/{}/likes", fan.username);
    assert_eq!(mesh.get(&path).await.expect(200), &empty);
    let ids = [
        post(&author).await,
        post(&author).await,
        post(&author).await,
    ];
    for id in ids {
        like(&fan, id).await;
    }
    let expected = json!({"username": fan.username, "post_ids": [ids[2], ids[1], ids[0]]});
    assert_eq!(mesh.get(&path).await.expect(200), &expected);
    let shouted = format!("/users/{}/likes?limit=2", fan.username.to_uppercase());
    let page = mesh.get(&shouted).await;
    assert_eq!(page.expect(200)["post_ids"], json!([ids[2], ids[1]]));
    assert!(page.header("link").ends_with("rel=\"next\""));
    let nobody = mesh.get("/users/nobody-of-this-name/likes").await;
    assert_eq!(nobody.expect(200)["post_ids"], json!([]));
}

#[tokio::test]
async fn s2_30_popular_posts_by_likes() {
    let mesh = Mesh::current();
    let author = mesh.person().await;
    let (most, some) = (post(&author).await, post(&author).await);
    for (n, fan) in [
        mesh.person().await,
        mesh.person().await,
        mesh.person().await,
    ]
    .iter()
    .enumerate()
    {
        like(fan, most).await;
        if n > 0 {
            like(fan, some).await;
        }
    }
    // Other tests like other posts meanwhile.
    let popular = mesh.get("/likes/popular?limit=200").await;
    let posts = popular.expect(200)["posts"].as_array().unwrap();
    let place = |id: i64, likes: i64| {
        let shown = json!({"post_id": id, "likes": likes});
        posts.iter().position(|post| *post == shown).unwrap()
    };
    assert!(place(most, 3) < place(some, 2));
    let ids: Vec<&Value> = posts.iter().map(|post| &post["post_id"]).collect();
    assert_eq!(json!(ids), popular.json["post_ids"]);
    let likes: Vec<i64> = posts
        .iter()
        .map(|post| post["likes"].as_i64().unwrap())
        .collect();
    assert!(likes.is_sorted_by(|a, b| a >= b), "{likes:?}");
}

#[tokio::test]
async fn s2_36_d18_the_like_of_no_post_disappears_within_seconds() {
    let mesh = Mesh::current();
    let (author, fan) = (mesh.person().await, mesh.person().await);
    let (written, nothing) = (post(&author).await, unwritten(&author).await);
    like(&fan, written).await;
    let answer = json!({"status": "ok", "liked": true, "post_id": nothing});
    assert_eq!(like(&fan, nothing).await, answer);
    let path = format!("/users/{}/likes", fan.username);
    eventually("only the like of a post stays", || async {
        let shown = (count(nothing).await, mesh.get(&path).await.json);
        let expected = json!({"username": fan.username, "post_ids": [written]});
        if shown == (json!({"post_id": nothing, "likes": 0}), expected) {
            Ok(())
        } else {
            Err(format!("{shown:?}"))
        }
    })
    .await;
    assert_eq!(
        count(written).await,
        json!({"post_id": written, "likes": 1})
    );
}

#[tokio::test]
async fn d18_a_deleted_post_loses_its_likes() {
    let mesh = Mesh::current();
    let (author, fan) = (mesh.person().await, mesh.person().await);
    let id = post(&author).await;
    like(&fan, id).await;
    let path = format!("/posts/id/{id}");
    mesh.call(Method::DELETE, &path, &author.token, &Value::Null)
        .await
        .expect(200);
    eventually("the like is gone", || async {
        let shown = count(id).await;
        (shown["likes"] == 0).then_some(()).ok_or(shown.to_string())
    })
    .await;
    let path = format!("/likes/{id}");
    mesh.call(Method::POST, &path, &fan.token, &Value::Null)
        .await
        .problem(404);
}

/// Subjects and bodies of the mails about likes that arrived for somebody.
async fn mails(person: &Person) -> Vec<(String, String)> {
    let page = Mesh::current().address("mail_page");
    let url = format!("{page}/api/mails?to={}", person.email);
    let found = send(testkit::mesh::client().get(url)).await;
    let mails = found.expect(200).as_array().unwrap().clone();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    mails
        .iter()
        .map(|mail| (text(&mail["subject"]), text(&mail["text"])))
        .filter(|(subject, _)| subject.contains(" like"))
        .collect()
}

#[tokio::test]
async fn s2_37_d18_the_author_gets_one_mail_for_many_likes() {
    let mesh = Mesh::current();
    let author = mesh.person().await;
    let id = post(&author).await;
    let mut fans = Vec::new();
    for _ in 0..4 {
        fans.push(mesh.person().await);
    }
    // They belong into one mail, which is collected for a minute.
    for fan in &fans {
        like(fan, id).await;
    }
    like(&author, id).await;
    let arrived = async {
        let mut ticks = interval(Duration::from_millis(500));
        loop {
            ticks.tick().await;
            let mails = mails(&author).await;
            if !mails.is_empty() {
                return mails;
            }
        }
    };
    let mails = timeout(MAIL_DEADLINE, arrived)
        .await
        .expect("a mail in time");
    // Their own like is not news to anybody.
    let (subject, body) = &mails[0];
    assert_eq!(
        (mails.len(), subject.as_str()),
        (1, "4 people like your post")
    );
    assert!(body.contains(&fans[3].username), "{body}");
}

#[tokio::test]
async fn s2_68_answers_are_kept_in_redis() {
    let mesh = Mesh::current();
    let (author, fan) = (mesh.person().await, mesh.person().await);
    let id = post(&author).await;
    like(&fan, id).await;
    let question = "sum(likes_answers_total{from=\"redis\",what=\"count\"})";
    let asked = || async {
        count(id).await;
        let answers = mesh.number(question).await;
        let some = answers.is_some_and(|answers| answers > 0.0);
        some.then_some(()).ok_or(format!("{answers:?}"))
    };
    eventually("answers from Redis, in the metrics", asked).await;
}
