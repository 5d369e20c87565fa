//! Products are ordered, and only their buyers see it.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{send, stores::Sql};

use crate::start;

testkit::on_each_store![
    d14_an_order_is_made_and_told_back,
    d14_orders_are_ones_own_and_newest_first,
    d14_bad_orders_are_told_apart,
    d26_a_repeated_order_is_one,
    s1_19_without_products_an_order_waits,
];

async fn d14_an_order_is_made_and_told_back(store: Sql) {
    let shop = start(store).await;
    let lamp = shop.product(&json!(19.99)).await;
    let made = shop.order(7, lamp, &json!(3)).await;
    assert_eq!(made.expect(201)["message"], "Order created successfully");
    let order = &made.json["order"];
    let shown = (&order["product_id"], &order["quantity"], &order["status"]);
    assert_eq!(shown, (&json!(lamp), &json!(3), &json!("processed")));
    assert!(made.text.contains("\"total\":59.97"), "{}", made.text);
    let path = format!("/orders/{}", order["id"].as_str().unwrap());
    assert_eq!(shop.get(7, &path).await.expect(200), order);
}

async fn d14_orders_are_ones_own_and_newest_first(store: Sql) {
    let shop = start(store).await;
    let lamp = shop.product(&json!(1)).await;
    for quantity in 1..=3 {
        shop.order(7, lamp, &json!(quantity)).await.expect(201);
    }
    let other = shop.order(8, lamp, &json!(9)).await;
    let quantities = |list: &Value| -> Vec<i64> {
        let list = list.as_array().unwrap().iter();
        list.map(|order| order["quantity"].as_i64().unwrap())
            .collect()
    };
    let page = shop.get(7, "/orders/?limit=2").await;
    assert_eq!(quantities(page.expect(200)), [3, 2]);
    let next = page
        .header("link")
        .split(['<', '>'])
        .nth(1)
        .unwrap()
        .to_owned();
    assert_eq!(quantities(shop.get(7, &next).await.expect(200)), [1]);
    let path = format!("/orders/{}", other.json["order"]["id"].as_str().unwrap());
    shop.get(7, &path).await.problem(404);
    shop.orders.get("/orders/").await.problem(401);
    shop.orders.get(&path).await.problem(401);
}

async fn d14_bad_orders_are_told_apart(store: Sql) {
    let shop = start(store).await;
    let lamp = shop.product(&json!(999_999_999.99)).await;
    for quantity in [json!(0), json!(-1), json!(1.5), json!(1001), json!("1")] {
        shop.order(7, lamp, &quantity).await.problem(422);
    }
    shop.order(7, lamp, &json!(2)).await.problem(422);
    let missing = shop.order(7, 999_999, &json!(1)).await;
    assert_eq!(
        missing.problem(422),
        "There is no product of this `product_id`"
    );
    shop.post(7, &json!({"quantity": 1})).await.problem(422);
    assert_eq!(shop.get(7, "/orders/").await.expect(200), &json!([]));
}

async fn d26_a_repeated_order_is_one(store: Sql) {
    let shop = start(store).await;
    let body = json!({"product_id": shop.product(&json!(1)).await, "quantity": 1});
    let repeat = || {
        let request = shop.orders.request(Method::POST, "/orders/");
        let request = request.bearer_auth(shop.orders.token(7, "buyer"));
        send(request.header("idempotency-key", "mine").json(&body))
    };
    let (first, again) = (repeat().await, repeat().await);
    assert_eq!(first.expect(201), again.expect(201));
    let list = shop.get(7, "/orders/").await;
    assert_eq!(list.expect(200).as_array().unwrap().len(), 1);
}

async fn s1_19_without_products_an_order_waits(store: Sql) {
    let shop = start(store).await;
    let lamp = shop.product(&json!(1)).await;
    let crate::Shop {
        orders, products, ..
    } = shop;
    products.stop().await;
    let body = json!({"product_id": lamp, "quantity": 1});
    let token = orders.token(7, "buyer");
    let refused = orders.call(Method::POST, "/orders/", &token, &body).await;
    refused.problem(503);
    assert_ne!(refused.header("retry-after"), "");
    let none = orders
        .call(Method::GET, "/orders/", &token, &Value::Null)
        .await;
    assert_eq!(none.expect(200), &json!([]), "nothing is half done");
}
