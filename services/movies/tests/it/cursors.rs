//! Cursors are made by anybody.

use testkit::cursors;

use crate::helpers::{ANNA, BEN, Backend, Plaza, movie};

crate::on_each_store![a_crafted_cursor_is_a_page_or_refused];

async fn a_crafted_cursor_is_a_page_or_refused(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let mut last = 0;
    for title in ["Alien 1", "Alien 2", "Alien 3"] {
        last = plaza.movie(&movie(title)).await;
    }
    plaza.review(ANNA, last, 3.0).await;
    plaza.review(BEN, last, 4.0).await;
    for path in [
        "/api/movies".to_owned(),
        "/api/movies/popular".into(),
        "/api/movies/search?title=alien".into(),
        format!("/api/movies/{last}/reviews"),
    ] {
        cursors::are_pages_or_refused(&plaza.service, &path, "").await;
    }
}
