//! Cursors are made by anybody.

use reqwest::Method;
use serde_json::Value;
use testkit::cursors;

use crate::helpers::{Backend, person, start};

crate::on_each_store![a_crafted_cursor_is_a_page_or_refused];

async fn a_crafted_cursor_is_a_page_or_refused(backend: Backend) {
    let users = start(backend).await;
    let people = [
        person(&users).await,
        person(&users).await,
        person(&users).await,
    ];
    for who in &people {
        for whom in people.iter().filter(|whom| whom.id != who.id) {
            let path = format!("/users/follow/{}", whom.username);
            users
                .call(Method::POST, &path, &who.token, &Value::Null)
                .await
                .expect(200);
        }
    }
    for side in ["followers", "followees"] {
        let path = format!("/users/{}/{side}", people[0].username);
        cursors::are_pages_or_refused(&users, &path, "").await;
    }
}
