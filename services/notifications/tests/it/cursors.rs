//! Cursors are made by anybody.

use testkit::cursors;

use crate::helpers::{ANNA, Backend, Plaza, address};

crate::on_each_store![a_crafted_cursor_is_a_page_or_refused];

async fn a_crafted_cursor_is_a_page_or_refused(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    for _ in 0..3 {
        plaza.mail(&address()).await;
    }
    let token = plaza.service.token(ANNA, "user7");
    cursors::are_pages_or_refused(&plaza.service, "/notifications", &token).await;
    plaza.get_as(ANNA, "/notifications/%00").await.problem(404);
}
