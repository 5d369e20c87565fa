//! What was acknowledged is kept, on a full disk and whatever kills the document store.

use discussions::Discussions;
use reqwest::Method;
use serde_json::Value;
use testkit::{FakeUsers, Reply, TestService, ledger};

use crate::helpers::{ANNA, post};

async fn write(discussions: &TestService<Discussions>, number: usize) -> Reply {
    let token = discussions.token(ANNA, "anna");
    let body = post(&number.to_string());
    discussions
        .call(Method::POST, "/api/posts", &token, &body)
        .await
}

async fn is_there(discussions: &TestService<Discussions>, answer: &Value) -> bool {
    let id = answer["post_id"].as_str().unwrap();
    discussions.get(&format!("/api/posts/{id}")).await.status == 200
}

/// A `users` that knows who writes, and the flag that leads there.
fn users() -> (FakeUsers, String) {
    let (users, url) = FakeUsers::start();
    users.know(ANNA, "anna");
    (users, format!("users={url}"))
}

#[tokio::test]
async fn a_full_disk_loses_no_post() {
    let (_users, peer) = users();
    let flags = ["--upstream-urls", &peer];
    ledger::survives_a_full_document_store(&flags, write, is_there).await;
}

#[tokio::test]
async fn kills_of_the_document_store_lose_no_post() {
    let (_users, peer) = users();
    let flags = ["--upstream-urls", &peer];
    ledger::survives_kills_of_the_document_store(&flags, write, is_there).await;
}
