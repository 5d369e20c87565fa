//! Redis answers, and never holds the only copy of anything.

use std::{sync::Arc, time::Duration};

use chassis::redis::{Redis, cmd};
use testkit::{TestService, eventually};

use crate::{
    helpers::{Backend, NOWHERE, Plaza, at_once, count, like, ranked, shared, unlike},
    on_each_store,
};

on_each_store![
    s2_68_counts_ranking_and_lists_are_answered_from_redis,
    d28_after_flushall_every_answer_is_right_at_once_and_redis_is_filled_again,
    d28_while_redis_is_dead_everything_is_answered_and_nothing_old_comes_back,
    d28_what_did_not_reach_redis_is_found_within_seconds,
    d28_redis_and_sql_agree_after_a_storm_over_two_instances,
    d28_keys_that_vanish_are_not_missed,
    d28_a_small_ranking_is_exact_at_its_lower_end,
];

/// Waits until answers come from Redis.
pub async fn warm(redis: &Redis) {
    eventually("a ranking in Redis", || async {
        let until: Option<i64> = redis
            .run("test", cmd("HGET").arg("likes:state").arg("until"))
            .await
            .map_err(|error| error.to_string())?;
        until
            .filter(|until| *until > 0)
            .map(|_| ())
            .ok_or("none yet".to_owned())
    })
    .await;
}

async fn run(redis: &Redis, command: &[&str]) {
    let (name, arguments) = command.split_first().unwrap();
    let done: Result<(), _> = redis.run("test", cmd(name).arg(arguments)).await;
    done.unwrap();
}

/// Some posts, likes, and what the answers about them have to be.
async fn filled(plaza: &Plaza) -> Vec<(i64, i64)> {
    let expected = [(3, 4), (1, 3), (12, 2), (2, 2)];
    for (post, likes) in expected {
        for person in 0..likes {
            plaza.like(100 + person, post).await.expect(200);
        }
    }
    expected.to_vec()
}

async fn assert_answers(plaza: &Plaza, expected: &[(i64, i64)]) {
    assert_eq!(plaza.popular("").await, expected);
    for (post, likes) in expected {
        assert_eq!(plaza.count(*post).await, *likes);
    }
    assert_eq!(plaza.likes_of(100).await, [2, 12, 1, 3]);
    assert_eq!(plaza.likes_of(103).await, [3]);
}

async fn s2_68_counts_ranking_and_lists_are_answered_from_redis(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let redis = plaza.redis_client().await;
    warm(&redis).await;
    let expected = filled(&plaza).await;
    assert_answers(&plaza, &expected).await;
    // Numbers that only Redis knows show that it is Redis that is asked.
    // The version is later than any, so that a sweep does not write the old number back.
    let count = ["likes", "777", "version", "9007199254740991"];
    run(&redis, &[&["HSET", "likes:count:3"][..], &count].concat()).await;
    run(
        &redis,
        &["ZADD", "likes:popular", "999", "0000000000000000042"],
    )
    .await;
    let list = r#"{"username":"Planted","likes":[{"post_id":5,"version":1}]}"#;
    run(&redis, &["HSET", "likes:user:user103", "list", list]).await;
    assert_eq!(plaza.count(3).await, 777);
    assert_eq!(plaza.popular("?limit=1").await, [(42, 999)]);
    assert_eq!(plaza.likes_of(103).await, [5]);
}

async fn d28_after_flushall_every_answer_is_right_at_once_and_redis_is_filled_again(
    backend: Backend,
) {
    let plaza = Plaza::start(backend).await;
    let redis = plaza.redis_client().await;
    warm(&redis).await;
    let mut expected = filled(&plaza).await;
    plaza.redis.as_ref().unwrap().flush();
    assert_answers(&plaza, &expected).await;
    plaza.redis.as_ref().unwrap().flush();
    plaza.like(200, 1).await.expect(200);
    plaza.like(201, 1).await.expect(200);
    expected[..2].copy_from_slice(&[(1, 5), (3, 4)]);
    assert_answers(&plaza, &expected).await;
    warm(&redis).await;
    assert_answers(&plaza, &expected).await;
    let ranking: Vec<String> = redis
        .run("test", cmd("ZREVRANGE").arg("likes:popular").arg(0).arg(-1))
        .await
        .unwrap();
    let numbers: Vec<i64> = ranking[1..]
        .iter()
        .map(|post| post.parse().unwrap())
        .collect();
    assert_eq!(numbers, [1, 3, 12, 2], "the same order as in SQL");
}

async fn d28_while_redis_is_dead_everything_is_answered_and_nothing_old_comes_back(
    backend: Backend,
) {
    let mut plaza = Plaza::start(backend).await;
    let redis = plaza.redis_client().await;
    warm(&redis).await;
    let mut expected = filled(&plaza).await;
    assert_answers(&plaza, &expected).await;
    plaza.redis.as_mut().unwrap().kill();
    assert_answers(&plaza, &expected).await;
    plaza.like(200, 1).await.expect(200);
    plaza.like(201, 1).await.expect(200);
    plaza.unlike(201, 1).await.expect(200);
    expected[..2].copy_from_slice(&[(3, 4), (1, 4)]);
    assert_answers(&plaza, &expected).await;
    plaza.redis.as_mut().unwrap().restart();
    assert_answers(&plaza, &expected).await;
    warm(&redis).await;
    assert_answers(&plaza, &expected).await;
}

async fn d28_what_did_not_reach_redis_is_found_within_seconds(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let redis = plaza.redis_client().await;
    warm(&redis).await;
    filled(&plaza).await;
    // An instance that cannot reach Redis is like one that dies between its commit and Redis.
    let cut_off = plaza
        .another_with(&["--roles", "none", "--redis-url", NOWHERE])
        .await;
    assert_eq!(plaza.likes_of(100).await, [2, 12, 1, 3]);
    for person in 300..303 {
        like(&cut_off, person, 12).await.expect(200);
    }
    unlike(&cut_off, 100, 12).await.expect(200);
    assert_eq!(count(&cut_off, 12).await, 4, "what one wrote, one reads");
    let begun = tokio::time::Instant::now();
    eventually("the change in Redis", || async {
        let seen = (
            plaza.count(12).await,
            plaza.popular("?limit=2").await,
            plaza.likes_of(100).await,
        );
        if seen == (4, vec![(12, 4), (3, 4)], vec![2, 1, 3]) {
            Ok(())
        } else {
            Err(format!("{seen:?}"))
        }
    })
    .await;
    assert!(
        begun.elapsed() < Duration::from_secs(30),
        "{:?}",
        begun.elapsed()
    );
}

async fn d28_redis_and_sql_agree_after_a_storm_over_two_instances(backend: Backend) {
    let plaza = shared(Plaza::start(backend).await);
    let redis = plaza.redis_client().await;
    warm(&redis).await;
    let other: Arc<TestService<_>> = Arc::new(plaza.another_with(&["--roles", "none"]).await);
    at_once((0..12).map(|person: i64| {
        let (plaza, other) = (Arc::clone(&plaza), Arc::clone(&other));
        async move {
            for round in 0..10 {
                let post = (person * 7 + round) % 4 + 1;
                if round % 3 == 0 {
                    unlike(&other, person, post).await.expect(200);
                    like(&plaza.service, person, post).await.expect(200);
                } else {
                    like(&other, person, post).await.expect(200);
                    unlike(&plaza.service, person, post).await.expect(200);
                }
                plaza.likes_of(person).await;
                plaza.count(post).await;
            }
            like(&other, person, person % 4 + 1).await.expect(200);
        }
    }))
    .await;
    let cut_off = plaza
        .another_with(&["--roles", "none", "--redis-url", NOWHERE])
        .await;
    let truth = ranked(cut_off.get("/likes/popular").await.expect(200));
    assert_eq!(plaza.popular("").await, truth);
    for (post, likes) in truth {
        assert_eq!(plaza.count(post).await, likes);
    }
    for person in 0..12 {
        let truth = cut_off.get(&format!("/users/user{person}/likes")).await;
        let shown = plaza.get(&format!("/users/user{person}/likes")).await;
        assert_eq!(shown.expect(200), truth.expect(200));
    }
}

async fn d28_keys_that_vanish_are_not_missed(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let redis = plaza.redis_client().await;
    warm(&redis).await;
    let expected = filled(&plaza).await;
    assert_answers(&plaza, &expected).await;
    for key in [
        "likes:popular",
        "likes:count:3",
        "likes:user:user100",
        "likes:state",
    ] {
        run(&redis, &["DEL", key]).await;
        // A change right after makes a new, incomplete key of some.
        plaza.like(900, 3).await.expect(200);
        plaza.unlike(900, 3).await.expect(200);
        assert_answers(&plaza, &expected).await;
        warm(&redis).await;
        assert_answers(&plaza, &expected).await;
    }
}

async fn d28_a_small_ranking_is_exact_at_its_lower_end(backend: Backend) {
    let plaza = Plaza::start_with(backend, &["--roles", "none", "--likes-ranked-posts", "6"]).await;
    let redis = plaza.redis_client().await;
    warm(&redis).await;
    let cut_off = plaza
        .another_with(&["--roles", "none", "--redis-url", NOWHERE])
        .await;
    let agree = async || {
        for limit in [1, 3, 5, 50] {
            let path = format!("/likes/popular?limit={limit}");
            let truth = ranked(cut_off.get(&path).await.expect(200));
            assert_eq!(plaza.popular(&format!("?limit={limit}")).await, truth);
        }
    };
    for post in 1..=12 {
        for person in 0..=(post % 5) {
            plaza.like(person, post).await.expect(200);
        }
        agree().await;
    }
    // The upper half sinks, so that posts from below the floor have to come up.
    for post in [4, 9, 3, 8, 2] {
        for person in 0..4 {
            plaza.unlike(person, post).await.expect(200);
        }
        agree().await;
    }
}
