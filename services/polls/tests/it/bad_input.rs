use reqwest::Method;
use serde_json::{Value, json};
use testkit::send;

use crate::{
    helpers::{ANNA, BEN, Backend, Plaza},
    on_each_store,
};

on_each_store!(
    d17_polls_have_bounds,
    a_choice_out_of_range_is_400_and_what_is_no_number_is_422,
    a_poll_takes_what_its_source_takes,
    d4_broken_bodies_and_methods_are_told_apart,
);

async fn d17_polls_have_bounds(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let long = "x".repeat(501);
    for body in [
        json!({}),
        json!({ "question": "?" }),
        json!({ "options": ["a", "b"] }),
        json!({ "question": "", "options": ["a", "b"] }),
        json!({ "question": "  ", "options": ["a", "b"] }),
        json!({ "question": long, "options": ["a", "b"] }),
        json!({ "question": "\0", "options": ["a", "b"] }),
        json!({ "question": { "$ne": 1 }, "options": ["a", "b"] }),
        json!({ "question": "?", "options": [] }),
        json!({ "question": "?", "options": ["a"] }),
        json!({ "question": "?", "options": ["a", "b", "c", "d", "e"] }),
        json!({ "question": "?", "options": ["a", ""] }),
        json!({ "question": "?", "options": ["a", "x".repeat(201)] }),
        json!({ "question": "?", "options": "ab" }),
        json!({ "question": "?", "options": [1, 2] }),
        json!({ "question": "?", "options": null }),
        json!([]),
    ] {
        plaza.post_as(ANNA, "/polls", &body).await.problem(422);
    }
}

async fn a_poll_takes_what_its_source_takes(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let long = "ä".repeat(200);
    for (question, options) in [
        ("q".repeat(500), json!(["a", "b"])),
        ("?".to_owned(), json!([long, "b"])),
        ("?".to_owned(), json!(["a", "a", "A ", "a"])),
    ] {
        let body = json!({ "question": question, "options": options });
        let created = plaza.post_as(ANNA, "/polls", &body).await;
        assert_eq!(created.expect(201)["question"], question.as_str());
        let poll = created.json["poll_id"].as_str().unwrap();
        let vote = plaza.vote(BEN, poll, 1).await;
        assert_eq!(vote.expect(200)["poll"]["counts"][1], 1);
    }
}

async fn a_choice_out_of_range_is_400_and_what_is_no_number_is_422(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let poll = plaza.poll(&["a", "b"]).await;
    let path = format!("/polls/{poll}/vote");
    for choice in [-1, 2, i64::MIN, i64::MAX] {
        let refused = plaza.vote(BEN, &poll, choice).await;
        assert!(refused.problem(400).contains("0 to 1"), "{}", refused.text);
    }
    for choice in [
        json!(u64::MAX),
        json!(0.5),
        json!("0"),
        json!([0]),
        Value::Null,
        json!({ "$gt": 0 }),
    ] {
        let body = json!({ "choice_index": choice });
        plaza.post_as(BEN, &path, &body).await.problem(422);
    }
    plaza.post_as(BEN, &path, &json!({})).await.problem(422);
    assert_eq!(plaza.counts(&poll).await, json!([0, 0]));
    plaza.vote(BEN, &poll, 0).await.expect(200);
}

async fn d4_broken_bodies_and_methods_are_told_apart(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let poll = plaza.poll(&["a", "b"]).await;
    let token = plaza.service.token(ANNA, "anna");
    for path in ["/polls".to_owned(), format!("/polls/{poll}/vote")] {
        let raw = |kind: &'static str, body: &'static str| {
            let request = plaza.service.request(Method::POST, &path);
            send(
                request
                    .bearer_auth(&token)
                    .header("content-type", kind)
                    .body(body),
            )
        };
        raw("application/json", "{").await.problem(400);
        raw("application/json", "").await.problem(400);
        raw("text/plain", "{}").await.problem(415);
    }
    for (method, path) in [
        (Method::PUT, format!("/polls/{poll}")),
        (Method::DELETE, "/polls".to_owned()),
        (Method::GET, format!("/polls/{poll}/vote")),
        (Method::POST, format!("/polls/{poll}/results")),
    ] {
        let refused = plaza
            .service
            .call(method, &path, &token, &Value::Null)
            .await;
        refused.problem(405);
        assert!(!refused.header("allow").is_empty(), "{path}");
    }
}
