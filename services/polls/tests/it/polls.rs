use mongodb::{
    Client,
    bson::{Document, doc},
};
use reqwest::Method;
use serde_json::json;
use testkit::send;

use crate::{
    helpers::{ANNA, BEN, Backend, Plaza},
    on_each_store,
};

on_each_store!(
    s2_31_a_poll_is_created_by_who_is_signed_in,
    d26_a_poll_that_is_sent_again_is_created_once,
    d26_a_vote_that_is_sent_again_counts_once_and_is_answered_as_before,
    s2_32_a_poll_shows_what_was_asked,
    s2_33_a_vote_is_counted_and_answered_with_the_poll,
    s2_34_the_results_are_the_poll,
);

async fn s2_31_a_poll_is_created_by_who_is_signed_in(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let body = json!({ "question": " Tea? ", "options": ["Yes", " No "], "created_by": "me" });
    let created = plaza.post_as(ANNA, "/polls", &body).await;
    let poll = created.expect(201);
    assert_eq!(poll["question"], "Tea?");
    assert_eq!(poll["options"], json!(["Yes", "No"]));
    assert_eq!(poll["counts"], json!([0, 0]));
    assert_eq!(poll["created_by"], "user7");
    assert!(poll["created_at"].as_str().unwrap().ends_with('Z'));
    let location = format!("/polls/{}", poll["poll_id"].as_str().unwrap());
    assert_eq!(created.header("location"), location);
    let anonymous = plaza.service.call(Method::POST, "/polls", "", &body);
    anonymous.await.problem(401);
}

async fn d26_a_poll_that_is_sent_again_is_created_once(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let other = plaza.another().await;
    let body = json!({ "question": "Tea?", "options": ["Yes", "No"] });
    let mut polls = Vec::new();
    for plaza in [&plaza, &other, &plaza] {
        let request = plaza.service.request(Method::POST, "/polls");
        let request = request.bearer_auth(plaza.service.token(ANNA, "anna"));
        let request = request.header("idempotency-key", "the-same").json(&body);
        polls.push(send(request).await.expect(201).clone());
        forget_answers(plaza).await;
    }
    polls.dedup();
    assert_eq!(polls.len(), 1, "{polls:?}");
}

async fn d26_a_vote_that_is_sent_again_counts_once_and_is_answered_as_before(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let other = plaza.another().await;
    let poll = plaza.poll(&["Yes", "No"]).await;
    let (path, body) = (format!("/polls/{poll}/vote"), json!({ "choice_index": 1 }));
    let vote = async |plaza: &Plaza, key: &str| {
        let request = plaza.service.request(Method::POST, &path);
        let request = request.bearer_auth(plaza.service.token(BEN, "ben"));
        send(request.header("idempotency-key", key).json(&body)).await
    };
    let mut answers = Vec::new();
    for plaza in [&plaza, &other, &plaza, &plaza] {
        answers.push(vote(plaza, "the-same").await.expect(200).clone());
        // Half of the repetitions find the answer, the others the vote.
        if answers.len() > 1 {
            forget_answers(plaza).await;
        }
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    // Another request is another vote, and there is one a person (D19).
    vote(&other, "another").await.problem(409);
    assert_eq!(plaza.counts(&poll).await, json!([0, 1]));
}

/// Forgets what was answered: as if the process had died between the effect and the note of it.
async fn forget_answers(plaza: &Plaza) {
    let client = Client::with_uri_str(&plaza.url).await.unwrap();
    let database = client.database(&plaza.database);
    let answers = database.collection::<Document>("key_answers");
    answers.drop().await.unwrap();
    let keys = database.collection::<Document>("keys");
    let left_behind = doc! { "$set": { "attempted_at": 0_i64 } };
    keys.update_many(doc! {}, left_behind).await.unwrap();
}

async fn s2_32_a_poll_shows_what_was_asked(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let body = json!({ "question": "Tea?", "options": ["Yes", "No", "Later", "?"] });
    let created = plaza.post_as(ANNA, "/polls", &body).await;
    let path = format!(
        "/polls/{}",
        created.expect(201)["poll_id"].as_str().unwrap()
    );
    assert_eq!(plaza.get(&path).await.expect(200), &created.json);
    let other = plaza.another().await;
    assert_eq!(
        other.get(&format!("{path}/")).await.expect(200),
        &created.json
    );
    for nothing in ["x", "1", "00000000-0000-7000-8000-000000000000"] {
        for rest in ["", "/results"] {
            let path = format!("/polls/{nothing}{rest}");
            assert_eq!(plaza.get(&path).await.problem(404), "Poll not found");
        }
        plaza.vote(BEN, nothing, 0).await.problem(404);
    }
}

async fn s2_33_a_vote_is_counted_and_answered_with_the_poll(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let poll = plaza.poll(&["Yes", "No"]).await;
    let voted = plaza.vote(BEN, &poll, 1).await;
    assert_eq!(voted.expect(200)["status"], "ok");
    assert_eq!(voted.json["poll"]["poll_id"], poll.as_str());
    assert_eq!(voted.json["poll"]["counts"], json!([0, 1]));
    assert_eq!(voted.json["poll"]["options"], json!(["Yes", "No"]));
    // Who asks may vote too.
    let voted = plaza.vote(ANNA, &poll, 1).await;
    assert_eq!(voted.expect(200)["poll"]["counts"], json!([0, 2]));
    let path = format!("/polls/{poll}/vote");
    let body = json!({ "choice_index": 0 });
    let anonymous = plaza.service.call(Method::POST, &path, "", &body);
    anonymous.await.problem(401);
    assert_eq!(plaza.counts(&poll).await, json!([0, 2]));
}

async fn s2_34_the_results_are_the_poll(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let (poll, other) = (
        plaza.poll(&["a", "b"]).await,
        plaza.poll(&["a", "b", "c"]).await,
    );
    plaza.vote(BEN, &poll, 0).await.expect(200);
    plaza.vote(BEN, &other, 2).await.expect(200);
    for (poll, counts) in [(&poll, json!([1, 0])), (&other, json!([0, 0, 1]))] {
        let results = plaza.get(&format!("/polls/{poll}/results")).await;
        assert_eq!(results.expect(200)["counts"], counts);
        let shown = plaza.get(&format!("/polls/{poll}")).await;
        assert_eq!(shown.expect(200), &results.json);
    }
}
