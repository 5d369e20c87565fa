//! All items, and those of one seller.

use mongodb::{
    Client,
    bson::{Document, doc},
};
use reqwest::Method;
use serde_json::{Value, json};
use testkit::Mood;

use crate::{
    helpers::{ANNA, BEN, Backend, CARA, Plaza, lamp},
    on_each_store,
};

on_each_store!(
    items_have_a_second_address_for_the_list_of_all,
    items_of_a_seller_are_listed_by_number_and_by_name,
    items_of_a_seller_are_paged_and_what_is_gone_is_left_out,
    items_of_a_seller_are_found_by_an_instance_that_was_there_later,
    an_item_costs_something,
);

fn ids(list: &Value) -> Vec<i64> {
    let list = list.as_array().unwrap().iter();
    list.map(|item| item["id"].as_i64().unwrap()).collect()
}

async fn offer(plaza: &Plaza, seller: i64) {
    let offered = plaza.call(seller, Method::POST, "/item", &lamp(1)).await;
    offered.expect(201);
}

async fn items_have_a_second_address_for_the_list_of_all(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    assert_eq!(plaza.get("/items").await.expect(200), &json!([]));
    for seller in [ANNA, BEN, ANNA] {
        offer(&plaza, seller).await;
    }
    let first = plaza.get("/items?limit=2").await;
    assert_eq!(ids(first.expect(200)), [3, 2]);
    let next = first.header("link");
    let next = next.split(['<', '>']).nth(1).unwrap();
    assert!(next.starts_with("/items?"), "{next}");
    assert_eq!(ids(plaza.get(next).await.expect(200)), [1]);
}

async fn items_of_a_seller_are_listed_by_number_and_by_name(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    for seller in [ANNA, BEN, ANNA] {
        offer(&plaza, seller).await;
    }
    plaza.users.know(ANNA, "anna");
    plaza.users.know(CARA, "777");
    for of_anna in ["7", "anna", "ANNA"] {
        let listed = plaza.get(&format!("/items/{of_anna}")).await;
        assert_eq!(ids(listed.expect(200)), [3, 1], "{of_anna}");
    }
    // Who has nothing, who is not there, and a number, which is never a name.
    for nothing in ["9", "nobody", "777", "0", "99999999999999999999", "a%00b"] {
        let listed = plaza.get(&format!("/items/{nothing}")).await;
        assert_eq!(listed.expect(200), &json!([]), "{nothing}");
    }
    plaza.users.set(Mood::Fails);
    plaza.get("/items/anna").await.problem(503);
    assert_eq!(ids(plaza.get("/items/7").await.expect(200)), [3, 1]);
}

async fn items_of_a_seller_are_paged_and_what_is_gone_is_left_out(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    for seller in [ANNA, BEN, ANNA, ANNA, ANNA] {
        offer(&plaza, seller).await;
    }
    let removed = plaza.call(ANNA, Method::DELETE, "/item/4", &Value::Null);
    removed.await.expect(200);
    let first = plaza.get("/items/7?limit=2").await;
    assert_eq!(ids(first.expect(200)), [5, 3]);
    let next = first.header("link");
    let next = next.split(['<', '>']).nth(1).unwrap();
    let last = plaza.get(next).await;
    assert_eq!(ids(last.expect(200)), [1]);
    assert_eq!(last.header("link"), "");
    offer(&plaza, ANNA).await;
    assert_eq!(ids(plaza.get("/items/7?limit=1").await.expect(200)), [6]);
}

async fn items_of_a_seller_are_found_by_an_instance_that_was_there_later(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    offer(&plaza, ANNA).await;
    let client = Client::with_uri_str(&plaza.url).await.unwrap();
    let items = client
        .database(&plaza.database)
        .collection::<Document>("items");
    let first = items.find_one(doc! { "_id": "1.1" }).await.unwrap();
    // More than are read one by one, of two sellers by turns, and one state of another kind.
    let many = (2..=300_i64).map(|number| {
        let mut copy = first.clone().unwrap();
        copy.insert("_id", format!("{number}.1"));
        let state = copy.get_document_mut("state").unwrap();
        state.insert("id", number);
        state.insert("seller_id", if number % 2 == 0 { BEN } else { ANNA });
        copy
    });
    items.insert_many(many).await.unwrap();
    let later = plaza.another().await;
    let listed = later.get("/items/8?limit=3").await;
    assert_eq!(ids(listed.expect(200)), [300, 298, 296]);
    offer(&plaza, BEN).await;
    let listed = later.get("/items/8?limit=2").await;
    assert_eq!(ids(listed.expect(200)), [301, 300]);
    let listed = later.get("/items/7?limit=200").await;
    assert_eq!(ids(listed.expect(200)).len(), 150);
}

async fn an_item_costs_something(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let path = plaza.offered(1).await;
    for free in [json!(0), json!(0.0)] {
        let free = json!({ "name": "Lamp", "price": free });
        let refused = plaza.call(ANNA, Method::POST, "/item", &free).await;
        assert!(refused.problem(422).contains("price"), "{}", refused.text);
        plaza
            .call(ANNA, Method::PUT, &path, &free)
            .await
            .problem(422);
    }
}
