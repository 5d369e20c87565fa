//! Liking, taking it back, and counting.

use std::sync::Arc;

use serde_json::json;

use crate::{
    helpers::{Backend, Plaza, at_once, shared},
    on_each_backend,
};

on_each_backend![
    s2_26_a_like_counts_once,
    s2_27_an_unlike_takes_it_back_once,
    s2_28_a_count_of_any_post_is_a_number,
    s2_26_of_many_likes_at_once_none_is_lost,
    d6_writing_needs_a_token_and_reading_none,
];

async fn s2_26_a_like_counts_once(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    for _ in 0..2 {
        let liked = plaza.like(7, 1).await;
        let body = json!({"status": "ok", "liked": true, "post_id": 1});
        assert_eq!(liked.expect(200), &body);
        assert_eq!(plaza.count(1).await, 1);
    }
    plaza.like(8, 1).await.expect(200);
    assert_eq!(plaza.count(1).await, 2);
}

async fn s2_27_an_unlike_takes_it_back_once(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    plaza.like(7, 1).await.expect(200);
    plaza.like(8, 1).await.expect(200);
    for _ in 0..2 {
        let unliked = plaza.unlike(7, 1).await;
        let body = json!({"status": "ok", "liked": false, "post_id": 1});
        assert_eq!(unliked.expect(200), &body);
        assert_eq!(plaza.count(1).await, 1);
    }
    plaza.unlike(9, 2).await.expect(200);
    plaza.like(7, 1).await.expect(200);
    assert_eq!(plaza.count(1).await, 2, "liked again");
}

async fn s2_28_a_count_of_any_post_is_a_number(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let never = plaza.get(&format!("/likes/{}/count", i64::MAX)).await;
    assert_eq!(never.expect(200), &json!({"post_id": i64::MAX, "likes": 0}));
    plaza.like(7, i64::MAX).await.expect(200);
    assert_eq!(plaza.count(i64::MAX).await, 1);
    plaza.get("/likes/1/count/").await.expect(200);
}

async fn s2_26_of_many_likes_at_once_none_is_lost(backend: Backend) {
    let plaza = shared(Plaza::start(backend).await);
    at_once((0..30).map(|n: i64| {
        let plaza = Arc::clone(&plaza);
        async move {
            // Fifteen people, each twice at once; every fifth changes their mind.
            let person = n % 15 + 100;
            plaza.like(person, 1).await.expect(200);
            if person % 5 == 0 {
                plaza.unlike(person, 2).await.expect(200);
            } else {
                plaza.like(person, 2).await.expect(200);
            }
        }
    }))
    .await;
    assert_eq!((plaza.count(1).await, plaza.count(2).await), (15, 12));
    assert_eq!(plaza.popular("").await, [(1, 15), (2, 12)]);
}

async fn d6_writing_needs_a_token_and_reading_none(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    for method in [reqwest::Method::POST, reqwest::Method::DELETE] {
        let anonymous = testkit::send(plaza.service.request(method, "/likes/1")).await;
        anonymous.problem(401);
        assert!(anonymous.header("www-authenticate").starts_with("Bearer"));
    }
    plaza.like(7, 1).await.expect(200);
    for path in ["/likes/1/count", "/likes/popular", "/users/user7/likes"] {
        plaza.get(path).await.expect(200);
    }
}
