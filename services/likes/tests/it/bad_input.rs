//! What makes no sense is refused clearly.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    helpers::{Backend, Plaza},
    on_each_store,
};

on_each_store![
    what_is_no_number_is_refused_and_a_number_that_nothing_has_is_no_post,
    d4_other_methods_are_named,
    d4_a_body_means_nothing,
];

async fn what_is_no_number_is_refused_and_a_number_that_nothing_has_is_no_post(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let token = plaza.service.token(7, "User7");
    for (bad, status) in [
        ("x", 422),
        ("1.5", 422),
        ("%00", 422),
        ("1%2F2", 422),
        ("-1", 404),
        ("99999999999999999999", 404),
    ] {
        for (method, path) in [
            (Method::POST, format!("/likes/{bad}")),
            (Method::DELETE, format!("/likes/{bad}")),
            (Method::GET, format!("/likes/{bad}/count")),
        ] {
            let reply = plaza
                .service
                .call(method, &path, &token, &Value::Null)
                .await;
            assert_eq!(reply.status, status, "{path}");
            reply.problem(status);
        }
    }
}

async fn d4_other_methods_are_named(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let put = testkit::send(plaza.service.request(Method::PUT, "/likes/1")).await;
    put.problem(405);
    assert_eq!(put.header("allow"), "DELETE, POST");
}

async fn d4_a_body_means_nothing(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let token = plaza.service.token(7, "User7");
    let body = json!({"post_id": 2, "liked": false});
    let liked = plaza
        .service
        .call(Method::POST, "/likes/1", &token, &body)
        .await;
    liked.expect(200);
    assert_eq!((plaza.count(1).await, plaza.count(2).await), (1, 0));
}
