//! Values that no product can have are told apart (D4, D12).

use reqwest::Method;
use serde_json::{Value, json};
use testkit::stores::Sql;

use crate::{call, draft, start};

testkit::on_each_store![
    d12_a_price_is_exact_or_refused,
    d4_names_and_descriptions_are_bounded,
];

async fn d12_a_price_is_exact_or_refused(store: Sql) {
    let products = start(store).await;
    for (price, shown) in [
        (json!(0.01), "0.01"),
        (json!(0.1), "0.10"),
        (json!(0.3), "0.30"),
        (json!(999_999_999.99), "999999999.99"),
    ] {
        let created = call(
            &products,
            1,
            Method::POST,
            "/products/",
            &draft("a", &price),
        )
        .await;
        created.expect(201);
        assert!(created.text.contains(shown), "{}", created.text);
    }
    let sum = json!(0.1 + 0.2);
    for price in [
        json!(0),
        json!(0.0),
        json!(-1),
        json!(0.001),
        sum,
        json!(1e300),
        json!("1"),
        Value::Null,
    ] {
        let refused = call(
            &products,
            1,
            Method::POST,
            "/products/",
            &draft("a", &price),
        )
        .await;
        refused.problem(422);
    }
}

async fn d4_names_and_descriptions_are_bounded(store: Sql) {
    let products = start(store).await;
    for body in [
        json!({"price": 1}),
        json!({"name": "", "price": 1}),
        json!({"name": "x".repeat(201), "price": 1}),
        json!({"name": "x", "description": "x".repeat(5001), "price": 1}),
        json!({"name": ["x"], "price": 1}),
    ] {
        let refused = call(&products, 1, Method::POST, "/products/", &body).await;
        refused.problem(422);
    }
    let short = json!({"name": "x", "price": 1, "id": 7, "owner_id": 9});
    let created = call(&products, 1, Method::POST, "/products/", &short).await;
    assert_eq!(created.expect(201)["product"]["description"], "");
    products.get("/products/abc").await.problem(404);
    products.get("/products/?limit=0").await.problem(400);
    products.get("/products/?cursor=x").await.problem(400);
}
