//! `Idempotency-Key`: whatever is sent again happens once.

use futures_util::future::join_all;
use mongodb::{
    Client,
    bson::{Document, doc},
};
use serde_json::json;
use testkit::eventually;

use crate::{
    helpers::{ANNA, BEN, Backend, CARA, Plaza, lamp},
    on_each_store,
};

on_each_store!(
    d26_a_purchase_that_is_sent_again_happens_once,
    d26_an_item_that_is_sent_again_is_added_once,
    d26_a_key_belongs_to_one_request_of_one_person,
    d26_what_died_before_its_answer_was_kept_is_found_and_not_done_again,
);

async fn d26_a_purchase_that_is_sent_again_happens_once(backend: Backend) {
    let one = Plaza::start(backend).await;
    let other = one.another().await;
    let path = one.offered(10).await;
    let (buy, body) = (path.replace("item", "buy"), json!({ "quantity": 2 }));
    let first = one.repeatable(BEN, &buy, "k1", &body).await;
    let again = other.repeatable(BEN, &buy, "k1", &body).await;
    assert_eq!(again.expect(200), first.expect(200));
    assert_eq!(one.left(&path).await, 8);

    // Many at once: one answer, or told to wait.
    let tries = (0..10).map(|number| {
        let plaza = if number % 2 == 0 { &one } else { &other };
        plaza.repeatable(BEN, &buy, "k2", &body)
    });
    let mut orders: Vec<String> = Vec::new();
    for reply in join_all(tries).await {
        match reply.status {
            200 => orders.push(reply.json["order_id"].to_string()),
            _ => drop(reply.problem(409).to_owned()),
        }
    }
    orders.dedup();
    assert_eq!(orders.len(), 1, "{orders:?}");
    assert_eq!(one.left(&path).await, 6);
}

async fn d26_an_item_that_is_sent_again_is_added_once(backend: Backend) {
    let one = Plaza::start(backend).await;
    let other = one.another().await;
    let first = one.repeatable(ANNA, "/item", "k1", &lamp(1)).await;
    let again = other.repeatable(ANNA, "/item", "k1", &lamp(1)).await;
    assert_eq!(again.expect(201), first.expect(201));
    eventually("one item", || async {
        let listed = one.get("/item").await;
        match listed.expect(200).as_array().unwrap().len() {
            1 => Ok(()),
            count => Err(count.to_string()),
        }
    })
    .await;
}

async fn d26_a_key_belongs_to_one_request_of_one_person(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let path = plaza.offered(10).await;
    let buy = path.replace("item", "buy");
    let first = plaza.repeatable(BEN, &buy, "k1", &json!({})).await;
    let other = plaza
        .repeatable(BEN, &buy, "k1", &json!({ "quantity": 2 }))
        .await;
    other.problem(422);
    let another = plaza.offered(1).await.replace("item", "buy");
    let other = plaza.repeatable(BEN, &another, "k1", &json!({})).await;
    other.problem(422);
    let others = plaza.repeatable(CARA, &buy, "k1", &json!({})).await;
    assert_ne!(
        others.expect(200)["order_id"],
        first.expect(200)["order_id"]
    );
    assert_eq!(plaza.left(&path).await, 8);
    // What failed may be tried again.
    let body = json!({ "quantity": 9 });
    for _ in 0..2 {
        plaza.repeatable(BEN, &buy, "k3", &body).await.problem(409);
    }
}

/// Forgets what was answered: as if the process had died between the effect and the note of it.
async fn forget_answers(plaza: &Plaza) {
    let client = Client::with_uri_str(&plaza.url).await.unwrap();
    let database = client.database(&plaza.database);
    let answers = database.collection::<Document>("key_answers");
    answers.drop().await.unwrap();
    let keys = database.collection::<Document>("keys");
    let left_behind = doc! { "$set": { "attempted_at": 0_i64 } };
    keys.update_many(doc! {}, left_behind).await.unwrap();
}

async fn d26_what_died_before_its_answer_was_kept_is_found_and_not_done_again(backend: Backend) {
    let one = Plaza::start(backend).await;
    let other = one.another().await;
    let added = one.repeatable(ANNA, "/item", "k1", &lamp(10)).await;
    let path = added.header("location").to_owned();
    let buy = path.replace("item", "buy");
    let bought = one.repeatable(BEN, &buy, "k2", &json!({})).await;
    one.offered(1).await;
    one.buy(CARA, &path, &json!({ "quantity": 4 }))
        .await
        .expect(200);
    for _ in 0..2 {
        forget_answers(&one).await;
        let again = other.repeatable(ANNA, "/item", "k1", &lamp(10)).await;
        assert_eq!(
            again.expect(201)["item"]["id"],
            added.expect(201)["item"]["id"]
        );
        let again = other.repeatable(BEN, &buy, "k2", &json!({})).await;
        assert_eq!(again.expect(200), bought.expect(200));
        assert_eq!(other.left(&path).await, 5);
    }
    // Neither a stock that is gone nor an item that is gone makes it a failure.
    one.buy(CARA, &path, &json!({ "quantity": 5 }))
        .await
        .expect(200);
    forget_answers(&one).await;
    let again = other.repeatable(BEN, &buy, "k2", &json!({})).await;
    assert_eq!(again.expect(200), bought.expect(200));
    let listed = one.get("/item").await;
    assert_eq!(listed.expect(200).as_array().unwrap().len(), 2);
}
