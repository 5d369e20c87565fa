//! Cursors are made by anybody.

use testkit::cursors;

use crate::helpers::{Backend, Plaza};

crate::on_each_store![a_crafted_cursor_is_a_page_or_refused];

async fn a_crafted_cursor_is_a_page_or_refused(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let (reader, author) = (plaza.person(), plaza.person());
    plaza.follow(&reader, &author).await;
    plaza.many_written(&author, 3).await;
    let token = plaza.service.token(reader.id, &reader.username);
    for path in [
        "/posts".to_owned(),
        format!("/posts/{}", author.username),
        format!("/posts/home/{}", reader.username),
    ] {
        cursors::are_pages_or_refused(&plaza.service, &path, &token).await;
    }
}
