//! What things cost with 2,000 posts liked. Prints, asserts nothing, and runs only when asked for:
//! `cargo test -p likes --test it figures -- --ignored --nocapture --test-threads 1`

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::helpers::{Backend, Plaza, at_once, shared};

const POSTS: i64 = 2_000;
const WRITERS: i64 = 8;
const ROUNDS: usize = 200;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute"]
async fn on_sqlite() {
    figures(Backend::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute"]
async fn on_sqlite_without_redis() {
    figures(Backend::WithoutRedis).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute"]
async fn on_postgres() {
    figures(Backend::Postgres).await;
}

async fn figures(backend: Backend) {
    let plaza = shared(Plaza::start(backend).await);
    let started = Instant::now();
    at_once((0..WRITERS).map(|writer| {
        let plaza = Arc::clone(&plaza);
        async move {
            for post in (0..POSTS).filter(|post| post % WRITERS == writer) {
                plaza.like(writer, post).await.expect(200);
            }
        }
    }))
    .await;
    let elapsed = started.elapsed();
    eprintln!("{backend:?}: {POSTS} likes by {WRITERS} writers in {elapsed:.2?}");
    let mut post = 0;
    measure("like", || {
        post += 1;
        plaza.like(100, post)
    })
    .await;
    measure("like again", || plaza.like(100, 1)).await;
    measure("count", || plaza.get("/likes/7/count")).await;
    measure("popular, 50", || plaza.get("/likes/popular")).await;
    measure("likes of, 50", || plaza.get("/users/user100/likes")).await;
    if let Some(redis) = &plaza.redis {
        let started = Instant::now();
        redis.flush();
        let client = plaza.redis_client().await;
        crate::redis::warm(&client).await;
        eprintln!("rebuilt after FLUSHALL in {:.2?}", started.elapsed());
    }
}

async fn measure<F, R>(name: &str, mut act: F)
where
    F: FnMut() -> R,
    R: Future<Output = testkit::Reply>,
{
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..ROUNDS {
        let started = Instant::now();
        act().await.expect(200);
        times.push(started.elapsed());
    }
    times.sort_unstable();
    let (median, most) = (times[ROUNDS / 2], times[ROUNDS - 1]);
    eprintln!("{name:16} median {median:>10.2?}, most {most:>10.2?}");
}
