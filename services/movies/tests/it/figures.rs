//! What the cache is worth with 10,000 movies. Prints, asserts nothing of it, and runs
//! only when asked for:
//! `cargo test -p movies --test it figures -- --ignored --nocapture --test-threads 1`

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use serde_json::json;

use crate::helpers::{ANNA, Backend, Plaza, rated};

const MOVIES: u32 = 10_000;
const ROUNDS: usize = 200;

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
    fill(&plaza).await;
    let plaza_ref = &plaza;
    // Without Redis, and after the cache was cleared: SQL alone.
    let uncached = {
        let mut flags = vec!["--redis-url".to_owned(), "redis://127.0.0.1:1/0".to_owned()];
        if let Backend::Postgres = backend {
            flags.extend(["--movies-database-url".to_owned(), plaza.store_url()]);
        }
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        testkit::TestService::<movies::Movies>::start_in(plaza.service.data(), &flags).await
    };
    let clear = async || {
        plaza_ref
            .delete(ANNA, "/api/movies/cache/clear")
            .await
            .expect(200);
    };
    let nothing = async || ();
    for (name, path) in [
        (
            "search, all filters",
            "/api/movies/search?title=number&genre=drama&min_rating=7&max_rating=9",
        ),
        ("search, title", "/api/movies/search?title=NUMBER+77"),
        ("search, 2 letters", "/api/movies/search?title=77"),
        ("search, rare rating", "/api/movies/search?min_rating=10"),
        ("search, nothing found", "/api/movies/search?title=nowhere"),
        ("popular", "/api/movies/popular"),
    ] {
        let loads = uncached.service.loads();
        let without = measure(clear, || uncached.get(path)).await;
        let loads = uncached.service.loads() - loads;
        assert_eq!(loads, ROUNDS as u64 + 1, "each one asked SQL");
        let missed = measure(clear, || plaza.get(path)).await;
        let cached = measure(nothing, || plaza.get(path)).await;
        let ratio = without.as_secs_f64() / cached.as_secs_f64();
        eprintln!(
            "{name:22} without cache {without:>9.2?}, missed {missed:>9.2?}, cached {cached:>9.2?}: \
             {ratio:.1} times as fast"
        );
    }
    let body = json!({"title": "T", "rating": 4});
    let mut movie = 0;
    let review = measure(nothing, || {
        movie += 1;
        let path = format!("/api/movies/{movie}/reviews");
        let body = &body;
        async move { plaza_ref.post(ANNA, &path, body).await }
    });
    eprintln!("write a review {:.2?}", review.await);
}

async fn fill(plaza: &Plaza) {
    let started = Instant::now();
    stream::iter(0..MOVIES)
        .map(|number| async move {
            let genre = ["Horror", "Drama", "Comedy", "Action"][number as usize % 4];
            let title = format!("The {genre} of Number {number}");
            let mut body = rated(&title, f64::from(number % 1001) / 100.0, genre);
            body["description"] = "It ends well for most of them. ".repeat(10).into();
            plaza.movie(&body).await
        })
        .buffer_unordered(8)
        .collect::<Vec<_>>()
        .await;
    eprintln!("{MOVIES} movies by 8 writers in {:?}", started.elapsed());
}

/// The median, after one round that does not count; `before` each round does not count either.
async fn measure<F, R>(before: impl AsyncFn(), mut act: F) -> Duration
where
    F: FnMut() -> R,
    R: Future<Output = testkit::Reply>,
{
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..=ROUNDS {
        before().await;
        let started = Instant::now();
        let reply = act().await;
        assert!(reply.status < 300, "{}", reply.text);
        times.push(started.elapsed());
    }
    times.remove(0);
    times.sort_unstable();
    times[ROUNDS / 2]
}
