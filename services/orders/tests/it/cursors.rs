//! Cursors are made by anybody, and addresses too.

use serde_json::json;
use testkit::{cursors, stores::Sql};

use crate::start;

testkit::on_each_store![
    a_crafted_cursor_is_a_page_or_refused,
    an_address_that_no_store_takes_names_nothing,
];

async fn a_crafted_cursor_is_a_page_or_refused(store: Sql) {
    let shop = start(store).await;
    let lamp = shop.product(&json!(1)).await;
    for quantity in 1..=3 {
        shop.order(7, lamp, &json!(quantity)).await.expect(201);
    }
    let token = shop.orders.token(7, "buyer");
    cursors::are_pages_or_refused(&shop.orders, "/orders/", &token).await;
}

async fn an_address_that_no_store_takes_names_nothing(store: Sql) {
    let shop = start(store).await;
    shop.get(7, "/orders/%00").await.problem(404);
    shop.get(7, "/orders/a%00b").await.problem(404);
    shop.get(7, "/orders/%F4%8F%BF%BF").await.problem(404);
}
