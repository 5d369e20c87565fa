use serde_json::json;

use crate::{
    helpers::{ANNA, BEN, Backend, Plaza, members, post},
    on_each_store,
};

on_each_store!(
    s0_27_comments_are_made_by_rest,
    d8_the_server_sets_id_author_and_time,
    d8_the_author_changes_and_deletes_a_comment,
    d8_a_deleted_comment_leaves_its_place_empty,
    d8_comments_belong_to_their_post,
    d8_comments_written_at_once_are_all_kept,
    d6_a_comment_cannot_be_written_for_another,
);

async fn s0_27_comments_are_made_by_rest(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let post = plaza.written(ANNA, &post("Best car")).await;
    let path = format!("/api/posts/{post}/comments");
    assert_eq!(plaza.get(&path).await.expect(200), &json!([]));
    let created = plaza
        .post_as(BEN, &path, &json!({ "comment_text": "Nice" }))
        .await;
    let comment = created.expect(201);
    assert_eq!(comment["user_id"], BEN);
    assert_eq!(comment["comment_text"], "Nice");
    assert_eq!(comment["message"], "Comment created successfully.");
    assert!(comment["comment_id"].is_string() && comment["timestamp"].is_string());
    plaza.commented(ANNA, &post, "Thanks").await;
    assert_eq!(
        plaza.listed(&path, "comment_text").await,
        ["Thanks", "Nice"]
    );
    let embedded = plaza.get(&format!("/api/posts/{post}")).await.json["comments"].clone();
    assert_eq!(embedded, plaza.get(&path).await.json);
}

async fn d8_the_server_sets_id_author_and_time(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let post = plaza.written(ANNA, &post("Best car")).await;
    let path = format!("/api/posts/{post}/comments");
    let body = json!({
        "comment_text": "Nice", "comment_id": "mine", "_id": "mine", "timestamp": "1999-01-01",
        "post_id": "another", "removed": true, "author": { "username": "root" },
    });
    let created = plaza.post_as(BEN, &path, &body).await;
    let comment = created.expect(201);
    assert_ne!(comment["comment_id"], "mine");
    assert_eq!(
        (&comment["user_id"], &comment["author"]["username"]),
        (&json!(BEN), &json!("ben"))
    );
    assert!(!comment["timestamp"].as_str().unwrap().starts_with("1999"));
    let listed = plaza.get(&path).await.json[0].clone();
    for member in [
        "comment_id",
        "user_id",
        "comment_text",
        "timestamp",
        "author",
    ] {
        assert_eq!(listed[member], comment[member], "{member}");
    }
}

async fn d8_the_author_changes_and_deletes_a_comment(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let post = plaza.written(ANNA, &post("Best car")).await;
    let comments = format!("/api/posts/{post}/comments");
    let path = format!("{comments}/{}", plaza.commented(BEN, &post, "Nice").await);
    let edit = json!({ "comment_text": "Very nice", "timestamp": "1999", "user_id": null });
    // The author of the post has no say in it either.
    plaza.put_as(ANNA, &path, &edit).await.problem(403);
    plaza.delete_as(ANNA, &path).await.problem(403);
    let before = plaza.get(&comments).await.json[0].clone();
    let edited = plaza.put_as(BEN, &path, &edit).await;
    assert_eq!(
        edited.expect(200),
        &json!({ "message": "Comment updated successfully." })
    );
    let after = plaza.get(&comments).await.json[0].clone();
    assert_eq!(after["comment_text"], "Very nice");
    assert_eq!(after["timestamp"], before["timestamp"]);
    assert_eq!(after["comment_id"], before["comment_id"]);
    let deleted = plaza.delete_as(BEN, &path).await;
    assert_eq!(
        deleted.expect(200),
        &json!({ "message": "Comment deleted successfully." })
    );
    assert_eq!(plaza.get(&comments).await.expect(200), &json!([]));
    plaza.put_as(BEN, &path, &edit).await.problem(404);
    assert_eq!(
        plaza.delete_as(BEN, &path).await.problem(404),
        "Comment not found"
    );
}

async fn d8_a_deleted_comment_leaves_its_place_empty(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let post = plaza.written(ANNA, &post("Best car")).await;
    let path = format!("/api/posts/{post}/comments");
    let first = plaza.commented(BEN, &post, "first").await;
    let second = plaza.commented(BEN, &post, "second").await;
    plaza
        .delete_as(BEN, &format!("{path}/{second}"))
        .await
        .expect(200);
    // An instance that has never seen the discussion must not give the place again.
    let again = plaza.another().await;
    let third = again.commented(BEN, &post, "third").await;
    assert_ne!(third, second);
    assert_eq!(plaza.listed(&path, "comment_id").await, [third, first]);
}

async fn d8_comments_belong_to_their_post(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let (one, other) = (
        plaza.written(ANNA, &post("1")).await,
        plaza.written(ANNA, &post("2")).await,
    );
    let comment = plaza.commented(BEN, &one, "Nice").await;
    let edit = json!({ "comment_text": "Moved" });
    plaza
        .put_as(
            BEN,
            &format!("/api/posts/{other}/comments/{comment}"),
            &edit,
        )
        .await
        .problem(404);
    plaza
        .delete_as(BEN, &format!("/api/posts/{other}/comments/{comment}"))
        .await
        .problem(404);
    assert_eq!(
        plaza
            .get(&format!("/api/posts/{other}/comments"))
            .await
            .expect(200),
        &json!([])
    );
    let unknown = format!("/api/posts/{}/comments", one.replace(&one[..8], "00000000"));
    assert_eq!(
        plaza.post_as(BEN, &unknown, &edit).await.problem(404),
        "Post not found"
    );
    plaza.get(&unknown).await.problem(404);
}

async fn d8_comments_written_at_once_are_all_kept(backend: Backend) {
    const EACH: usize = 15;
    let plaza = Plaza::start(backend).await;
    let another = plaza.another().await;
    let post = plaza.written(ANNA, &post("Best car")).await;
    let write = |plaza: Plaza, name: &'static str| {
        let post = post.clone();
        tokio::spawn(async move {
            let plaza = &plaza;
            let texts = (0..EACH).map(|number| format!("{name}{number}"));
            let writes = texts.map(|text| {
                let post = post.clone();
                async move { plaza.commented(BEN, &post, &text).await }
            });
            futures_util::future::join_all(writes).await
        })
    };
    let (third, fourth) = (plaza.another().await, plaza.another().await);
    let (first, second) = (write(third, "a"), write(fourth, "b"));
    let mut ids: Vec<String> = first.await.unwrap();
    ids.extend(second.await.unwrap());
    let list = another
        .get(&format!("/api/posts/{post}/comments?limit=200"))
        .await;
    let mut listed = members(list.expect(200), "comment_id");
    ids.sort_unstable();
    listed.sort_unstable();
    assert_eq!(ids.len(), 2 * EACH);
    assert_eq!(listed, ids);
}

async fn d6_a_comment_cannot_be_written_for_another(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let post = plaza.written(ANNA, &post("Best car")).await;
    let path = format!("/api/posts/{post}/comments");
    let forged = json!({ "comment_text": "Me", "user_id": ANNA });
    plaza.post_as(BEN, &path, &forged).await.problem(403);
    let own = format!("{path}/{}", plaza.commented(BEN, &post, "Nice").await);
    plaza.put_as(BEN, &own, &forged).await.problem(403);
    assert_eq!(plaza.listed(&path, "comment_text").await, ["Nice"]);
}
