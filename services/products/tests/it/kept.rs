//! What was acknowledged is kept, on a full disk and by two instances.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Reply, ledger};

use crate::{Service, call, draft};

async fn create(products: &Service, number: usize) -> Reply {
    let draft = draft(&format!("Lamp {number}"), &json!(1));
    call(products, 1, Method::POST, "/products/", &draft).await
}

async fn is_there(products: &Service, answer: &Value) -> bool {
    let path = format!("/products/{}", answer["product"]["id"]);
    products.get(&path).await.json == answer["product"]
}

#[tokio::test]
async fn a_full_disk_loses_no_product() {
    ledger::survives_a_full_disk(&[], create, is_there).await;
}

#[tokio::test]
async fn two_instances_lose_no_product() {
    ledger::holds_with_two_instances(&[], create, is_there).await;
}
