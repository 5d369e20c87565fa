//! What is deleted stays deleted, what is changed stays changed, whoever does what at the same
//! time; and nothing that is gone costs anything.

use futures_util::{StreamExt as _, future::join_all, stream};
use mongodb::{
    Client,
    bson::{Document, doc},
};
use serde_json::json;

use crate::{
    helpers::{ANNA, BEN, Backend, Plaza, post},
    on_each_store,
};

on_each_store!(
    a_comment_that_is_deleted_stays_deleted_whoever_changes_it,
    a_change_that_comes_after_the_deletion_brings_nothing_back,
    of_changes_of_a_post_at_once_none_is_lost,
    a_post_that_is_deleted_stays_deleted_whoever_changes_it,
    nothing_of_a_deleted_post_is_left_in_the_store,
    a_change_that_is_written_late_undoes_none,
    who_repeats_a_request_does_not_bring_back_what_was_deleted,
    a_post_costs_no_more_after_comments_came_and_went,
    lists_of_posts_cost_no_more_after_posts_came_and_went,
);

const MANY: usize = 150;
/// Operations that the background may ask for meanwhile.
const BESIDE: u64 = 10;

async fn collection(plaza: &Plaza, name: &str) -> mongodb::Collection<Document> {
    let (url, database) = plaza.database();
    let client = Client::with_uri_str(url).await.unwrap();
    client.database(database).collection(name)
}

async fn a_comment_that_is_deleted_stays_deleted_whoever_changes_it(backend: Backend) {
    let one = Plaza::start(backend).await;
    let other = one.another().await;
    let post = one.written(ANNA, &post("P")).await;
    let list = format!("/api/posts/{post}/comments");
    for round in 0..20 {
        let id = one.commented(BEN, &post, &format!("c{round}")).await;
        let path = format!("{list}/{id}");
        let changes = (0..4).map(|number| {
            let (plaza, path) = (if number % 2 == 0 { &one } else { &other }, &path);
            async move {
                let text = json!({ "comment_text": format!("e{number}") });
                let status = plaza.put_as(BEN, path, &text).await.status;
                assert!([200, 404].contains(&status), "{status}");
            }
        });
        let (deleted, _) = tokio::join!(one.delete_as(BEN, &path), join_all(changes));
        deleted.expect(200);
        for plaza in [&one, &other] {
            assert_eq!(plaza.listed(&list, "comment_text").await, [""; 0]);
        }
        one.put_as(BEN, &path, &json!({ "comment_text": "again" }))
            .await
            .problem(404);
    }
}

async fn a_change_that_comes_after_the_deletion_brings_nothing_back(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let post = plaza.written(ANNA, &post("P")).await;
    let id = plaza.commented(BEN, &post, "secret").await;
    let path = format!("/api/posts/{post}/comments/{id}");
    plaza
        .put_as(BEN, &path, &json!({ "comment_text": "also secret" }))
        .await
        .expect(200);
    let comments = collection(&plaza, "comments").await;
    let by_id = || doc! { "_id": &id };
    let changed = comments.find_one(by_id()).await.unwrap().unwrap();
    plaza.delete_as(BEN, &path).await.expect(200);
    // The write of an instance that read before the deletion, and died before it looked again.
    comments.replace_one(by_id(), changed).await.unwrap();
    for plaza in [&plaza, &plaza.another().await] {
        let shown = plaza.get(&format!("/api/posts/{post}")).await;
        assert_eq!(shown.expect(200)["comments"], json!([]));
        plaza.delete_as(BEN, &path).await.problem(404);
    }
    let left = comments.find_one(by_id()).await.unwrap().unwrap();
    assert_eq!(left.get_str("text").unwrap(), "", "nothing of it is kept");
}

async fn of_changes_of_a_post_at_once_none_is_lost(backend: Backend) {
    let one = Plaza::start(backend).await;
    let other = one.another().await;
    for round in 0..10 {
        let path = format!("/api/posts/{}", one.written(ANNA, &post("P")).await);
        let plain = post("P");
        let (mut kind, mut rating) = (plain.clone(), plain.clone());
        kind["kind"] = "tip".into();
        rating["rating"] = 5.into();
        let (first, second, third) = tokio::join!(
            one.put_as(ANNA, &path, &kind),
            other.put_as(ANNA, &path, &rating),
            one.put_as(ANNA, &path, &plain),
        );
        for changed in [first, second, third] {
            changed.expect(200);
        }
        for plaza in [&one, &other] {
            let shown = plaza.get(&path).await;
            let shown = shown.expect(200);
            assert_eq!(shown["kind"], "tip", "round {round}");
            assert_eq!(shown["rating"], 5, "round {round}");
        }
    }
}

async fn a_post_that_is_deleted_stays_deleted_whoever_changes_it(backend: Backend) {
    let one = Plaza::start(backend).await;
    let other = one.another().await;
    for _ in 0..10 {
        let path = format!("/api/posts/{}", one.written(ANNA, &post("P")).await);
        let body = post("changed");
        let changes = (0..4).map(|number| {
            let plaza = if number % 2 == 0 { &one } else { &other };
            plaza.put_as(ANNA, &path, &body)
        });
        let (deleted, _) = tokio::join!(one.delete_as(ANNA, &path), join_all(changes));
        deleted.expect(200);
        for plaza in [&one, &other] {
            plaza.get(&path).await.problem(404);
            assert_eq!(plaza.listed("/api/posts", "title").await, [""; 0]);
        }
    }
}

async fn nothing_of_a_deleted_post_is_left_in_the_store(backend: Backend) {
    const SECRET: &str = "whatwaswritten";
    let plaza = Plaza::start(backend).await;
    let mut body = post("P");
    body["content"] = SECRET.into();
    let path = format!("/api/posts/{}", plaza.written(ANNA, &body).await);
    for number in 0..3 {
        body["content"] = format!("{SECRET}{number}").into();
        plaza.put_as(ANNA, &path, &body).await.expect(200);
    }
    plaza.delete_as(ANNA, &path).await.expect(200);
    let (url, database) = plaza.database();
    let database = Client::with_uri_str(url).await.unwrap().database(database);
    for name in database.list_collection_names().await.unwrap() {
        let collection = database.collection::<Document>(&name);
        let mut all = collection.find(doc! {}).await.unwrap();
        while let Some(document) = all.next().await {
            let document = document.unwrap().to_string();
            assert!(!document.contains(SECRET), "{name}: {document}");
        }
    }
}

async fn a_change_that_is_written_late_undoes_none(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let id = plaza.written(ANNA, &post("P")).await;
    let path = format!("/api/posts/{id}");
    let posts = collection(&plaza, "posts").await;
    let by_id = || doc! { "_id": &id };
    let written = posts.find_one(by_id()).await.unwrap().unwrap();
    plaza.put_as(ANNA, &path, &post("one")).await.expect(200);
    let late = posts.find_one(by_id()).await.unwrap().unwrap();
    plaza.put_as(ANNA, &path, &post("two")).await.expect(200);
    posts.replace_one(by_id(), late).await.unwrap();
    assert_eq!(plaza.get(&path).await.expect(200)["title"], "two");
    let other = plaza.another().await;
    assert_eq!(other.listed("/api/posts", "title").await, ["two"]);
    // Whoever died between the claim and the post has changed nothing that anybody was told; who
    // changes it next goes on from there.
    posts.replace_one(by_id(), written).await.unwrap();
    plaza.put_as(ANNA, &path, &post("three")).await.expect(200);
    assert_eq!(other.get(&path).await.expect(200)["title"], "three");
}

async fn who_repeats_a_request_does_not_bring_back_what_was_deleted(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let body = post("Once");
    let first = plaza.repeatable(ANNA, "/api/posts", "k1", &body).await;
    let path = first.header("location").to_owned();
    plaza.delete_as(ANNA, &path).await.expect(200);
    crate::repeats::forget_answers(&plaza).await;
    let again = plaza.repeatable(ANNA, "/api/posts", "k1", &body).await;
    assert_eq!(again.expect(201), first.expect(201));
    plaza.get(&path).await.problem(404);
    assert_eq!(plaza.listed("/api/posts", "title").await, [""; 0]);
}

/// Operations of the store for one answer.
async fn cost(plaza: &Plaza, path: &str) -> u64 {
    let database = plaza.service.service.database();
    let before = database.operations();
    plaza.get(path).await.expect(200);
    database.operations() - before
}

/// Lets 150 come and go on two instances, six at a time; what `path` costs is as before, also on an
/// instance that starts afterwards.
async fn costs_no_more<R: Future<Output = ()>>(
    one: &Plaza,
    other: &Plaza,
    path: &str,
    come_and_go: impl Fn(usize) -> R,
) {
    let first = cost(&one.another().await, path).await;
    cost(one, path).await;
    let warm = cost(one, path).await;
    let () = stream::iter(0..MANY)
        .map(come_and_go)
        .buffer_unordered(6)
        .collect()
        .await;
    let restarted = cost(&one.another().await, path).await;
    assert!(restarted <= 2 * first + BESIDE, "{first}, then {restarted}");
    for plaza in [one, other] {
        // What others did since it last looked, it has to look at once.
        cost(plaza, "/api/posts").await;
        for _ in 0..2 {
            let again = cost(plaza, path).await;
            assert!(again <= 2 * warm + BESIDE, "{warm}, then {again}");
        }
    }
}

async fn a_post_costs_no_more_after_comments_came_and_went(backend: Backend) {
    let one = Plaza::start(backend).await;
    let other = one.another().await;
    let id = one.written(ANNA, &post("P")).await;
    for text in ["a", "b", "c"] {
        one.commented(BEN, &id, text).await;
    }
    let path = format!("/api/posts/{id}");
    let instances = [&one, &other];
    costs_no_more(&one, &other, &path, |number| {
        let (plaza, id) = (instances[number % 2], &id);
        async move {
            let comment = plaza.commented(BEN, id, "x").await;
            let path = format!("/api/posts/{id}/comments/{comment}");
            plaza.delete_as(BEN, &path).await.expect(200);
        }
    })
    .await;
    let path = format!("{path}/comments");
    assert_eq!(one.listed(&path, "comment_text").await, ["c", "b", "a"]);
}

async fn lists_of_posts_cost_no_more_after_posts_came_and_went(backend: Backend) {
    let one = Plaza::start(backend).await;
    let other = one.another().await;
    for title in ["a", "b", "c"] {
        one.written(ANNA, &post(title)).await;
    }
    let instances = [&one, &other];
    costs_no_more(&one, &other, "/api/posts", |number| {
        let plaza = instances[number % 2];
        async move {
            let path = format!("/api/posts/{}", plaza.written(ANNA, &post("x")).await);
            plaza.delete_as(ANNA, &path).await.expect(200);
        }
    })
    .await;
    assert_eq!(one.listed("/api/posts", "title").await, ["c", "b", "a"]);
}
