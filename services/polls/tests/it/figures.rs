//! What votes cost in a poll that has many. Prints, asserts the counts, and runs only when asked:
//! `cargo test -p polls --test it figures -- --ignored --nocapture --test-threads 1`

use std::time::Instant;

use futures_util::{StreamExt as _, stream};
use mongodb::{
    Client, Collection,
    bson::{Document, doc},
};
use serde_json::json;

use crate::helpers::{Backend, Plaza};

/// Votes that are there before anybody measures.
const VOTES: i64 = 100_000;
const MORE: i64 = 500;

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
    let poll = plaza.poll(&["a", "b"]).await;
    plaza.vote(1, &poll, 0).await.expect(200);
    fill(&plaza, &poll).await;
    let cold = plaza.another().await;
    let began = Instant::now();
    assert_eq!(cold.counts(&poll).await, json!([VOTES, 0]));
    eprintln!(
        "{backend:?}: counts of {VOTES} votes, nothing remembered: {:?}",
        began.elapsed()
    );
    let began = Instant::now();
    for _ in 0..50 {
        cold.counts(&poll).await;
    }
    eprintln!(
        "{backend:?}: counts of {VOTES} votes: {:?}",
        began.elapsed() / 50
    );
    for (voters, first) in [(1, 200_000), (16, 300_000)] {
        let began = Instant::now();
        let votes = stream::iter(first..first + MORE).map(|voter| cold.vote(voter, &poll, 1));
        let votes: Vec<_> = votes.buffer_unordered(voters).collect().await;
        assert!(votes.iter().all(|vote| vote.status == 200));
        let each = began.elapsed() / u32::try_from(MORE).unwrap();
        eprintln!("{backend:?}: a vote, {voters} at once: {each:?}");
    }
    assert_eq!(plaza.counts(&poll).await, json!([VOTES, 2 * MORE]));
}

/// The documents of many votes, written past the service.
async fn fill(plaza: &Plaza, poll: &str) {
    let client = Client::with_uri_str(&plaza.url).await.unwrap();
    let votes: Collection<Document> = client.database(&plaza.database).collection("votes");
    let documents: Vec<_> = (2..=VOTES)
        .map(|number| {
            let state = doc! { "user_id": 1_000_000 + number, "counts": [number, 0_i64] };
            doc! { "_id": format!("{poll}.{number}"), "state": state }
        })
        .collect();
    for part in documents.chunks(1_000) {
        votes.insert_many(part).await.unwrap();
    }
}
