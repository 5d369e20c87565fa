//! What things cost with much and with little in the system, side by side in one run. Prints,
//! asserts nothing, and runs only when asked for:
//! `cargo test -p timelines --test it figures -- --ignored --nocapture --test-threads 1`

use std::time::{Duration, Instant};

use crate::helpers::{Backend, Person, Plaza};

const ROUNDS: usize = 200;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn on_sqlite() {
    Box::pin(reading(Backend::Sqlite)).await;
    posting(Backend::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn on_postgres() {
    Box::pin(reading(Backend::Postgres)).await;
    posting(Backend::Postgres).await;
}

/// A home timeline with 100 and with 100,000 posts in the system, a tenth of them of authors
/// whom the reader follows.
async fn reading(backend: Backend) {
    let (small, large) = (Plaza::start(backend).await, Plaza::start(backend).await);
    let mut readers = Vec::new();
    for (plaza, posts) in [(&small, 100_i64), (&large, 100_000)] {
        let reader = plaza.person();
        for author in 1..=10 {
            let author = Person {
                id: author,
                username: format!("author{author}"),
            };
            plaza.follow(&reader, &author).await;
        }
        insert_posts(plaza, posts).await;
        readers.push(reader);
    }
    let (mut in_small, mut in_large) = (Vec::new(), Vec::new());
    for state in ["from Redis", "rebuilt", "Redis away"] {
        in_small.clear();
        in_large.clear();
        if state == "Redis away" {
            small.redis.lock().unwrap().kill();
            large.redis.lock().unwrap().kill();
        }
        let path = |reader: &Person| format!("/posts/home/{}?limit=10", reader.username);
        for round in 0..ROUNDS {
            if state == "rebuilt" {
                small.redis.lock().unwrap().flush();
                large.redis.lock().unwrap().flush();
            }
            let one = timed(small.get_as(&readers[0], &path(&readers[0]))).await;
            let other = timed(large.get_as(&readers[1], &path(&readers[1]))).await;
            if round > 10 {
                in_small.push(one);
                in_large.push(other);
            }
        }
        let what = format!("{backend:?}: home timeline {state}, 100 and 100,000 posts");
        ratio(&what, &mut in_small, &mut in_large);
    }
}

/// Writing with 10 and with 10,000 followers, delivered to each, and with 10,000 merged when
/// they read.
async fn posting(backend: Backend) {
    for (what, limit) in [("delivered to each", "20000"), ("merged at read", "5000")] {
        let plaza = Plaza::start_with(backend, &["--fan-out-limit", limit]).await;
        let (few, many) = (plaza.person(), plaza.person());
        insert_followers(&plaza, few.id, 10).await;
        insert_followers(&plaza, many.id, 10_000).await;
        let (mut by_few, mut by_many) = (Vec::new(), Vec::new());
        for block in 0..5 {
            for (author, followers, times) in
                [(&few, 10, &mut by_few), (&many, 10_000, &mut by_many)]
            {
                let mut last = 0;
                for _ in 0..40 {
                    let started = Instant::now();
                    last = plaza.written(author, "Hello").await;
                    // The first block warms up.
                    if block > 0 {
                        times.push(started.elapsed());
                    }
                }
                // Each has its own deliveries beside it, and not those of the other.
                if followers < limit.parse().unwrap() {
                    let follower = Person {
                        id: author.id * 1_000_000 + followers - 1,
                        username: String::new(),
                    };
                    let started = Instant::now();
                    plaza.delivered(&follower, last).await;
                    let late = started.elapsed();
                    eprintln!("  40 posts to {followers}: delivered {late:.2?} after the last");
                }
            }
        }
        let what = format!("{backend:?}: POST /posts, 10 and 10,000 followers, {what}");
        ratio(&what, &mut by_few, &mut by_many);
    }
}

async fn insert_posts(plaza: &Plaza, posts: i64) {
    for first in (0..posts).step_by(1000) {
        let rows: Vec<String> = (first..posts.min(first + 1000))
            .map(|number| {
                let author = number % 100 + 1;
                let name = format!("'author{author}'");
                format!("({author}, {name}, {name}, 'post', '{number}', '2026-01-01T00:00:00Z')")
            })
            .collect();
        let columns = "user_id, username, username_key, text, operation, created_at";
        let rows = rows.join(", ");
        plaza
            .execute(&format!("INSERT INTO posts ({columns}) VALUES {rows}"))
            .await;
    }
}

/// Followers with a home timeline in Redis each, so that a delivery has all to do.
async fn insert_followers(plaza: &Plaza, author: i64, followers: i64) {
    let redis = plaza.ask_redis().await;
    let base = author * 1_000_000;
    for first in (0..followers).step_by(1000) {
        let ids = (base + first)..(base + followers.min(first + 1000));
        let mut homes = chassis::redis::pipe();
        let (mut follows, mut readers) = (Vec::new(), Vec::new());
        for id in ids {
            follows.push(format!("({id}, {author}, true, '2026-01-01T00:00:00Z')"));
            readers.push(format!("({id}, 1)"));
            let home = format!("timelines:home:{id}:1");
            homes.cmd("ZADD").arg(home).arg(0).arg(0).ignore();
        }
        let columns = "follower_id, followee_id, following, changed_at";
        let follows = follows.join(", ");
        plaza
            .execute(&format!("INSERT INTO follows ({columns}) VALUES {follows}"))
            .await;
        let readers = readers.join(", ");
        plaza
            .execute(&format!(
                "INSERT INTO readers (user_id, version) VALUES {readers}"
            ))
            .await;
        redis.pipe::<()>("test", &homes).await.unwrap();
    }
}

async fn timed(reply: impl Future<Output = testkit::Reply>) -> Duration {
    let started = Instant::now();
    let reply = reply.await;
    assert!(reply.status < 300, "{}", reply.text);
    started.elapsed()
}

fn ratio(what: &str, little: &mut [Duration], much: &mut [Duration]) {
    little.sort_unstable();
    much.sort_unstable();
    let (one, other) = (little[little.len() / 2], much[much.len() / 2]);
    let ratio = other.as_secs_f64() / one.as_secs_f64();
    eprintln!("{what}: medians {one:.2?} and {other:.2?}, ratio {ratio:.2}");
}
