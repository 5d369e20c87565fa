//! What things cost with 10,000 posts. Prints, asserts nothing, and runs only when asked for:
//! `cargo test -p discussions --test it figures -- --ignored --nocapture --test-threads 1`

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use serde_json::json;

use crate::helpers::{ANNA, BEN, Backend, Plaza, post};

const POSTS: usize = 10_000;
const ROUNDS: usize = 50;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn on_sqlite() {
    figures(Backend::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn on_postgres() {
    figures(Backend::Postgres).await;
}

async fn figures(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let started = Instant::now();
    let plaza_ref = &plaza;
    let ids: Vec<String> = stream::iter(0..POSTS)
        .map(|number| async move {
            let mut body = post(&format!("Post {number}"));
            body["content"] = "It never broke down. ".repeat(15).into();
            body["car_model"] = format!("Model {}", number % 50).into();
            plaza_ref
                .written(if number % 2 == 0 { ANNA } else { BEN }, &body)
                .await
        })
        .buffered(8)
        .collect()
        .await;
    eprintln!(
        "{backend:?}: {POSTS} posts by 8 writers in {:?}",
        started.elapsed()
    );
    let started = Instant::now();
    let cold = plaza.another().await;
    eprintln!("start of another instance {:?}", started.elapsed());
    measure("list, nothing in memory", 1, || cold.get("/api/posts")).await;
    reads(&cold, &ids).await;
    writes(&plaza, &ids).await;
    comments(&plaza, &ids[7]).await;
}

async fn reads(plaza: &Plaza, ids: &[String]) {
    measure("list", ROUNDS, || plaza.get("/api/posts")).await;
    measure("list of 200", ROUNDS, || plaza.get("/api/posts?limit=200")).await;
    measure("list by car", ROUNDS, || {
        plaza.get("/api/posts?car_model=model%207")
    })
    .await;
    let path = format!("/api/posts/{}", ids[POSTS / 2]);
    measure("post", ROUNDS, || plaza.get(&path)).await;
}

async fn writes(plaza: &Plaza, ids: &[String]) {
    let body = post("Another");
    measure("write", ROUNDS, || plaza.post_as(ANNA, "/api/posts", &body)).await;
    let path = format!("/api/posts/{}", ids[POSTS - 2]);
    measure("change", ROUNDS, || plaza.put_as(ANNA, &path, &body)).await;
    let mut own = ids.iter().step_by(2);
    measure("delete", ROUNDS, || {
        let path = format!("/api/posts/{}", own.next().unwrap());
        async move { plaza.delete_as(ANNA, &path).await }
    })
    .await;
}

async fn comments(plaza: &Plaza, post: &str) {
    let path = format!("/api/posts/{post}/comments");
    let body = json!({ "comment_text": "I agree" });
    measure("comment", 200, || plaza.post_as(BEN, &path, &body)).await;
    measure("comments, 50", ROUNDS, || plaza.get(&path)).await;
    measure("post with 200 comments", ROUNDS, || {
        plaza.get(&path[..path.len() - 9])
    })
    .await;
}

async fn measure<F, R>(name: &str, rounds: usize, mut act: F)
where
    F: FnMut() -> R,
    R: Future<Output = testkit::Reply>,
{
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..rounds {
        let started = Instant::now();
        let reply = act().await;
        assert!(reply.status < 300, "{}", reply.text);
        times.push(started.elapsed());
    }
    times.sort_unstable();
    let (median, most) = (times[rounds / 2], times[rounds - 1]);
    eprintln!("{name:24} median {median:>10.2?}, most {most:>10.2?}");
}
