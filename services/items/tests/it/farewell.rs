//! Who deletes their account leaves nothing of theirs in the market.

use futures_util::TryStreamExt as _;
use mongodb::{
    Client,
    bson::{Document, doc},
};
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Farewell, stores};

use crate::{
    helpers::{ANNA, BEN, Backend, Plaza, lamp},
    on_each_store,
};

on_each_store!(items_of_a_deleted_account_are_gone_with_every_word_of_theirs);

async fn items_of_a_deleted_account_are_gone_with_every_word_of_theirs(backend: Backend) {
    let amqp = stores::amqp();
    let plaza = Plaza::start_with(backend, &["--amqp-url", &amqp]).await;
    let users = Farewell::to(&plaza.service, &amqp).await;
    // One as it was made, one changed and sold, one removed before; and somebody else's.
    plaza.offered(3).await;
    let sold = plaza.offered(3).await;
    let change = json!({ "name": "Lamp", "description": "Bright and new", "price": 5 });
    plaza
        .call(ANNA, Method::PUT, &sold, &change)
        .await
        .expect(200);
    plaza.buy(BEN, &sold, &json!({})).await.expect(200);
    let removed = plaza.offered(1).await;
    plaza.get("/items/7").await.expect(200);
    plaza
        .call(ANNA, Method::DELETE, &removed, &Value::Null)
        .await
        .expect(200);
    plaza.get("/items/7").await.expect(200);
    let other = plaza.call(BEN, Method::POST, "/item", &lamp(1)).await;
    let other = format!("/item/{}", other.expect(201)["item"]["id"]);

    for round in [1, 2] {
        users.deleted(ANNA, "anna", round).await;
    }

    assert_eq!(plaza.get("/items/7").await.expect(200), &json!([]));
    let all = plaza.get("/items").await;
    assert_eq!(all.expect(200).as_array().unwrap().len(), 1, "{}", all.text);
    plaza.get(&sold).await.problem(404);
    plaza.buy(BEN, &sold, &json!({})).await.problem(404);
    plaza.get(&other).await.expect(200);
    let client = Client::with_uri_str(&plaza.url).await.unwrap();
    let items = client
        .database(&plaza.database)
        .collection::<Document>("items");
    let found = items.find(doc! { "state.seller_id": ANNA }).await.unwrap();
    let states: Vec<Document> = found.try_collect().await.unwrap();
    assert_eq!(states.len(), 2 + 4 + 3, "each state is still at its place");
    for state in states {
        let text = state.to_string();
        assert!(!text.contains("Lamp") && !text.contains("Bright"), "{text}");
    }
}
