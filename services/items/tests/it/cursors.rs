//! Cursors are made by anybody.

use testkit::cursors;

use crate::helpers::{Backend, Plaza};

crate::on_each_store![a_crafted_cursor_is_a_page_or_refused];

async fn a_crafted_cursor_is_a_page_or_refused(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    for quantity in 1..=3 {
        plaza.offered(quantity).await;
    }
    cursors::are_pages_or_refused(&plaza.service, "/item", "").await;
}
