//! The cache: quick, shared, and never behind (S3-29, S3-36, D21, D28).

use futures_util::{StreamExt as _, future::join_all, stream};
use reqwest::Method;
use sea_orm::{ConnectionTrait as _, Database};
use serde_json::{Value, json};
use testkit::redis::RedisServer;

use crate::helpers::{ANNA, BEN, Backend, FROM_CACHE, FROM_DATABASE, Plaza, movie, rated};

crate::on_each_store![
    s3_14_the_second_answer_is_from_the_cache_and_the_same,
    s3_44_questions_of_one_meaning_share_an_entry,
    d21_every_write_shows_at_once_through_every_instance,
    d21_a_write_leaves_what_it_does_not_change,
    s3_29_reviews_are_cached_and_never_old,
    s3_18_the_cache_is_cleared,
    s3_36_flushall_does_no_harm,
    d28_without_redis_everything_is_answered,
    d28_what_redis_brings_back_is_not_believed,
    s3_13_a_thousand_misses_at_once_cost_one_query,
    d21_never_stale_while_others_write,
];

const SEARCH: &str = "/api/movies/search?title=alien";
const POPULAR: &str = "/api/movies/popular";

async fn s3_14_the_second_answer_is_from_the_cache_and_the_same(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    plaza.movie(&movie("Alien")).await;
    for path in [SEARCH, POPULAR, "/api/movies/search?title=nothing"] {
        let (first, second) = (plaza.get(path).await, plaza.get(path).await);
        assert_eq!(first.expect(200)["message"], FROM_DATABASE);
        assert_eq!(second.expect(200)["message"], FROM_CACHE);
        assert_eq!(first.json["data"], second.json["data"]);
    }
    let other = plaza.another().await;
    assert_eq!(
        other.titles(SEARCH).await.0,
        FROM_CACHE,
        "instances share it"
    );
}

async fn s3_44_questions_of_one_meaning_share_an_entry(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    plaza.movie(&movie("Alien")).await;
    assert_eq!(plaza.titles(SEARCH).await.0, FROM_DATABASE);
    for same in [
        "title=ALIEN",
        "title=+Alien+",
        "genre=&title=alien&min_rating=0",
        "max_rating=10.0&title=alien&kind=",
        "title=alien&limit=50",
        "title=alien&utm_source=x",
    ] {
        let (message, _) = plaza.titles(&format!("/api/movies/search?{same}")).await;
        assert_eq!(message, FROM_CACHE, "{same}");
    }
    for other in [
        "title=alie",
        "genre=alien",
        "title=alien&limit=49",
        "title=alien&min_rating=0.01",
    ] {
        let (message, _) = plaza.titles(&format!("/api/movies/search?{other}")).await;
        assert_eq!(message, FROM_DATABASE, "{other}");
    }
}

async fn d21_every_write_shows_at_once_through_every_instance(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let other = plaza.another().await;
    let first = plaza.movie(&movie("Alien")).await;
    let path = format!("/api/movies/{first}");
    let warm = async || {
        for path in [SEARCH, POPULAR] {
            for instance in [&plaza, &other, &plaza] {
                instance.titles(path).await;
            }
        }
    };
    let seen = async |expected: &[&str]| {
        for path in [SEARCH, POPULAR] {
            for instance in [&other, &plaza] {
                assert_eq!(instance.titles(path).await.1, expected, "{path}");
            }
        }
        warm().await;
    };
    warm().await;
    let second = plaza.movie(&rated("Aliens", 8.4, "Action")).await;
    for path in [SEARCH, POPULAR] {
        assert_eq!(other.titles(path).await.1.len(), 2, "{path}");
    }
    warm().await;
    plaza
        .delete(ANNA, &format!("/api/movies/{second}"))
        .await
        .expect(200);
    seen(&["Alien"]).await;
    plaza
        .put(ANNA, &path, &movie("Alien, again"))
        .await
        .expect(200);
    seen(&["Alien, again"]).await;
    let review = plaza.review(BEN, first, 4.0).await;
    let review = format!("{path}/reviews/{review}");
    let mean = async |expected: Value| {
        for path in [SEARCH, POPULAR] {
            let reply = other.get(path).await;
            assert_eq!(
                reply.expect(200)["data"][0]["review_rating"],
                expected,
                "{path}"
            );
        }
        warm().await;
    };
    mean(json!(4.0)).await;
    plaza
        .put(BEN, &review, &json!({"title": "T", "rating": 6}))
        .await
        .expect(200);
    mean(json!(6.0)).await;
    plaza.delete(BEN, &review).await.expect(200);
    mean(Value::Null).await;
}

async fn d21_a_write_leaves_what_it_does_not_change(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let (one, other) = (
        plaza.movie(&movie("Alien")).await,
        plaza.movie(&movie("Other")).await,
    );
    let review = plaza.review(BEN, one, 4.0).await;
    let reviews = |movie: i64| format!("/api/movies/{movie}/reviews");
    for path in [SEARCH, POPULAR] {
        plaza.titles(path).await;
    }
    plaza.get(&reviews(other)).await.expect(200);
    let loads = plaza.service.service.loads();
    // Another text with the same rating: no list of movies shows it.
    let body = json!({"title": "T", "body": "Another text", "rating": 4});
    let path = format!("{}/{review}", reviews(one));
    plaza.put(BEN, &path, &body).await.expect(200);
    for path in [SEARCH, POPULAR] {
        assert_eq!(plaza.titles(path).await.0, FROM_CACHE);
    }
    plaza.review(ANNA, one, 5.0).await;
    plaza.get(&reviews(other)).await.expect(200);
    assert_eq!(plaza.service.service.loads(), loads);
}

async fn s3_29_reviews_are_cached_and_never_old(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let other = plaza.another().await;
    let movie = plaza.movie(&movie("Alien")).await;
    let path = format!("/api/movies/{movie}/reviews");
    let loads = || plaza.service.service.loads() + other.service.service.loads();
    for instance in [&plaza, &other, &plaza] {
        assert_eq!(instance.get(&path).await.expect(200), &json!([]));
    }
    assert_eq!(loads(), 1);
    let review = plaza.review(BEN, movie, 4.0).await;
    assert_eq!(other.get(&path).await.expect(200)[0]["rating"], 4.0);
    let own = format!("{path}/{review}");
    plaza
        .put(BEN, &own, &json!({"title": "New", "rating": 4}))
        .await
        .expect(200);
    assert_eq!(other.get(&path).await.expect(200)[0]["title"], "New");
    plaza.delete(BEN, &own).await.expect(200);
    assert_eq!(other.get(&path).await.expect(200), &json!([]));
    plaza
        .delete(ANNA, &format!("/api/movies/{movie}"))
        .await
        .expect(200);
    other.get(&path).await.problem(404);
}

async fn s3_18_the_cache_is_cleared(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let other = plaza.another().await;
    let movie = plaza.movie(&movie("Alien")).await;
    let reviews = format!("/api/movies/{movie}/reviews");
    plaza.titles(SEARCH).await;
    plaza.get(&reviews).await.expect(200);
    let path = "/api/movies/cache/clear";
    let anybody = plaza
        .service
        .call(Method::DELETE, path, "", &Value::Null)
        .await;
    anybody.problem(401);
    assert_eq!(other.titles(SEARCH).await.0, FROM_CACHE);
    let reply = plaza.delete(BEN, path).await;
    assert_eq!(
        reply.expect(200),
        &json!({"message": "All cache cleared successfully"})
    );
    let loads = other.service.service.loads();
    assert_eq!(other.titles(SEARCH).await.0, FROM_DATABASE);
    other.get(&reviews).await.expect(200);
    assert_eq!(other.service.service.loads(), loads + 2);
    assert_eq!(plaza.titles(SEARCH).await.0, FROM_CACHE);
}

async fn s3_36_flushall_does_no_harm(backend: Backend) {
    let redis = RedisServer::start();
    let plaza = Plaza::start_with(backend, &["--redis-url", &redis.url()]).await;
    let movie = plaza.movie(&movie("Alien")).await;
    plaza.review(BEN, movie, 4.0).await;
    let paths = [
        SEARCH.to_owned(),
        POPULAR.to_owned(),
        format!("/api/movies/{movie}/reviews"),
    ];
    let mut before = Vec::new();
    for path in &paths {
        plaza.get(path).await.expect(200);
        before.push(plaza.get(path).await.expect(200).clone());
    }
    redis.flush();
    for (path, before) in paths.iter().zip(&mut before) {
        if before.get("message").is_some() {
            before["message"] = FROM_DATABASE.into();
        }
        assert_eq!(plaza.get(path).await.expect(200), before);
    }
    assert_eq!(
        plaza.titles(SEARCH).await.0,
        FROM_CACHE,
        "and it fills again"
    );
    plaza
        .put(
            ANNA,
            &format!("/api/movies/{movie}"),
            &rated("Alien", 1.0, "X"),
        )
        .await
        .expect(200);
    redis.flush();
    let answer = plaza.get(SEARCH).await;
    assert_eq!(answer.expect(200)["data"][0]["rating"], 1.0);
}

async fn d28_without_redis_everything_is_answered(backend: Backend) {
    let mut redis = RedisServer::start();
    let plaza = Plaza::start_with(backend, &["--redis-url", &redis.url()]).await;
    plaza.movie(&movie("Alien")).await;
    plaza.titles(SEARCH).await;
    assert_eq!(plaza.titles(SEARCH).await.0, FROM_CACHE);
    redis.kill();
    for _ in 0..3 {
        let (message, titles) = plaza.titles(SEARCH).await;
        assert_eq!((message.as_str(), titles.len()), (FROM_DATABASE, 1));
    }
    let second = plaza.movie(&movie("Aliens")).await;
    assert_eq!(plaza.titles(SEARCH).await.1, ["Aliens", "Alien"]);
    plaza.review(BEN, second, 4.0).await;
    let reviews = plaza.get(&format!("/api/movies/{second}/reviews")).await;
    assert_eq!(reviews.expect(200).as_array().unwrap().len(), 1);
    plaza
        .delete(BEN, "/api/movies/cache/clear")
        .await
        .expect(200);
    redis.restart();
    testkit::eventually("the cache is used again", || async {
        let (message, titles) = plaza.titles(SEARCH).await;
        assert_eq!(titles, ["Aliens", "Alien"]);
        if message == FROM_CACHE {
            Ok(())
        } else {
            Err(message)
        }
    })
    .await;
}

/// A Redis that was away, or comes up from a snapshot, has entries from before a write.
async fn d28_what_redis_brings_back_is_not_believed(backend: Backend) {
    let (redis, stale) = (RedisServer::start(), RedisServer::start());
    let plaza = Plaza::start_with(backend, &["--redis-url", &redis.url()]).await;
    let movie_id = plaza.movie(&movie("Alien")).await;
    // An instance that sees the other Redis only, as if it were this one some time ago.
    let mut flags = vec!["--redis-url".to_owned(), stale.url()];
    if let Backend::Postgres = backend {
        flags.extend(["--movies-database-url".to_owned(), plaza.store_url()]);
    }
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let behind =
        testkit::TestService::<movies::Movies>::start_in(plaza.service.data(), &flags).await;
    for _ in 0..2 {
        behind.get(SEARCH).await.expect(200);
    }
    let change = rated("Alien", 1.0, "Horror");
    plaza
        .put(ANNA, &format!("/api/movies/{movie_id}"), &change)
        .await
        .expect(200);
    let answer = behind.get(SEARCH).await;
    assert_eq!(answer.expect(200)["data"][0]["rating"], 1.0);
    assert_eq!(answer.json["message"], FROM_DATABASE);
}

async fn s3_13_a_thousand_misses_at_once_cost_one_query(backend: Backend) {
    let redis = std::env::var("TEST_REDIS_URL").unwrap();
    let flags = ["--redis-url", &redis, "--max-in-flight", "2000"];
    let plaza = Plaza::start_with(backend, &flags).await;
    for number in 0..20 {
        plaza.movie(&movie(&format!("Alien {number}"))).await;
    }
    let plaza = &plaza;
    for path in [SEARCH, POPULAR] {
        let before = plaza.service.service.loads();
        let answers: Vec<_> = stream::iter(0..1000)
            .map(|_| plaza.get(path))
            .buffer_unordered(1000)
            .collect()
            .await;
        for answer in &answers {
            assert_eq!(answer.expect(200)["data"], answers[0].json["data"]);
        }
        assert_eq!(plaza.service.service.loads() - before, 1, "{path}");
    }
}

/// Writers who read their own writes at once, through the other instance, while all write.
async fn d21_never_stale_while_others_write(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let other = plaza.another().await;
    let mut movies = Vec::new();
    for _ in 0..4 {
        movies.push(plaza.movie(&rated("Alien", 0.0, "Horror")).await);
    }
    let writers = movies.into_iter().enumerate().map(|(number, id)| {
        let instances = [&plaza, &other];
        async move {
            for round in 1..=15_u8 {
                let (writes, reads) = (instances[number % 2], instances[(number + 1) % 2]);
                let rating = f64::from(round) / 2.0;
                let path = format!("/api/movies/{id}");
                writes
                    .put(ANNA, &path, &rated("Alien", rating, "Horror"))
                    .await
                    .expect(200);
                for path in [SEARCH, POPULAR] {
                    let answer = reads.get(path).await;
                    let movies = answer.expect(200)["data"].as_array().unwrap();
                    let own = movies.iter().find(|movie| movie["id"] == id).unwrap();
                    assert_eq!(own["rating"], rating, "{path}");
                }
            }
        }
    });
    join_all(writers).await;
}

/// Behind our back a row may change too: then clearing the cache, or five minutes, help.
#[tokio::test]
async fn s3_18_clearing_shows_what_was_changed_by_hand() {
    let plaza = Plaza::start(Backend::Postgres).await;
    plaza.movie(&movie("Alien")).await;
    plaza.titles(SEARCH).await;
    let by_hand = Database::connect(plaza.store_url()).await.unwrap();
    by_hand
        .execute_unprepared("UPDATE movies SET title = 'By hand'")
        .await
        .unwrap();
    assert_eq!(plaza.titles(SEARCH).await.1, ["Alien"]);
    plaza
        .delete(BEN, "/api/movies/cache/clear")
        .await
        .expect(200);
    assert_eq!(plaza.titles(SEARCH).await.1, ["By hand"]);
}
