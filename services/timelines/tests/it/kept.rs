//! What was acknowledged is kept, on a full disk and by two instances.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Reply, TestService, ledger};
use timelines::Timelines;

use crate::helpers::{Backend, Plaza};

async fn write(timelines: &TestService<Timelines>, number: usize) -> Reply {
    let token = timelines.token(7, "ada");
    let post = json!({"text": format!("post {number}")});
    timelines.call(Method::POST, "/posts", &token, &post).await
}

async fn is_there(timelines: &TestService<Timelines>, answer: &Value) -> bool {
    let path = format!("/posts/id/{}", answer["post_id"]);
    timelines.get(&path).await.status == 200
}

/// Writes a post and deletes it: the deletion reads before it writes.
async fn write_and_delete(timelines: &TestService<Timelines>, number: usize) -> Reply {
    let written = write(timelines, number).await;
    let path = format!("/posts/id/{}", written.expect(201)["post_id"]);
    let token = timelines.token(7, "ada");
    let deleted = timelines
        .call(Method::DELETE, &path, &token, &Value::Null)
        .await;
    Reply {
        json: written.json,
        ..deleted
    }
}

async fn is_gone(timelines: &TestService<Timelines>, answer: &Value) -> bool {
    !is_there(timelines, answer).await
}

#[tokio::test]
async fn a_full_disk_loses_no_post() {
    let plaza = Plaza::start(Backend::Sqlite).await;
    let flags: Vec<&str> = plaza.flags.iter().map(String::as_str).collect();
    ledger::survives_a_full_disk(&flags, write, is_there).await;
}

#[tokio::test]
async fn two_instances_lose_no_post_and_no_deletion() {
    let plaza = Plaza::start(Backend::Sqlite).await;
    let flags: Vec<&str> = plaza.flags.iter().map(String::as_str).collect();
    ledger::holds_with_two_instances(&flags, write, is_there).await;
    ledger::holds_with_two_instances(&flags, write_and_delete, is_gone).await;
}
