//! Who deletes their account is in no poll and no vote; counts stay as they are.

use mongodb::{
    Client,
    bson::{Document, doc},
};
use serde_json::json;
use testkit::{Farewell, stores};

use crate::{
    helpers::{ANNA, BEN, Backend, Plaza},
    on_each_store,
};

on_each_store!(a_deleted_account_is_named_by_no_poll_and_no_vote_and_counts_stay);

async fn a_deleted_account_is_named_by_no_poll_and_no_vote_and_counts_stay(backend: Backend) {
    let amqp = stores::amqp();
    let plaza = Plaza::start_with(backend, &["--amqp-url", &amqp]).await;
    let users = Farewell::to(&plaza.service, &amqp).await;
    let hers = plaza.poll(&["a", "b"]).await;
    let body = json!({ "question": "Which one?", "options": ["a", "b"] });
    let his = plaza.post_as(BEN, "/polls", &body).await;
    let his = his.expect(201)["poll_id"].as_str().unwrap().to_owned();
    // A name that the other one's begins with.
    let similar = plaza.post_as(70, "/polls", &body).await;
    let similar = similar.expect(201)["poll_id"].as_str().unwrap().to_owned();
    for (who, choice) in [(BEN, 0), (ANNA, 1), (70, 1)] {
        plaza.vote(who, &his, choice).await.expect(200);
    }
    plaza.vote(ANNA, &hers, 0).await.expect(200);

    for round in [1, 2] {
        users.deleted(ANNA, "user7", round).await;
    }

    assert_eq!(plaza.counts(&his).await, json!([1, 2]));
    assert_eq!(plaza.counts(&hers).await, json!([1, 0]));
    let names = [(&hers, ""), (&his, "user8"), (&similar, "user70")];
    for (poll, name) in names {
        for plaza in [&plaza, &plaza.another().await] {
            let shown = plaza.get(&format!("/polls/{poll}")).await;
            assert_eq!(shown.expect(200)["created_by"], name);
        }
    }
    let client = Client::with_uri_str(&plaza.url).await.unwrap();
    let database = client.database(&plaza.database);
    let left = async |collection: &str, filter: Document| {
        let documents = database.collection::<Document>(collection);
        documents.count_documents(filter).await.unwrap()
    };
    assert_eq!(left("votes", doc! { "state.user_id": ANNA }).await, 0);
    assert_eq!(
        left("ballots", doc! { "_id": { "$regex": "/7$" } }).await,
        0
    );
    assert_eq!(left("ballots", doc! {}).await, 2);
    // Votes go on.
    plaza.vote(9, &his, 0).await.expect(200);
    plaza.vote(BEN, &his, 0).await.problem(409);
    assert_eq!(plaza.counts(&his).await, json!([2, 2]));
}
