use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    helpers::{ANNA, BEN, Backend, Plaza, post},
    on_each_store,
};

on_each_store!(
    s0_06_creating_a_post_answers_its_id,
    s0_06_what_a_client_may_not_set_is_not_stored,
    s0_07_all_posts_are_a_bare_array,
    s0_08_one_post_has_its_comments,
    s0_06_the_number_of_an_account_may_be_a_text,
    s0_09_updating_changes_what_is_sent,
    s0_10_deleting_takes_the_comments_along,
    s0_15_posts_survive_a_restart,
    s0_29_the_user_id_must_be_the_callers,
    s0_30_only_the_author_changes_and_deletes,
    s0_31_a_rating_is_part_of_a_post,
    d4_a_trailing_slash_is_accepted,
    d6_writing_needs_a_token_and_reading_does_not,
    d10_posts_have_kinds,
    d10_posts_are_found_by_car_kind_and_author,
);

async fn s0_06_creating_a_post_answers_its_id(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let mut body = post("Best car");
    body["user_id"] = ANNA.into();
    let created = plaza.post_as(ANNA, "/api/posts", &body).await;
    let id = created.expect(201)["post_id"].as_str().unwrap().to_owned();
    assert_eq!(
        created.json,
        json!({ "post_id": id, "message": "Post created successfully." })
    );
    assert_eq!(created.header("location"), format!("/api/posts/{id}"));
    plaza.get(created.header("location")).await.expect(200);
}

async fn s0_06_what_a_client_may_not_set_is_not_stored(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let mut body = post("Best car");
    let forbidden = json!({
        "post_id": "mine", "_id": "mine", "id": 1, "timestamp": "1999-01-01", "created_at": "1999",
        "revision": "x", "topic": "other", "comments": [{ "comment_text": "x" }], "role": "admin",
        "author": { "username": "root" }, "$set": { "user_id": BEN }, "a.b": 1,
    });
    body.as_object_mut()
        .unwrap()
        .extend(forbidden.as_object().unwrap().clone());
    let id = plaza.written(ANNA, &body).await;
    assert_ne!(id, "mine");
    let shown = plaza.get(&format!("/api/posts/{id}")).await;
    let shown = shown.expect(200);
    assert_eq!(shown["user_id"], ANNA);
    assert_eq!(shown["comments"], json!([]));
    assert_eq!(shown["author"]["username"], "anna");
    assert!(
        !shown["timestamp"].as_str().unwrap().starts_with("1999"),
        "{shown}"
    );
    for unknown in [
        "_id",
        "id",
        "role",
        "revision",
        "topic",
        "$set",
        "a.b",
        "created_at",
    ] {
        assert!(shown.get(unknown).is_none(), "{unknown}: {shown}");
    }
    assert_eq!(
        plaza.listed("/api/posts?car_model=other", "post_id").await,
        [""; 0]
    );
}

async fn s0_07_all_posts_are_a_bare_array(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    assert_eq!(plaza.get("/api/posts").await.expect(200), &json!([]));
    let first = plaza.written(ANNA, &post("First")).await;
    let second = plaza.written(BEN, &post("Second")).await;
    let list = plaza.get("/api/posts").await;
    let posts = list.expect(200).as_array().unwrap().clone();
    assert_eq!(
        plaza.listed("/api/posts", "post_id").await,
        [second, first.clone()]
    );
    let oldest = &posts[1];
    assert_eq!(oldest["post_id"], first);
    assert_eq!(oldest["user_id"], ANNA);
    assert_eq!(oldest["title"], "First");
    assert_eq!(oldest["content"], "It never broke down.");
    assert_eq!(oldest["car_model"], "Golf GTI");
    let timestamp = oldest["timestamp"].as_str().unwrap();
    assert!(
        timestamp.ends_with('Z') && timestamp.len() == 27,
        "{timestamp}"
    );
}

async fn s0_06_the_number_of_an_account_may_be_a_text(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let mut body = post("Best Dream Car");
    body["user_id"] = ANNA.to_string().into();
    let id = plaza.written(ANNA, &body).await;
    plaza
        .put_as(ANNA, &format!("/api/posts/{id}"), &body)
        .await
        .expect(200);
    let comments = format!("/api/posts/{id}/comments");
    let comment = |user_id: &str| json!({ "user_id": user_id, "comment_text": "Yes" });
    plaza
        .post_as(ANNA, &comments, &comment("7"))
        .await
        .expect(201);
    plaza
        .post_as(BEN, &comments, &comment("7"))
        .await
        .problem(403);
    plaza.post_as(BEN, "/api/posts", &body).await.problem(403);
    for bad in ["", "seven", "7.5", "-7", " 7"] {
        plaza
            .post_as(ANNA, &comments, &comment(bad))
            .await
            .problem(422);
        body["user_id"] = bad.into();
        plaza.post_as(ANNA, "/api/posts", &body).await.problem(422);
    }
}

async fn s0_08_one_post_has_its_comments(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let id = plaza.written(ANNA, &post("Best car")).await;
    let comment = plaza.commented(BEN, &id, "I agree").await;
    let shown = plaza.get(&format!("/api/posts/{id}")).await;
    let shown = shown.expect(200);
    let listed = plaza.get("/api/posts").await.json[0].clone();
    for member in [
        "post_id",
        "user_id",
        "title",
        "content",
        "car_model",
        "timestamp",
    ] {
        assert_eq!(shown[member], listed[member], "{member}");
    }
    let first = &shown["comments"][0];
    assert_eq!(first["comment_id"], comment);
    assert_eq!(first["user_id"], BEN);
    assert_eq!(first["comment_text"], "I agree");
    assert!(first["timestamp"].is_string());
    assert_eq!(shown["comments"].as_array().unwrap().len(), 1);
}

async fn s0_09_updating_changes_what_is_sent(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let id = plaza.written(ANNA, &post("Best car")).await;
    let path = format!("/api/posts/{id}");
    let before = plaza.get(&path).await.json;
    let change = json!({ "title": "Good car", "content": "It broke down.", "car_model": "Polo" });
    let updated = plaza.put_as(ANNA, &path, &change).await;
    assert_eq!(
        updated.expect(200),
        &json!({ "message": "Post updated successfully." })
    );
    let after = plaza.get(&path).await.json;
    assert_eq!(
        (&after["title"], &after["content"]),
        (&change["title"], &change["content"])
    );
    assert_eq!(
        (&after["timestamp"], &after["user_id"]),
        (&before["timestamp"], &before["user_id"])
    );
    assert_eq!(plaza.listed("/api/posts", "title").await, ["Good car"]);
    assert_eq!(
        plaza.listed("/api/posts?car_model=polo", "post_id").await,
        [id]
    );
    assert_eq!(
        plaza
            .listed("/api/posts?car_model=golf+gti", "post_id")
            .await,
        [""; 0]
    );
}

async fn s0_10_deleting_takes_the_comments_along(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let (gone, kept) = (
        plaza.written(ANNA, &post("a")).await,
        plaza.written(ANNA, &post("b")).await,
    );
    let comment = plaza.commented(BEN, &gone, "mine").await;
    plaza.commented(BEN, &kept, "stays").await;
    let path = format!("/api/posts/{gone}");
    let deleted = plaza.delete_as(ANNA, &path).await;
    assert_eq!(
        deleted.expect(200),
        &json!({ "message": "Post deleted successfully." })
    );
    assert_eq!(plaza.get(&path).await.problem(404), "Post not found");
    plaza.get(&format!("{path}/comments")).await.problem(404);
    let edit = json!({ "comment_text": "still here?" });
    plaza
        .put_as(BEN, &format!("{path}/comments/{comment}"), &edit)
        .await
        .problem(404);
    plaza.delete_as(ANNA, &path).await.problem(404);
    plaza.put_as(ANNA, &path, &post("again")).await.problem(404);
    assert_eq!(plaza.listed("/api/posts", "post_id").await, [kept.as_str()]);
    let others = format!("/api/posts/{kept}/comments");
    assert_eq!(plaza.listed(&others, "comment_text").await, ["stays"]);
}

async fn s0_15_posts_survive_a_restart(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let id = plaza.written(ANNA, &post("Best car")).await;
    plaza.commented(BEN, &id, "I agree").await;
    let again = plaza.another().await;
    plaza.service.stop().await;
    assert_eq!(again.listed("/api/posts", "post_id").await, [id.as_str()]);
    plaza_has_comments(&again, &id, &["I agree"]).await;
    again.commented(BEN, &id, "Still").await;
    plaza_has_comments(&again, &id, &["Still", "I agree"]).await;
}

async fn plaza_has_comments(plaza: &Plaza, post: &str, texts: &[&str]) {
    let path = format!("/api/posts/{post}/comments");
    assert_eq!(plaza.listed(&path, "comment_text").await, texts);
}

async fn s0_29_the_user_id_must_be_the_callers(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let mut body = post("Best car");
    body["user_id"] = BEN.into();
    plaza.post_as(ANNA, "/api/posts", &body).await.problem(403);
    assert_eq!(plaza.get("/api/posts").await.expect(200), &json!([]));
    for own in [Value::Null, ANNA.into()] {
        body["user_id"] = own;
        plaza.written(ANNA, &body).await;
    }
}

async fn s0_30_only_the_author_changes_and_deletes(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let path = format!(
        "/api/posts/{}",
        plaza.written(ANNA, &post("Best car")).await
    );
    plaza.put_as(BEN, &path, &post("Stolen")).await.problem(403);
    plaza.delete_as(BEN, &path).await.problem(403);
    assert_eq!(plaza.get(&path).await.expect(200)["title"], "Best car");
}

async fn s0_31_a_rating_is_part_of_a_post(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let mut body = post("Best car");
    body["rating"] = 5.into();
    let path = format!("/api/posts/{}", plaza.written(ANNA, &body).await);
    assert_eq!(plaza.get(&path).await.expect(200)["rating"], 5);
    plaza
        .put_as(ANNA, &path, &post("No word on it"))
        .await
        .expect(200);
    assert_eq!(plaza.get(&path).await.expect(200)["rating"], 5);
    body["rating"] = Value::Null;
    plaza.put_as(ANNA, &path, &body).await.expect(200);
    assert!(plaza.get(&path).await.expect(200).get("rating").is_none());
    for bad in [json!(0), json!(6), json!(4.5), json!("5"), json!(-1)] {
        body["rating"] = bad;
        plaza.post_as(ANNA, "/api/posts", &body).await.problem(422);
    }
}

async fn d4_a_trailing_slash_is_accepted(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let created = plaza.post_as(ANNA, "/api/posts/", &post("Best car")).await;
    let id = created.expect(201)["post_id"].as_str().unwrap().to_owned();
    plaza.get("/api/posts/").await.expect(200);
    plaza.get(&format!("/api/posts/{id}/")).await.expect(200);
    plaza
        .get(&format!("/api/posts/{id}/comments/"))
        .await
        .expect(200);
}

async fn d6_writing_needs_a_token_and_reading_does_not(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let id = plaza.written(ANNA, &post("Best car")).await;
    let comment = plaza.commented(ANNA, &id, "mine").await;
    let (one, comments) = (
        format!("/api/posts/{id}"),
        format!("/api/posts/{id}/comments"),
    );
    let mine = format!("{comments}/{comment}");
    let topic = "/api/topics/polo/subscription";
    for (method, path) in [
        (Method::POST, "/api/posts"),
        (Method::PUT, &one),
        (Method::DELETE, &one),
        (Method::POST, &comments),
        (Method::PUT, &mine),
        (Method::DELETE, &mine),
        (Method::PUT, topic),
        (Method::DELETE, topic),
        (Method::GET, "/api/users/me/subscriptions"),
    ] {
        let refused = plaza
            .service
            .call(method.clone(), path, "", &Value::Null)
            .await;
        refused.problem(401);
        assert!(
            refused.header("www-authenticate").starts_with("Bearer"),
            "{method} {path}"
        );
    }
    for path in ["/api/posts", &one, &comments] {
        plaza.get(path).await.expect(200);
    }
}

async fn d10_posts_have_kinds(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let default = plaza.written(ANNA, &post("Best car")).await;
    let path = format!("/api/posts/{default}");
    assert_eq!(plaza.get(&path).await.expect(200)["kind"], "recommendation");
    let mut body = post("Oil");
    for kind in ["recommendation", "review", "tip", "news"] {
        body["kind"] = kind.into();
        let id = plaza.written(ANNA, &body).await;
        assert_eq!(
            plaza.get(&format!("/api/posts/{id}")).await.expect(200)["kind"],
            kind
        );
    }
    for bad in ["Tip", "", "rant"] {
        body["kind"] = bad.into();
        plaza.post_as(ANNA, "/api/posts", &body).await.problem(422);
    }
}

async fn d10_posts_are_found_by_car_kind_and_author(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    for (author, title, car_model, kind) in [
        (ANNA, "1", "Polo", "tip"),
        (ANNA, "2", "POLO ", "news"),
        (BEN, "3", "polo", "tip"),
        (BEN, "4", "Golf  GTI", "tip"),
    ] {
        let mut body = post(title);
        body["car_model"] = car_model.into();
        body["kind"] = kind.into();
        plaza.written(author, &body).await;
    }
    for (query, titles) in [
        ("car_model=Polo", vec!["3", "2", "1"]),
        ("car_model=golf%20gti", vec!["4"]),
        ("kind=tip", vec!["4", "3", "1"]),
        ("user_id=7", vec!["2", "1"]),
        ("user_id=7&car_model=polo&kind=tip", vec!["1"]),
        ("user_id=9", vec![]),
        ("unknown=x&car_model[$ne]=polo", vec!["4", "3", "2", "1"]),
    ] {
        assert_eq!(
            plaza.listed(&format!("/api/posts?{query}"), "title").await,
            titles,
            "{query}"
        );
    }
}
