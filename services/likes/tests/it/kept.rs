//! What was acknowledged is kept, on a full disk and by two instances.

use likes::Likes;
use serde_json::Value;
use testkit::{Reply, TestService, ledger};

use crate::helpers::{Backend, Plaza, count, like};

async fn like_one(likes: &TestService<Likes>, number: usize) -> Reply {
    like(likes, 7, i64::try_from(number).unwrap() + 1).await
}

async fn is_liked(likes: &TestService<Likes>, answer: &Value) -> bool {
    count(likes, answer["post_id"].as_i64().unwrap()).await == 1
}

/// Without Redis, and without anybody who checks the likes.
fn flags(plaza: &Plaza) -> Vec<&str> {
    let flags = plaza.flags.iter().map(String::as_str);
    flags.chain(["--roles", "none"]).collect()
}

#[tokio::test]
async fn a_full_disk_loses_no_like() {
    let plaza = Plaza::start(Backend::WithoutRedis).await;
    let flags = flags(&plaza);
    ledger::survives_a_full_disk(&flags, like_one, is_liked).await;
}

#[tokio::test]
async fn two_instances_lose_no_like() {
    let plaza = Plaza::start(Backend::WithoutRedis).await;
    let flags = flags(&plaza);
    ledger::holds_with_two_instances(&flags, like_one, is_liked).await;
}
