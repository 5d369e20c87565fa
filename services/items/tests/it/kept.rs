//! What was acknowledged is kept, on a full disk and whatever kills the document store.

use items::Items;
use reqwest::Method;
use serde_json::Value;
use testkit::{Reply, TestService, ledger};

use crate::helpers::{ANNA, lamp};

async fn offer(items: &TestService<Items>, number: usize) -> Reply {
    let body = lamp(i64::try_from(number).unwrap() + 1);
    let token = items.token(ANNA, "anna");
    items.call(Method::POST, "/item", &token, &body).await
}

async fn is_offered(items: &TestService<Items>, answer: &Value) -> bool {
    let item = &answer["item"];
    let found = items.get(&format!("/item/{}", item["id"])).await;
    found.status == 200 && found.json["quantity"] == item["quantity"]
}

#[tokio::test]
async fn a_full_disk_loses_no_item() {
    ledger::survives_a_full_document_store(&[], offer, is_offered).await;
}

#[tokio::test]
async fn kills_of_the_document_store_lose_no_item() {
    ledger::survives_kills_of_the_document_store(&[], offer, is_offered).await;
}
