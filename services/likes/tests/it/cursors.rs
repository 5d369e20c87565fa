//! Cursors are made by anybody.

use testkit::cursors;

use crate::helpers::{Backend, Plaza};

crate::on_each_backend![a_crafted_cursor_is_a_page_or_refused];

async fn a_crafted_cursor_is_a_page_or_refused(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    plaza.peers.register(7, "User7");
    for post in [1, 2, 3] {
        plaza.like(7, post).await.expect(200);
    }
    for path in ["/likes/popular", "/users/user7/likes"] {
        cursors::are_pages_or_refused(&plaza.service, path, "").await;
    }
}
