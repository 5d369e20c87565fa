use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    helpers::{ANNA, BEN, Backend, CARA, Plaza},
    on_each_store,
};

on_each_store!(
    s4_09_an_item_is_bought,
    d26_what_is_not_there_is_not_sold,
    d26_nobody_buys_their_own_item,
    d26_two_buyers_of_the_last_one_exactly_one_wins,
    d26_buyers_of_two_instances_get_no_more_than_there_is,
    d26_a_change_of_the_quantity_and_sales_come_one_after_the_other,
);

async fn s4_09_an_item_is_bought(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let path = plaza.offered(5).await;
    let bought = plaza.buy(BEN, &path, &json!({ "quantity": 2 })).await;
    assert_eq!(bought.expect(200)["message"], "Item purchased successfully");
    let order = bought.json["order_id"].as_str().unwrap();
    assert_eq!(plaza.left(&path).await, 3);
    // One, when the body is empty or not there at all.
    let second = plaza.buy(BEN, &path, &json!({})).await;
    assert_ne!(second.expect(200)["order_id"], order);
    plaza.buy(CARA, &path, &Value::Null).await.expect(200);
    assert_eq!(plaza.left(&path).await, 1);
    let buy = path.replace("item", "buy");
    let anonymous = plaza.service.call(Method::POST, &buy, "", &Value::Null);
    anonymous.await.problem(401);
    plaza.buy(BEN, "/item/2", &Value::Null).await.problem(404);
    assert_eq!(plaza.left(&path).await, 1);
}

async fn d26_what_is_not_there_is_not_sold(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let path = plaza.offered(2).await;
    let refused = plaza.buy(BEN, &path, &json!({ "quantity": 3 })).await;
    assert_eq!(refused.problem(409), "Only 2 of this item are left");
    plaza
        .buy(BEN, &path, &json!({ "quantity": 2 }))
        .await
        .expect(200);
    let refused = plaza.buy(CARA, &path, &Value::Null).await;
    assert_eq!(refused.problem(409), "The item is sold out");
    assert_eq!(plaza.left(&path).await, 0);
}

async fn d26_nobody_buys_their_own_item(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let path = plaza.offered(2).await;
    let refused = plaza.buy(ANNA, &path, &Value::Null).await;
    assert_eq!(refused.problem(403), "Nobody may buy their own item");
    assert_eq!(plaza.left(&path).await, 2);
}

async fn d26_two_buyers_of_the_last_one_exactly_one_wins(backend: Backend) {
    let one = Plaza::start(backend).await;
    let other = one.another().await;
    for _ in 0..20 {
        let path = one.offered(1).await;
        let (first, second) = tokio::join!(
            one.buy(BEN, &path, &Value::Null),
            other.buy(CARA, &path, &Value::Null),
        );
        let mut statuses = [first.status, second.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409], "{} {}", first.text, second.text);
        assert_eq!(other.left(&path).await, 0);
    }
}

async fn d26_buyers_of_two_instances_get_no_more_than_there_is(backend: Backend) {
    let one = Plaza::start(backend).await;
    let other = one.another().await;
    let path = one.offered(30).await;
    let buying = (0..40).map(|number| {
        let plaza = if number % 2 == 0 { &one } else { &other };
        let path = path.clone();
        async move { plaza.buy(100 + number, &path, &Value::Null).await.status }
    });
    let statuses = join_all(buying).await;
    let count = |wanted| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!((count(200), count(409)), (30, 10), "{statuses:?}");
    for plaza in [&one, &other, &one.another().await] {
        assert_eq!(plaza.left(&path).await, 0);
    }
}

async fn d26_a_change_of_the_quantity_and_sales_come_one_after_the_other(backend: Backend) {
    let one = Plaza::start(backend).await;
    let other = one.another().await;
    let path = one.offered(100).await;
    let buying = join_all((0..20).map(|number| one.buy(100 + number, &path, &Value::Null)));
    let rename = json!({ "name": "Lantern", "price": 1 });
    let changing = async {
        for _ in 0..10 {
            let changed = other.call(ANNA, Method::PUT, &path, &rename).await;
            changed.expect(200);
        }
    };
    let (bought, ()) = tokio::join!(buying, changing);
    for reply in bought {
        reply.expect(200);
    }
    // No change that leaves the quantity alone brought a sold one back.
    assert_eq!(one.left(&path).await, 80);
}
