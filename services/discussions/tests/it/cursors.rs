//! Cursors are made by anybody.

use serde_json::{Value, json};
use testkit::cursors;

use crate::{
    helpers::{ANNA, Backend, Plaza, post},
    on_each_store,
};

on_each_store!(a_crafted_cursor_is_a_page_or_refused);

async fn a_crafted_cursor_is_a_page_or_refused(backend: Backend) {
    // So few in memory that pages are read from the store.
    let plaza = Plaza::start_with(backend, &["--recent-posts", "1"]).await;
    let mut last = String::new();
    for title in ["a", "b", "c"] {
        last = plaza.written(ANNA, &post(title)).await;
        let path = format!("/api/topics/Model {title}/subscription").replace(' ', "%20");
        plaza.put_as(ANNA, &path, &Value::Null).await.expect(200);
    }
    let comments = format!("/api/posts/{last}/comments");
    for text in ["a", "b", "c"] {
        let comment = json!({ "comment_text": text });
        plaza.post_as(ANNA, &comments, &comment).await.expect(201);
    }
    let token = plaza.token(ANNA);
    for path in ["/api/posts", &comments, "/api/users/me/subscriptions"] {
        cursors::are_pages_or_refused(&plaza.service, path, &token).await;
    }
}
