//! Bodies that do not fit.

use serde_json::{Value, json};

use crate::helpers::{ANNA, Backend, Plaza, movie};

crate::on_each_store![
    s3_45_a_bad_movie_is_refused,
    s3_45_a_bad_review_is_refused,
    s3_45_what_just_fits_is_kept,
];

async fn s3_45_a_bad_movie_is_refused(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let id = plaza.movie(&movie("Alien")).await;
    let path = format!("/api/movies/{id}");
    for (member, value) in [
        ("title", json!("")),
        ("title", json!("  ")),
        ("title", json!("x".repeat(201))),
        ("title", json!("a\0b")),
        ("title", json!(7)),
        ("title", Value::Null),
        ("description", json!("x".repeat(5001))),
        ("rating", json!(-0.01)),
        ("rating", json!(10.01)),
        ("rating", json!("8")),
        ("rating", Value::Null),
        ("genre", json!("")),
        ("genre", json!("x".repeat(51))),
        ("poster_url", json!("javascript:alert(1)")),
        ("poster_url", json!("a.png")),
        ("release_date", json!("25.05.1979")),
        ("release_date", json!("1979-02-30")),
        ("release_date", json!("1979")),
        ("release_date", json!(1979)),
        ("kind", json!("play")),
    ] {
        let mut body = movie("Alien");
        body[member] = value.clone();
        let refused = plaza.post(ANNA, "/api/movies", &body).await;
        assert_eq!(refused.status, 422, "{member}: {value}: {}", refused.text);
        refused.problem(422);
        plaza.put(ANNA, &path, &body).await.problem(422);
    }
    for member in ["title", "rating", "genre", "release_date"] {
        let mut body = movie("Alien");
        body.as_object_mut().unwrap().remove(member);
        let refused = plaza.post(ANNA, "/api/movies", &body).await;
        assert!(refused.problem(422).contains(member), "{}", refused.text);
    }
    for body in [json!([]), json!("x"), json!(1)] {
        plaza.post(ANNA, "/api/movies", &body).await.problem(422);
    }
    assert_eq!(
        plaza
            .get("/api/movies")
            .await
            .json
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

async fn s3_45_a_bad_review_is_refused(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let id = plaza.movie(&movie("Alien")).await;
    let path = format!("/api/movies/{id}/reviews");
    for body in [
        json!({"body": "b", "rating": 5}),
        json!({"title": "", "body": "b", "rating": 5}),
        json!({"title": "t", "body": "b"}),
        json!({"title": "t", "body": "b", "rating": 11}),
        json!({"title": "t", "body": "x".repeat(5001), "rating": 5}),
        json!({"title": "x".repeat(201), "body": "b", "rating": 5}),
    ] {
        plaza.post(ANNA, &path, &body).await.problem(422);
    }
    assert_eq!(plaza.get(&path).await.expect(200), &json!([]));
}

async fn s3_45_what_just_fits_is_kept(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let body = json!({
        "title": "ß".repeat(200), "description": "😀".repeat(5000), "rating": 10,
        "genre": "ŉ".repeat(50), "poster_url": format!("https://example.com/{}", "x".repeat(2028)),
        "release_date": "2200-12-31",
    });
    let id = plaza.movie(&body).await;
    let shown = plaza.get(&format!("/api/movies/{id}")).await;
    let shown = shown.expect(200);
    for member in [
        "title",
        "description",
        "genre",
        "poster_url",
        "release_date",
    ] {
        assert_eq!(shown[member], body[member], "{member}");
    }
    let found = plaza.get("/api/movies/search?title=SSSSSS").await;
    assert_eq!(found.expect(200)["data"].as_array().unwrap().len(), 1);
}
