//! What was acknowledged is kept, on a full disk and whatever kills the document store.

use polls::Polls;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Reply, TestService, ledger};

use crate::helpers::ANNA;

async fn ask(polls: &TestService<Polls>, number: usize) -> Reply {
    let body = json!({ "question": format!("{number}?"), "options": ["yes", "no"] });
    let token = polls.token(ANNA, "anna");
    polls.call(Method::POST, "/polls", &token, &body).await
}

async fn is_asked(polls: &TestService<Polls>, answer: &Value) -> bool {
    let id = answer["poll_id"].as_str().unwrap();
    polls.get(&format!("/polls/{id}/results")).await.status == 200
}

#[tokio::test]
async fn a_full_disk_loses_no_poll() {
    ledger::survives_a_full_document_store(&[], ask, is_asked).await;
}

#[tokio::test]
async fn kills_of_the_document_store_lose_no_poll() {
    ledger::survives_kills_of_the_document_store(&[], ask, is_asked).await;
}
