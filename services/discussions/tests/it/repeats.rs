//! `Idempotency-Key` (D26): whatever is sent again is written once.

use futures_util::future::join_all;
use mongodb::{
    Client,
    bson::{Document, doc},
};
use serde_json::json;

use crate::{
    helpers::{ANNA, BEN, Backend, Plaza, post},
    on_each_store,
};

on_each_store!(
    d26_a_post_that_is_sent_again_is_written_once,
    d26_a_comment_that_is_sent_again_is_written_once,
    d26_what_died_before_its_answer_was_kept_is_found_and_not_written_again,
    d26_a_post_that_died_before_the_journal_is_listed_when_it_is_sent_again,
);

async fn d26_a_post_that_is_sent_again_is_written_once(backend: Backend) {
    let one = Plaza::start(backend).await;
    let other = one.another().await;
    let body = post("Once");
    let first = one.repeatable(ANNA, "/api/posts", "k1", &body).await;
    let again = other.repeatable(ANNA, "/api/posts", "k1", &body).await;
    assert_eq!(again.expect(201), first.expect(201));
    assert_eq!(again.header("idempotent-replayed"), "true");
    let changed = post("Twice");
    let refused = other.repeatable(ANNA, "/api/posts", "k1", &changed).await;
    refused.problem(422);
    // A key is one's own.
    let others = other.repeatable(BEN, "/api/posts", "k1", &body).await;
    assert_ne!(others.expect(201)["post_id"], first.json["post_id"]);
    assert_eq!(one.listed("/api/posts", "title").await, ["Once", "Once"]);
}

async fn d26_a_comment_that_is_sent_again_is_written_once(backend: Backend) {
    let one = Plaza::start(backend).await;
    let other = one.another().await;
    let path = format!(
        "/api/posts/{}/comments",
        one.written(ANNA, &post("P")).await
    );
    let body = json!({ "comment_text": "So true" });
    // Many at once: one answer, or told to wait.
    let tries = (0..10).map(|number| {
        let plaza = if number % 2 == 0 { &one } else { &other };
        plaza.repeatable(BEN, &path, "k1", &body)
    });
    let mut ids = Vec::new();
    for reply in join_all(tries).await {
        match reply.status {
            201 => ids.push(reply.json["comment_id"].clone()),
            _ => drop(reply.problem(409).to_owned()),
        }
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(one.listed(&path, "comment_text").await, ["So true"]);
}

/// Forgets what was answered: as if the process had died between the effect and the note of it.
pub async fn forget_answers(plaza: &Plaza) {
    let (url, database) = plaza.database();
    let client = Client::with_uri_str(url).await.unwrap();
    let database = client.database(database);
    let answers = database.collection::<Document>("key_answers");
    answers.drop().await.unwrap();
    let keys = database.collection::<Document>("keys");
    let left_behind = doc! { "$set": { "attempted_at": 0_i64 } };
    keys.update_many(doc! {}, left_behind).await.unwrap();
}

async fn d26_what_died_before_its_answer_was_kept_is_found_and_not_written_again(backend: Backend) {
    let one = Plaza::start(backend).await;
    let other = one.another().await;
    let body = post("Once");
    let first = one.repeatable(ANNA, "/api/posts", "k1", &body).await;
    let id = first.expect(201)["post_id"].as_str().unwrap();
    one.written(BEN, &post("Later")).await;
    let path = format!("/api/posts/{id}/comments");
    one.commented(ANNA, id, "First").await;
    let said = json!({ "comment_text": "Second" });
    let commented = one.repeatable(BEN, &path, "k2", &said).await;
    one.commented(ANNA, id, "Third").await;
    for plaza in [&one, &other] {
        forget_answers(plaza).await;
        let again = plaza.repeatable(ANNA, "/api/posts", "k1", &body).await;
        assert_eq!(again.expect(201), first.expect(201));
        let again = plaza.repeatable(BEN, &path, "k2", &said).await;
        assert_eq!(again.expect(201), commented.expect(201));
    }
    for plaza in [&one, &other] {
        assert_eq!(plaza.listed("/api/posts", "title").await, ["Later", "Once"]);
        let comments = plaza.listed(&path, "comment_text").await;
        assert_eq!(comments, ["Third", "Second", "First"]);
    }
}

async fn d26_a_post_that_died_before_the_journal_is_listed_when_it_is_sent_again(backend: Backend) {
    let one = Plaza::start(backend).await;
    let other = one.another().await;
    let body = post("Once");
    one.repeatable(ANNA, "/api/posts", "k1", &body)
        .await
        .expect(201);
    // What `kill -9` between post and journal leaves behind: nobody was told of the post.
    let (url, database) = one.database();
    let client = Client::with_uri_str(url).await.unwrap();
    let journal = client.database(database);
    let journal = journal.collection::<Document>("journal");
    let entry = journal.find_one(doc! {}).sort(doc! { "_id": -1 });
    let entry = entry.await.unwrap().unwrap();
    let by_id = doc! { "_id": entry.get_str("_id").unwrap() };
    journal.delete_one(by_id).await.unwrap();
    assert_eq!(other.listed("/api/posts", "title").await, [""; 0]);
    forget_answers(&one).await;

    let late = other.repeatable(ANNA, "/api/posts", "k1", &body).await;

    late.expect(201);
    assert_eq!(other.listed("/api/posts", "title").await, ["Once"]);
}
