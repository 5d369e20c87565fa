use std::time::{Duration, Instant};

use serde_json::json;
use testkit::{Mood, eventually};

use crate::{
    helpers::{ANNA, BEN, Backend, Plaza, post},
    on_each_store,
};

on_each_store!(
    s0_13_users_is_asked_about_the_author,
    s0_13_an_unknown_author_is_refused,
    s0_25_writing_and_reading_work_while_users_hangs,
    s0_25_writing_and_reading_work_while_users_fails,
    d9_authors_are_shown_with_one_call_a_page,
);

/// An account that `users` does not know, with a good token: it was deleted since.
const GHOST: i64 = 999;

async fn s0_13_users_is_asked_about_the_author(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let id = plaza.written(ANNA, &post("Best car")).await;
    assert_eq!(plaza.users.calls("Get"), 1);
    plaza.commented(BEN, &id, "Nice").await;
    assert_eq!(plaza.users.calls("Get"), 2);
    // A moment later the answer is still known.
    plaza.commented(BEN, &id, "Really").await;
    assert_eq!(plaza.users.calls("Get"), 2);
}

async fn s0_13_an_unknown_author_is_refused(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let refused = plaza.post_as(GHOST, "/api/posts", &post("Boo")).await;
    assert_eq!(
        refused.problem(403),
        "There is no account of this user any more"
    );
    assert_eq!(plaza.get("/api/posts").await.expect(200), &json!([]));
    let id = plaza.written(ANNA, &post("Best car")).await;
    let path = format!("/api/posts/{id}/comments");
    plaza
        .post_as(GHOST, &path, &json!({ "comment_text": "Boo" }))
        .await
        .problem(403);
    assert_eq!(plaza.get(&path).await.expect(200), &json!([]));
}

async fn s0_25_writing_and_reading_work_while_users_hangs(backend: Backend) {
    works_without_users(backend, Mood::Hangs).await;
}

async fn s0_25_writing_and_reading_work_while_users_fails(backend: Backend) {
    works_without_users(backend, Mood::Fails).await;
}

async fn works_without_users(backend: Backend, mood: Mood) {
    let plaza = Plaza::start(backend).await;
    plaza.users.set(mood);
    let started = Instant::now();
    let id = plaza.written(ANNA, &post("Best car")).await;
    assert!(
        started.elapsed() < Duration::from_secs(15),
        "{:?}",
        started.elapsed()
    );
    let path = format!("/api/posts/{id}");
    plaza
        .put_as(ANNA, &path, &post("Good car"))
        .await
        .expect(200);
    plaza.commented(BEN, &id, "Nice").await;
    let started = Instant::now();
    for path in ["/api/posts", &path, &format!("{path}/comments")] {
        plaza.get(path).await.expect(200);
    }
    assert!(
        started.elapsed() < Duration::from_secs(15),
        "{:?}",
        started.elapsed()
    );
    let shown = plaza.get(&path).await;
    assert!(shown.expect(200).get("author").is_none(), "{}", shown.text);
    plaza.users.set(Mood::Answers);
    eventually("the author's name", || async {
        let shown = plaza.get(&path).await.json;
        if shown["author"]["name"] == "ANNA" && shown["comments"][0]["author"]["name"] == "BEN" {
            Ok(())
        } else {
            Err(shown.to_string())
        }
    })
    .await;
}

async fn d9_authors_are_shown_with_one_call_a_page(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    for author in [ANNA, BEN, ANNA] {
        plaza.written(author, &post("Best car")).await;
    }
    let reader = plaza.another().await;
    let list = reader.get("/api/posts").await;
    let authors: Vec<_> = list
        .expect(200)
        .as_array()
        .unwrap()
        .iter()
        .map(|post| &post["author"])
        .collect();
    let anna = json!({ "user_id": ANNA, "username": "anna", "name": "ANNA" });
    let ben = json!({ "user_id": BEN, "username": "ben", "name": "BEN" });
    assert_eq!(authors, [&anna, &ben, &anna]);
    assert_eq!(reader.users.calls("GetMany"), 1);
}
