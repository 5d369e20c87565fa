//! Claim: every row of the contracts that `items` answers holds through the ingress, and the last
//! piece is sold once.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Mesh, mesh::Person, send};
use tokio::task::JoinSet;

async fn offer(seller: &Person, quantity: i64) -> i64 {
    let body =
        json!({"name": "Lamp", "description": "Bright", "price": 19.99, "quantity": quantity});
    let created = Mesh::current()
        .call(Method::POST, "/item", &seller.token, &body)
        .await;
    assert_eq!(created.expect(201)["message"], "Item created successfully");
    created.json["item"]["id"].as_i64().unwrap()
}

async fn left(id: i64) -> Value {
    let shown = Mesh::current().get(&format!("/item/{id}")).await;
    shown.expect(200)["quantity"].clone()
}

#[tokio::test]
async fn s4_05_s4_06_s4_07_s4_08_an_item_is_managed_by_its_seller() {
    let mesh = Mesh::current();
    let (ada, grace) = (mesh.person().await, mesh.person().await);
    let path = format!("/item/{}", offer(&ada, 3).await);
    let shown = mesh.get(&path).await;
    assert_eq!(shown.expect(200)["seller_id"], ada.id);
    assert!(shown.text.contains("\"price\":19.99"), "{}", shown.text);
    let change = json!({"name": "Lantern", "price": 0.3});
    let others = mesh.call(Method::PUT, &path, &grace.token, &change).await;
    others.problem(403);
    let changed = mesh.call(Method::PUT, &path, &ada.token, &change).await;
    assert_eq!(changed.expect(200)["message"], "Item updated successfully");
    let others = mesh
        .call(Method::DELETE, &path, &grace.token, &Value::Null)
        .await;
    others.problem(403);
    let removed = mesh
        .call(Method::DELETE, &path, &ada.token, &Value::Null)
        .await;
    assert_eq!(removed.expect(200)["message"], "Item deleted successfully");
    mesh.get(&path).await.problem(404);
    let refused = mesh.call(Method::POST, "/item", "", &change).await;
    refused.problem(401);
}

#[tokio::test]
async fn s4_27_items_are_listed() {
    let mesh = Mesh::current();
    let ada = mesh.person().await;
    let (first, second) = (offer(&ada, 1).await, offer(&ada, 1).await);
    let listed = mesh.get("/item?limit=200").await;
    let items = listed.expect(200).as_array().unwrap();
    let place = |id: i64| items.iter().position(|item| item["id"] == id).unwrap();
    assert!(place(second) < place(first), "newest first");
}

#[tokio::test]
async fn d26_s4_09_of_twenty_buyers_of_three_exactly_three_win() {
    let mesh = Mesh::current();
    let (ada, grace) = (mesh.person().await, mesh.person().await);
    let id = offer(&ada, 3).await;
    let mut buying = JoinSet::new();
    for _ in 0..20 {
        let token = grace.token.clone();
        buying.spawn(async move {
            let path = format!("/buy/{id}");
            let mesh = Mesh::current();
            mesh.call(Method::POST, &path, &token, &Value::Null)
                .await
                .status
        });
    }
    let mut statuses = buying.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses, [[200; 3].as_slice(), &[409; 17]].concat());
    assert_eq!(left(id).await, 0);
}

#[tokio::test]
async fn d26_a_purchase_that_is_sent_again_happens_once() {
    let mesh = Mesh::current();
    let (ada, grace) = (mesh.person().await, mesh.person().await);
    let id = offer(&ada, 3).await;
    let mut orders = Vec::new();
    for _ in 0..3 {
        let request = mesh.request(Method::POST, &format!("/buy/{id}"));
        let request = request
            .bearer_auth(&grace.token)
            .json(&json!({"quantity": 2}));
        let bought = send(request.header("idempotency-key", "the-same")).await;
        orders.push(bought.expect(200)["order_id"].clone());
    }
    orders.dedup();
    assert_eq!(orders.len(), 1);
    assert_eq!(left(id).await, 1);
}
