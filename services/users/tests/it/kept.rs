//! What was acknowledged is kept, on a full disk and by two instances.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Reply, TestService, ledger, send, unique};
use users::Users;

use crate::helpers::{NOBODY, PASSWORD};

const FLAGS: [&str; 2] = ["--upstream-urls", NOBODY];

/// Registers somebody, from an address that nobody else has.
async fn register(users: &TestService<Users>, number: usize) -> Reply {
    let username = unique("p");
    let email = format!("{username}@example.com");
    let person = json!({"username": username, "email": email, "password": PASSWORD});
    let request = users.request(Method::POST, "/users/register");
    let address = format!("10.1.{}.{}", number / 200, number % 200 + 1);
    send(request.header("x-forwarded-for", address).json(&person)).await
}

async fn has_account(users: &TestService<Users>, answer: &Value) -> bool {
    let username = answer["user"]["username"].as_str().unwrap();
    users.get(&format!("/users/{username}")).await.status == 200
}

#[tokio::test]
async fn a_full_disk_loses_no_account() {
    ledger::survives_a_full_disk(&FLAGS, register, has_account).await;
}

#[tokio::test]
async fn two_instances_lose_no_account() {
    ledger::holds_with_two_instances(&FLAGS, register, has_account).await;
}
