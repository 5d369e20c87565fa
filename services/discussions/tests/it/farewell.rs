//! Who deletes their account leaves no post, no word of a comment and no subscription.

use mongodb::{
    Client,
    bson::{Document, doc},
};
use serde_json::{Value, json};
use testkit::{Farewell, stores};

use crate::{
    helpers::{ANNA, BEN, Backend, Plaza, post},
    on_each_store,
};

on_each_store!(
    posts_comments_and_subscriptions_of_a_deleted_account_are_gone,
    what_comes_after_the_deletion_is_gone_with_the_next_round,
);

async fn left(plaza: &Plaza, collection: &str, filter: Document) -> u64 {
    let (url, database) = plaza.database();
    let client = Client::with_uri_str(url).await.unwrap();
    let database = client.database(database);
    let documents = database.collection::<Document>(collection);
    documents.count_documents(filter).await.unwrap()
}

async fn posts_comments_and_subscriptions_of_a_deleted_account_are_gone(backend: Backend) {
    let amqp = stores::amqp();
    let plaza = Plaza::start_with(backend, &["--amqp-url", &amqp]).await;
    let other = plaza.another().await;
    let users = Farewell::to(&plaza.service, &amqp).await;
    let (hers, his) = (
        plaza.written(ANNA, &post("Hers")).await,
        plaza.written(BEN, &post("His")).await,
    );
    plaza.commented(BEN, &hers, "on hers").await;
    let changed = plaza.commented(ANNA, &his, "secret one").await;
    let path = format!("/api/posts/{his}/comments/{changed}");
    let text = json!({ "comment_text": "secret two" });
    plaza.put_as(ANNA, &path, &text).await.expect(200);
    plaza.commented(BEN, &his, "between").await;
    plaza.commented(ANNA, &his, "secret three").await;
    let subscription = "/api/topics/Zoe/subscription";
    let subscribed = plaza.put_as(ANNA, subscription, &Value::Null).await;
    assert!(subscribed.status < 300, "{}", subscribed.text);
    assert_eq!(other.listed("/api/posts", "title").await, ["His", "Hers"]);

    for round in [1, 2] {
        users.deleted(ANNA, "anna", round).await;
    }

    for plaza in [&plaza, &other] {
        assert_eq!(plaza.listed("/api/posts", "title").await, ["His"]);
        plaza.get(&format!("/api/posts/{hers}")).await.problem(404);
        let list = format!("/api/posts/{his}/comments");
        assert_eq!(plaza.listed(&list, "comment_text").await, ["between"]);
    }
    let mine = plaza.get_as(ANNA, "/api/users/me/subscriptions").await;
    assert_eq!(mine.expect(200), &json!([]));
    assert_eq!(left(&plaza, "posts", doc! { "user_id": ANNA }).await, 0);
    assert_eq!(
        left(&plaza, "subscriptions", doc! { "user_id": ANNA }).await,
        0
    );
    let words = doc! { "user_id": ANNA, "text": { "$ne": "" } };
    assert_eq!(left(&plaza, "comments", words).await, 0);
    // The places stay: what comes next has a number of its own.
    let next = plaza.commented(BEN, &his, "next").await;
    assert!(next.ends_with('4'), "{next}");
}

async fn what_comes_after_the_deletion_is_gone_with_the_next_round(backend: Backend) {
    let amqp = stores::amqp();
    let plaza = Plaza::start_with(backend, &["--amqp-url", &amqp]).await;
    let users = Farewell::to(&plaza.service, &amqp).await;
    let his = plaza.written(BEN, &post("His")).await;
    users.deleted(ANNA, "anna", 1).await;
    plaza.written(ANNA, &post("Late")).await;
    plaza.commented(ANNA, &his, "late").await;
    users.deleted(ANNA, "anna", 2).await;
    assert_eq!(plaza.listed("/api/posts", "title").await, ["His"]);
    let list = format!("/api/posts/{his}/comments");
    assert_eq!(plaza.listed(&list, "comment_text").await, [""; 0]);
}
