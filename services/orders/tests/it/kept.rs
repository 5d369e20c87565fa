//! What was acknowledged is kept, on a full disk and by two instances.

use orders::Orders;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Reply, TestService, ledger, stores::Sql};

use crate::{Shop, start};

async fn order(orders: &TestService<Orders>, lamp: i64) -> Reply {
    let body = json!({"product_id": lamp, "quantity": 1});
    let token = orders.token(7, "buyer");
    orders.call(Method::POST, "/orders/", &token, &body).await
}

async fn is_there(orders: &TestService<Orders>, answer: &Value) -> bool {
    let path = format!("/orders/{}", answer["order"]["id"].as_str().unwrap());
    let token = orders.token(7, "buyer");
    let found = orders.call(Method::GET, &path, &token, &Value::Null).await;
    found.json == answer["order"]
}

/// A shop with its lamp, and the flags of an instance more.
async fn shop() -> (Shop, i64, [String; 2]) {
    let shop = start(Sql::Sqlite).await;
    let lamp = shop.product(&json!(1)).await;
    let flags = [
        format!("--upstream-urls=products=http://{}", shop.products.address),
        format!("--amqp-url={}", shop.amqp),
    ];
    (shop, lamp, flags)
}

#[tokio::test]
async fn a_full_disk_loses_no_order() {
    let (_shop, lamp, flags) = shop().await;
    let flags = flags.each_ref().map(String::as_str);
    let write = async |orders: &TestService<Orders>, _| order(orders, lamp).await;
    ledger::survives_a_full_disk(&flags, write, is_there).await;
}

#[tokio::test]
async fn two_instances_lose_no_order() {
    let (_shop, lamp, flags) = shop().await;
    let flags = flags.each_ref().map(String::as_str);
    let write = async |orders: &TestService<Orders>, _| order(orders, lamp).await;
    ledger::holds_with_two_instances(&flags, write, is_there).await;
}
