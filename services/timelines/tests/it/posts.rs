//! Posts and the lists of them.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use testkit::Mood;

use crate::helpers::{Backend, Plaza, ids, next_page};

crate::on_each_store![
    s2_20_a_post_is_answered_whole,
    s2_22_one_post_is_shown,
    s2_23_a_persons_posts_are_listed_newest_first,
    s2_23_only_users_can_say_that_somebody_is_nobody,
    s2_24_all_posts_are_listed_page_by_page,
    d26_a_repeated_key_makes_one_post_and_one_job,
    d6_nobody_writes_for_somebody_else,
    d19_an_author_deletes_a_post_and_nobody_else_can,
];

async fn s2_20_a_post_is_answered_whole(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let ada = plaza.person();
    let body = json!({"text": "  Hello, world  ", "user_id": ada.id, "post_id": 4242, "likes": 7});
    let reply = plaza.post_as(&ada, "/posts", &body).await;
    let post = reply.expect(201);
    assert_eq!(post["text"], "Hello, world");
    assert_eq!(
        (&post["user_id"], &post["username"]),
        (&json!(ada.id), &json!(ada.username))
    );
    assert_eq!(post["repost_original_url"], Value::Null);
    assert!(post["created_at"].as_str().unwrap().ends_with('Z'));
    assert_ne!(post["post_id"], 4242);
    let members: Vec<_> = post.as_object().unwrap().keys().collect();
    assert_eq!(members.len(), 6, "{members:?}");
    let url = "http://localhost:8080/posts/id/1";
    let body = json!({"text": "This!", "repost_original_url": url});
    let reply = plaza.post_as(&ada, "/posts", &body).await;
    assert_eq!(reply.expect(201)["repost_original_url"], url);
    plaza
        .service
        .call(Method::POST, "/posts", "", &body)
        .await
        .problem(401);
}

async fn s2_22_one_post_is_shown(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let ada = plaza.person();
    let reply = plaza
        .post_as(&ada, "/posts", &json!({"text": "Hello"}))
        .await;
    let post = reply.expect(201);
    let shown = plaza.get(&format!("/posts/id/{}", post["post_id"])).await;
    assert_eq!(shown.expect(200), post);
    for missing in [
        "0",
        "999999999",
        "9223372036854775807",
        "9223372036854775808",
        "-1",
    ] {
        let path = format!("/posts/id/{missing}");
        plaza.get(&path).await.problem(404);
        plaza.delete_as(&ada, &path).await.problem(404);
    }
    for word in ["abc", "1.5", "%00"] {
        let path = format!("/posts/id/{word}");
        plaza.get(&path).await.problem(422);
        plaza.delete_as(&ada, &path).await.problem(422);
        let anonymous = plaza.service.call(Method::DELETE, &path, "", &Value::Null);
        anonymous.await.problem(401);
    }
}

async fn s2_23_a_persons_posts_are_listed_newest_first(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let (ada, grace) = (plaza.person(), plaza.person());
    let of_ada = plaza.many_written(&ada, 5).await;
    plaza.written(&grace, "not hers").await;
    for username in [ada.username.to_uppercase(), ada.username.to_lowercase()] {
        let path = format!("/posts/{username}");
        assert_eq!(ids(plaza.get(&path).await.expect(200)), of_ada);
        assert_eq!(plaza.pages(&grace, &path, 2).await, of_ada);
    }
    assert_eq!(plaza.users.calls("Find"), 0, "whoever has posts exists");
}

async fn s2_23_only_users_can_say_that_somebody_is_nobody(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let silent = plaza.person();
    let path = format!("/posts/{}", silent.username);
    for _ in 0..3 {
        assert_eq!(plaza.get(&path).await.expect(200), &json!([]));
    }
    assert_eq!(plaza.users.calls("Find"), 1, "an answer is remembered");
    for nobody in ["nobody-of-this-name", "async", "jobs"] {
        let reply = plaza.get(&format!("/posts/{nobody}")).await;
        assert_eq!(reply.problem(404), "User not found");
    }
    let finds = plaza.users.calls("Find");
    for impossible in ["x", "a%20b", "a%00bc", "%3Cscript%3E", &"x".repeat(51)] {
        let reply = plaza.get(&format!("/posts/{impossible}")).await;
        reply.problem(404);
    }
    assert_eq!(plaza.users.calls("Find"), finds, "no need to ask");
    for mood in [Mood::Fails, Mood::Hangs] {
        plaza.users.set(mood);
        let started = Instant::now();
        for _ in 0..5 {
            let reply = plaza.get("/posts/whoever.this.is").await;
            assert_eq!(reply.expect(200), &json!([]));
        }
        assert!(started.elapsed() < Duration::from_secs(10), "{mood:?}");
    }
}

async fn s2_24_all_posts_are_listed_page_by_page(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    assert_eq!(plaza.get("/posts").await.expect(200), &json!([]));
    let (ada, grace) = (plaza.person(), plaza.person());
    let mut all = Vec::new();
    for number in 0..7 {
        let author = if number % 2 == 0 { &ada } else { &grace };
        all.insert(0, plaza.written(author, &number.to_string()).await);
    }
    assert_eq!(ids(plaza.get("/posts").await.expect(200)), all);
    for limit in [1, 3, 7, 200] {
        assert_eq!(plaza.pages(&ada, "/posts", limit).await, all, "{limit}");
    }
    let first = plaza.get("/posts?limit=3").await;
    plaza.written(&ada, "meanwhile").await;
    let second = plaza.get(next_page(&first)).await;
    assert_eq!(ids(second.expect(200)), all[3..6], "nothing moves");
}

async fn d26_a_repeated_key_makes_one_post_and_one_job(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let ada = plaza.person();
    let token = plaza.service.token(ada.id, &ada.username);
    let ask = |path: &'static str, text: &str| {
        let request = plaza.service.request(Method::POST, path);
        let request = request.header("idempotency-key", "k1").bearer_auth(&token);
        testkit::send(request.json(&json!({ "text": text })))
    };
    let first = ask("/posts", "once").await;
    let again = ask("/posts", "once").await;
    assert_eq!(again.expect(201), first.expect(201));
    ask("/posts", "another").await.problem(422);
    // The answer may be forgotten; the post knows what made it.
    let forget = "UPDATE operations SET status = NULL, attempted_at = '1970-01-01 00:00:00+00:00'";
    plaza.execute(forget).await;
    let once_more = ask("/posts", "once").await;
    assert_eq!(once_more.expect(201), first.expect(201));
    plaza.execute("DELETE FROM posts").await;
    let first = ask("/posts/async", "behind").await;
    plaza.execute(forget).await;
    let again = ask("/posts/async", "behind").await;
    assert_eq!(again.expect(202), first.expect(202));
    let made = testkit::eventually("the post", || async {
        match ids(plaza.get("/posts").await.expect(200)).len() {
            0 => Err("none".to_owned()),
            posts => Ok(posts),
        }
    });
    assert_eq!(made.await, 1);
}

async fn d6_nobody_writes_for_somebody_else(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let (ada, grace) = (plaza.person(), plaza.person());
    let body = json!({"text": "I said this", "user_id": grace.id});
    for path in ["/posts", "/posts/async"] {
        plaza.post_as(&ada, path, &body).await.problem(403);
    }
    assert_eq!(plaza.get("/posts").await.expect(200), &json!([]));
}

async fn d19_an_author_deletes_a_post_and_nobody_else_can(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let (ada, grace) = (plaza.person(), plaza.person());
    let (kept, deleted) = (
        plaza.written(&ada, "kept").await,
        plaza.written(&ada, "deleted").await,
    );
    let path = format!("/posts/id/{deleted}");
    plaza.delete_as(&grace, &path).await.problem(403);
    plaza
        .service
        .call(Method::DELETE, &path, "", &Value::Null)
        .await
        .problem(401);
    let reply = plaza.delete_as(&ada, &path).await;
    assert_eq!(
        reply.expect(200),
        &json!({"status": "ok", "post_id": deleted})
    );
    plaza.get(&path).await.problem(404);
    plaza.delete_as(&ada, &path).await.problem(404);
    for list in ["/posts", &format!("/posts/{}", ada.username)] {
        assert_eq!(ids(plaza.get(list).await.expect(200)), [kept], "{list}");
    }
}
