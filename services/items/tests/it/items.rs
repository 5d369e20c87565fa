use mongodb::{
    Client,
    bson::{Document, doc},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    helpers::{ANNA, BEN, Backend, Plaza, lamp},
    on_each_store,
};

on_each_store!(
    s4_11_reading_is_open_and_writing_needs_a_token,
    s4_15_items_are_documents,
    s4_05_an_item_is_added_with_a_number,
    s4_06_an_item_is_shown,
    s4_07_an_item_is_changed_by_its_seller_alone,
    s4_08_an_item_is_removed_by_its_seller_alone,
    s4_27_items_are_listed_newest_first_and_paged,
    s4_27_items_added_at_once_by_two_instances_are_all_there,
    d12_prices_are_written_with_two_decimals,
);

async fn s4_05_an_item_is_added_with_a_number(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let created = plaza.call(ANNA, Method::POST, "/item", &lamp(3)).await;
    assert_eq!(created.expect(201)["message"], "Item created successfully");
    let expected = json!({
        "id": 1, "name": "Lamp", "description": "Bright", "price": 19.99, "quantity": 3,
        "seller_id": ANNA,
    });
    assert_eq!(created.json["item"], expected);
    assert_eq!(created.header("location"), "/item/1");
    let least = json!({ "name": "Lamp", "price": 0.01, "seller_id": BEN, "unknown": true });
    let created = plaza.call(BEN, Method::POST, "/item", &least).await;
    let expected = json!({
        "id": 2, "name": "Lamp", "description": "", "price": 0.01, "quantity": 1, "seller_id": BEN,
    });
    assert_eq!(created.expect(201)["item"], expected);
    let body = lamp(1);
    let anonymous = plaza.service.call(Method::POST, "/item", "", &body);
    anonymous.await.problem(401);
    let others = json!({ "name": "Lamp", "price": 1, "seller_id": ANNA });
    let refused = plaza.call(BEN, Method::POST, "/item", &others).await;
    refused.problem(403);
}

async fn s4_11_reading_is_open_and_writing_needs_a_token(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let path = plaza.offered(1).await;
    let (buy, body) = (path.replace("item", "buy"), lamp(1));
    for (method, path) in [
        (Method::POST, "/item"),
        (Method::PUT, &path),
        (Method::DELETE, &path),
        (Method::POST, &buy),
    ] {
        for token in ["", "forged"] {
            let refused = plaza.service.call(method.clone(), path, token, &body).await;
            refused.problem(401);
            assert!(!refused.header("www-authenticate").is_empty());
        }
    }
    for path in ["/item", &path] {
        plaza.get(path).await.expect(200);
    }
    assert_eq!(plaza.left(&path).await, 1);
}

async fn s4_15_items_are_documents(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    plaza.offered(3).await;
    let client = Client::with_uri_str(&plaza.url).await.unwrap();
    let items = client
        .database(&plaza.database)
        .collection::<Document>("items");
    let stored = items
        .find_one(doc! { "_id": "1.1" })
        .await
        .unwrap()
        .unwrap();
    let state = stored.get_document("state").unwrap();
    assert_eq!(state.get_str("name").unwrap(), "Lamp");
    assert!(stored.get_str("event_id").is_ok(), "{stored}");
}

async fn s4_06_an_item_is_shown(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let path = plaza.offered(3).await;
    let shown = plaza.get(&path).await;
    assert_eq!(shown.expect(200)["name"], "Lamp");
    let other = plaza.another().await;
    assert_eq!(
        other.get(&format!("{path}/")).await.expect(200),
        &shown.json
    );
    for nothing in ["/item/2", "/item/0", "/item/9223372036854775807"] {
        assert_eq!(plaza.get(nothing).await.problem(404), "Item not found");
    }
    for nothing in [
        "/item/x",
        "/item/-1",
        "/item/1.1",
        "/item/9223372036854775808",
    ] {
        plaza.get(nothing).await.problem(404);
    }
}

async fn s4_07_an_item_is_changed_by_its_seller_alone(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let other = plaza.another().await;
    let path = plaza.offered(3).await;
    let change = json!({ "name": "Lantern", "price": 5.5 });
    let refused = plaza.call(BEN, Method::PUT, &path, &change).await;
    refused.problem(403);
    let changed = plaza.call(ANNA, Method::PUT, &path, &change).await;
    assert_eq!(changed.expect(200)["message"], "Item updated successfully");
    let expected = json!({
        "id": 1, "name": "Lantern", "description": "Bright", "price": 5.5, "quantity": 3,
        "seller_id": ANNA,
    });
    assert_eq!(other.get(&path).await.expect(200), &expected);
    let change = json!({ "name": "Lantern", "description": "", "price": 6, "quantity": 0 });
    let changed = other.call(ANNA, Method::PUT, &path, &change).await;
    assert_eq!(changed.expect(200)["item"]["quantity"], 0);
    assert_eq!(plaza.get(&path).await.expect(200)["description"], "");
    let anonymous = plaza.service.call(Method::PUT, &path, "", &change);
    anonymous.await.problem(401);
    let missing = plaza.call(ANNA, Method::PUT, "/item/2", &change).await;
    missing.problem(404);
}

async fn s4_08_an_item_is_removed_by_its_seller_alone(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let other = plaza.another().await;
    let path = plaza.offered(3).await;
    let refused = plaza.call(BEN, Method::DELETE, &path, &Value::Null).await;
    refused.problem(403);
    let removed = plaza.call(ANNA, Method::DELETE, &path, &Value::Null).await;
    assert_eq!(removed.expect(200)["message"], "Item deleted successfully");
    for plaza in [&plaza, &other] {
        plaza.get(&path).await.problem(404);
        let again = plaza.call(ANNA, Method::DELETE, &path, &Value::Null).await;
        again.problem(404);
        let changed = plaza.call(ANNA, Method::PUT, &path, &lamp(1)).await;
        changed.problem(404);
        plaza.buy(BEN, &path, &Value::Null).await.problem(404);
        assert_eq!(plaza.get("/item").await.expect(200), &json!([]));
    }
    // Its number is never given again.
    assert_eq!(other.offered(1).await, "/item/2");
}

async fn s4_27_items_are_listed_newest_first_and_paged(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    assert_eq!(plaza.get("/item").await.expect(200), &json!([]));
    for _ in 0..7 {
        plaza.offered(1).await;
    }
    for gone in [7, 4] {
        let path = format!("/item/{gone}");
        let removed = plaza.call(ANNA, Method::DELETE, &path, &Value::Null).await;
        removed.expect(200);
    }
    let other = plaza.another().await;
    let (mut ids, mut path) = (Vec::new(), "/item?limit=2".to_owned());
    while !path.is_empty() {
        let page = other.get(&path).await;
        let items = page.expect(200).as_array().unwrap();
        assert!(items.len() <= 2);
        ids.extend(items.iter().map(|item| item["id"].as_i64().unwrap()));
        let link = page.header("link").split('>').next().unwrap_or_default();
        link.trim_start_matches('<').clone_into(&mut path);
    }
    assert_eq!(ids, [6, 5, 3, 2, 1]);
    plaza.get("/item?limit=0").await.problem(400);
    plaza.get("/item?cursor=x").await.problem(400);
}

async fn s4_27_items_added_at_once_by_two_instances_are_all_there(backend: Backend) {
    let one = Plaza::start(backend).await;
    let other = one.another().await;
    let adding = (0..20).map(|number| {
        let plaza = if number % 2 == 0 { &one } else { &other };
        plaza.offered(number)
    });
    futures_util::future::join_all(adding).await;
    for plaza in [&one, &other, &one.another().await] {
        let listed = plaza.get("/item").await;
        let items = listed.expect(200).as_array().unwrap();
        let ids: Vec<i64> = items
            .iter()
            .map(|item| item["id"].as_i64().unwrap())
            .collect();
        assert_eq!(ids, (1..=20).rev().collect::<Vec<_>>());
        let quantities = items.iter().map(|item| item["quantity"].as_i64().unwrap());
        assert_eq!(quantities.sum::<i64>(), 190);
    }
}

async fn d12_prices_are_written_with_two_decimals(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    for (price, written) in [
        (json!(10), "10.00"),
        (json!(0.1), "0.10"),
        (json!(0.29), "0.29"),
        (json!(1.10), "1.10"),
        (json!(999_999_999.99), "999999999.99"),
    ] {
        let body = json!({ "name": "Lamp", "price": price });
        let created = plaza.call(ANNA, Method::POST, "/item", &body).await;
        created.expect(201);
        let written = format!("\"price\":{written},");
        assert!(created.text.contains(&written), "{}", created.text);
        let shown = plaza.get(created.header("location")).await;
        assert!(shown.text.contains(&written), "{}", shown.text);
    }
}
