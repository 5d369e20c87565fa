//! `Idempotency-Key` (D26): whatever is sent again is written once.

use sea_orm::{ConnectionTrait as _, Database};
use serde_json::json;

use crate::helpers::{ANNA, BEN, Backend, Plaza, movie};

crate::on_each_store![
    d26_a_movie_that_is_sent_again_is_entered_once,
    d26_a_review_that_is_sent_again_is_written_once,
];

/// Forgets what was answered: as if the process had died between the effect and the note of it.
async fn forget_answers(plaza: &Plaza) {
    let store = Database::connect(plaza.store_url()).await.unwrap();
    let forget = store.execute_unprepared(
        "UPDATE operations SET status = NULL, body = NULL, attempted_at = '1970-01-01 00:00:00+00:00'",
    );
    assert!(forget.await.unwrap().rows_affected() > 0);
}

async fn d26_a_movie_that_is_sent_again_is_entered_once(backend: Backend) {
    let one = Plaza::start(backend).await;
    let other = one.another().await;
    let body = movie("Alien");
    let first = one.repeatable(ANNA, "/api/movies", "k1", &body).await;
    let again = other.repeatable(ANNA, "/api/movies", "k1", &body).await;
    assert_eq!(again.expect(201), first.expect(201));
    assert_eq!(again.header("idempotent-replayed"), "true");
    let changed = movie("Aliens");
    let refused = other.repeatable(ANNA, "/api/movies", "k1", &changed).await;
    refused.problem(422);
    forget_answers(&one).await;
    let again = other.repeatable(ANNA, "/api/movies", "k1", &body).await;
    assert_eq!(again.expect(201), first.expect(201));
    let listed = one.get("/api/movies").await;
    assert_eq!(listed.expect(200).as_array().unwrap().len(), 1);
}

async fn d26_a_review_that_is_sent_again_is_written_once(backend: Backend) {
    let one = Plaza::start(backend).await;
    let other = one.another().await;
    let id = one.movie(&movie("Alien")).await;
    let (path, shown) = (
        format!("/api/movies/{id}/reviews"),
        format!("/api/movies/{id}"),
    );
    let body = json!({ "title": "Well", "rating": 7 });
    let first = one.repeatable(BEN, &path, "k1", &body).await;
    for plaza in [&one, &other] {
        let again = plaza.repeatable(BEN, &path, "k1", &body).await;
        assert_eq!(again.expect(201), first.expect(201));
        forget_answers(plaza).await;
    }
    let again = other.repeatable(BEN, &path, "k1", &body).await;
    assert_eq!(again.expect(201), first.expect(201));
    // Another request is another review, and there is one a person (D22).
    let another = other.repeatable(BEN, &path, "k2", &body).await;
    another.problem(409);
    assert_eq!(one.get(&shown).await.expect(200)["review_count"], 1);
}
