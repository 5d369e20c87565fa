//! The status of the store.

use chassis::Service as _;
use serde_json::json;

use crate::helpers::{Backend, Plaza};

crate::on_each_store![
    s3_03_says_that_the_database_answers,
    s3_04_says_when_it_does_not,
];

async fn s3_03_says_that_the_database_answers(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    for path in ["/api/movies/status", "/api/movies/status/"] {
        let reply = plaza.get(path).await;
        assert_eq!(
            reply.expect(200),
            &json!({"status": "OK", "database": "Connected"})
        );
    }
}

async fn s3_04_says_when_it_does_not(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    plaza.service.service.close().await;
    let reply = plaza.get("/api/movies/status").await;
    let answer = reply.expect(500);
    assert_eq!(
        (&answer["status"], &answer["database"]),
        (&json!("ERROR"), &json!("Not connected"))
    );
    assert!(!answer["error"].as_str().unwrap().is_empty());
    for path in ["/api/movies", "/api/movies/1", "/api/movies/popular"] {
        plaza.get(path).await.problem(503);
    }
}
