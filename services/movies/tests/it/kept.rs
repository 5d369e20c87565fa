//! What was acknowledged is kept, on a full disk and by two instances.

use movies::Movies;
use reqwest::Method;
use serde_json::Value;
use testkit::{Reply, TestService, ledger};

use crate::helpers::movie;

/// Nobody answers there: what is read is read from the store.
const FLAGS: [&str; 2] = ["--redis-url", "redis://127.0.0.1:1/0"];

async fn enter(movies: &TestService<Movies>, number: usize) -> Reply {
    let token = movies.token(1, "anna");
    let movie = movie(&format!("Alien {number}"));
    movies
        .call(Method::POST, "/api/movies", &token, &movie)
        .await
}

async fn is_there(movies: &TestService<Movies>, answer: &Value) -> bool {
    let path = format!("/api/movies/{}", answer["id"]);
    movies.get(&path).await.status == 200
}

#[tokio::test]
async fn a_full_disk_loses_no_movie() {
    ledger::survives_a_full_disk(&FLAGS, enter, is_there).await;
}

#[tokio::test]
async fn two_instances_lose_no_movie() {
    ledger::holds_with_two_instances(&FLAGS, enter, is_there).await;
}
