use reqwest::Method;
use serde_json::{Value, json};
use testkit::send;

use crate::{
    helpers::{ANNA, BEN, Backend, Plaza, lamp},
    on_each_store,
};

on_each_store!(
    d26_items_have_bounds,
    d26_a_quantity_that_is_none_is_422,
    d4_broken_bodies_and_methods_are_told_apart,
);

async fn d26_items_have_bounds(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let path = plaza.offered(1).await;
    let bad = [
        ("name", Value::Null),
        ("name", json!("")),
        ("name", json!("   ")),
        ("name", json!("x".repeat(201))),
        ("name", json!("\0")),
        ("name", json!({ "$ne": 1 })),
        ("description", json!("x".repeat(2001))),
        ("description", json!(1)),
        ("price", Value::Null),
        ("price", json!(0)),
        ("price", json!(0.0)),
        ("price", json!(-0.01)),
        ("price", json!(0.001)),
        ("price", json!(19.999)),
        ("price", json!(0.1 + 0.2)),
        ("price", json!(1_000_000_000)),
        ("price", json!(1e300)),
        ("price", json!("19.99")),
        ("quantity", json!(-1)),
        ("quantity", json!(1.5)),
        ("quantity", json!(1_000_001)),
        ("quantity", json!(u64::MAX)),
        ("quantity", json!("1")),
        ("seller_id", json!("7")),
    ];
    for (member, value) in bad {
        let mut body = lamp(1);
        body[member] = value;
        for (method, path) in [(Method::POST, "/item"), (Method::PUT, path.as_str())] {
            plaza.call(ANNA, method, path, &body).await.problem(422);
        }
    }
    for missing in ["name", "price"] {
        let mut body = lamp(1);
        body.as_object_mut().unwrap().remove(missing);
        let refused = plaza.call(ANNA, Method::POST, "/item", &body).await;
        assert!(refused.problem(422).contains(missing), "{}", refused.text);
    }
    assert_eq!(
        plaza
            .get("/item")
            .await
            .expect(200)
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

async fn d26_a_quantity_that_is_none_is_422(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let path = plaza.offered(3).await;
    for quantity in [
        json!(0),
        json!(-1),
        json!(1.5),
        json!(1_000_001),
        json!(i64::MIN),
        json!("1"),
        json!([1]),
    ] {
        let body = json!({ "quantity": quantity });
        plaza.buy(BEN, &path, &body).await.problem(422);
    }
    assert_eq!(plaza.left(&path).await, 3);
    // None is one, and two is two however it is written.
    for (body, left) in [
        (json!({ "quantity": null }), 2),
        (json!({ "quantity": 2.0 }), 0),
    ] {
        plaza.buy(BEN, &path, &body).await.expect(200);
        assert_eq!(plaza.left(&path).await, left);
    }
    let dear = json!({ "name": "Yacht", "price": 999_999_999, "quantity": 3 });
    let created = plaza.call(ANNA, Method::POST, "/item", &dear).await;
    let path = created.header("location");
    let refused = plaza.buy(BEN, path, &json!({ "quantity": 2 })).await;
    refused.problem(422);
    plaza.buy(BEN, path, &Value::Null).await.expect(200);
}

async fn d4_broken_bodies_and_methods_are_told_apart(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let path = plaza.offered(3).await;
    let buy = path.replace("item", "buy");
    for path in ["/item", &buy] {
        let raw = |kind: &'static str, body: &'static str| {
            let request = plaza.service.request(Method::POST, path);
            let request = request.bearer_auth(plaza.token(BEN));
            send(request.header("content-type", kind).body(body))
        };
        raw("application/json", "{").await.problem(400);
        raw("application/json", "[]").await.problem(422);
        raw("text/plain", "{}").await.problem(415);
    }
    for (method, path) in [
        (Method::DELETE, "/item"),
        (Method::POST, path.as_str()),
        (Method::GET, buy.as_str()),
    ] {
        let refused = plaza.call(ANNA, method, path, &Value::Null).await;
        refused.problem(405);
        assert!(!refused.header("allow").is_empty(), "{path}");
    }
    assert_eq!(plaza.left(&path).await, 3);
}
