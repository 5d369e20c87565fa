//! Cursors are made by anybody.

use testkit::{cursors, stores::Sql};

use crate::{create, start};

testkit::on_each_store![a_crafted_cursor_is_a_page_or_refused];

async fn a_crafted_cursor_is_a_page_or_refused(store: Sql) {
    let products = start(store).await;
    for name in ["a", "b", "c"] {
        create(&products, 1, name).await;
    }
    cursors::are_pages_or_refused(&products, "/products/", "").await;
}
