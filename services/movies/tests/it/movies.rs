//! One movie: entered, shown, changed, deleted.

use reqwest::Method;
use sea_orm::{ConnectionTrait as _, Database};
use serde_json::{Value, json};

use crate::helpers::{ANNA, BEN, Backend, Plaza, movie};

crate::on_each_store![
    s3_15_a_movie_is_entered_and_s3_11_shown,
    s3_12_what_is_not_there_is_not_found,
    s3_16_its_owner_changes_it,
    s3_17_its_owner_deletes_it_with_its_reviews,
    s3_27_what_is_left_out_has_a_default,
    d6_only_the_owner_writes,
    d22_a_tv_show_stays_one,
    x_06_words_come_before_numbers,
];

async fn s3_15_a_movie_is_entered_and_s3_11_shown(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let reply = plaza.post(ANNA, "/api/movies", &movie("Alien")).await;
    let id = reply.expect(201)["id"].as_i64().unwrap();
    assert_eq!(reply.json, json!({"message": "Movie created", "id": id}));
    let path = format!("/api/movies/{id}");
    assert_eq!(reply.header("location"), path);
    let mut expected = movie("Alien");
    expected["id"] = id.into();
    expected["kind"] = "movie".into();
    expected["review_count"] = 0.into();
    expected["review_rating"] = Value::Null;
    assert_eq!(plaza.get(&path).await.expect(200), &expected);
}

async fn s3_12_what_is_not_there_is_not_found(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let path = "/api/movies/999";
    assert_eq!(plaza.get(path).await.problem(404), "Movie not found");
    let changed = plaza.put(ANNA, path, &movie("Alien")).await;
    assert_eq!(changed.problem(404), "Movie not found");
    let deleted = plaza.delete(ANNA, path).await;
    assert_eq!(deleted.problem(404), "Movie not found");
}

async fn s3_16_its_owner_changes_it(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let id = plaza.movie(&movie("Alien")).await;
    let path = format!("/api/movies/{id}");
    plaza.review(BEN, id, 7.0).await;
    let change = json!({
        "title": "Aliens", "description": "", "rating": 9, "genre": "Action",
        "poster_url": "", "release_date": "1986-07-18",
    });
    let reply = plaza.put(ANNA, &path, &change).await;
    assert_eq!(
        reply.expect(200),
        &json!({"message": "Movie updated successfully"})
    );
    let shown = plaza.get(&path).await;
    let shown = shown.expect(200);
    for (member, value) in change.as_object().unwrap() {
        if member != "rating" {
            assert_eq!(&shown[member], value, "{member}");
        }
    }
    assert_eq!(
        (
            &shown["rating"],
            &shown["review_count"],
            &shown["review_rating"]
        ),
        (&json!(9.0), &json!(1), &json!(7.0)),
        "the owner's rating and that of the reviews are two"
    );
}

async fn s3_17_its_owner_deletes_it_with_its_reviews(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let id = plaza.movie(&movie("Alien")).await;
    let path = format!("/api/movies/{id}");
    plaza.review(BEN, id, 7.0).await;
    let reply = plaza.delete(ANNA, &path).await;
    assert_eq!(
        reply.expect(200),
        &json!({"message": "Movie deleted successfully"})
    );
    plaza.get(&path).await.problem(404);
    plaza.get(&format!("{path}/reviews")).await.problem(404);
    plaza.delete(ANNA, &path).await.problem(404);
}

async fn s3_27_what_is_left_out_has_a_default(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let least = json!({
        "title": " Alien ", "rating": 8, "genre": "Horror", "release_date": "1979-05-25",
        "id": 77, "created_by": 2, "review_count": 5, "unknown": {"a": 1},
    });
    let id = plaza.movie(&least).await;
    assert_ne!(id, 77);
    let shown = plaza.get(&format!("/api/movies/{id}")).await;
    let shown = shown.expect(200);
    assert_eq!(
        (&shown["title"], &shown["description"], &shown["poster_url"]),
        (&json!("Alien"), &json!(""), &json!(""))
    );
    assert_eq!(
        (&shown["kind"], &shown["review_count"]),
        (&json!("movie"), &json!(0))
    );
    assert!(shown.get("unknown").is_none());
}

async fn d6_only_the_owner_writes(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let id = plaza.movie(&movie("Alien")).await;
    let path = format!("/api/movies/{id}");
    let stolen = movie("Mine");
    plaza.put(BEN, &path, &stolen).await.problem(403);
    plaza.delete(BEN, &path).await.problem(403);
    for (method, path) in [
        (Method::POST, "/api/movies"),
        (Method::PUT, path.as_str()),
        (Method::DELETE, path.as_str()),
        (Method::DELETE, "/api/movies/cache/clear"),
        (Method::POST, "/api/movies/1/reviews"),
        (Method::PUT, "/api/movies/1/reviews/1"),
        (Method::DELETE, "/api/movies/1/reviews/1"),
    ] {
        for token in ["", "a.b.c"] {
            let reply = plaza
                .service
                .call(method.clone(), path, token, &stolen)
                .await;
            reply.problem(401);
            assert!(!reply.header("www-authenticate").is_empty());
        }
    }
    assert_eq!(plaza.get(&path).await.expect(200)["title"], "Alien");
}

async fn d22_a_tv_show_stays_one(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let mut show = movie("Andor");
    show["kind"] = "tv_show".into();
    let id = plaza.movie(&show).await;
    let path = format!("/api/movies/{id}");
    assert_eq!(plaza.get(&path).await.expect(200)["kind"], "tv_show");
    // A client that knows no kinds changes what it knows.
    let change =
        json!({"title": "Andor", "rating": 9.5, "genre": "SF", "release_date": "2022-09-21"});
    plaza.put(ANNA, &path, &change).await.expect(200);
    let shown = plaza.get(&path).await;
    assert_eq!(
        (&shown.json["kind"], &shown.json["description"]),
        (&json!("tv_show"), &json!("In space"))
    );
}

async fn x_06_words_come_before_numbers(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    for (path, member) in [
        ("status", "database"),
        ("popular", "data"),
        ("search", "data"),
    ] {
        let reply = plaza.get(&format!("/api/movies/{path}")).await;
        assert!(reply.expect(200).get(member).is_some(), "{path}");
    }
    for path in ["word", "-1", "1.5", "99999999999999999999"] {
        plaza.get(&format!("/api/movies/{path}")).await.problem(404);
    }
}

#[tokio::test]
async fn s3_28_movies_and_reviews_are_in_postgres() {
    let plaza = Plaza::start(Backend::Postgres).await;
    let id = plaza.movie(&movie("Alien")).await;
    plaza.review(BEN, id, 7.0).await;
    let postgres = Database::connect(plaza.store_url()).await.unwrap();
    let found =
        "SELECT m.title || ' ' || r.rating FROM movies m JOIN reviews r ON r.movie_id = m.id";
    let row = postgres.query_one_raw(sea_orm::Statement::from_string(
        sea_orm::DbBackend::Postgres,
        found,
    ));
    let row = row.await.unwrap().unwrap();
    assert_eq!(row.try_get_by_index::<String>(0).unwrap(), "Alien 700");
}
