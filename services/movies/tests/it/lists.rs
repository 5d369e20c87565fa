//! All movies, and the popular ones.

use serde_json::json;

use crate::helpers::{BEN, Backend, FROM_CACHE, FROM_DATABASE, Plaza, movie, next, rated, titles};

crate::on_each_store![
    s3_10_lists_movies_newest_first_page_by_page,
    s3_13_popular_is_by_rating_then_reviews,
    s3_13_popular_has_pages,
];

async fn s3_10_lists_movies_newest_first_page_by_page(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    assert_eq!(plaza.get("/api/movies").await.expect(200), &json!([]));
    for number in 0..5 {
        plaza.movie(&movie(&format!("M{number}"))).await;
    }
    let all = plaza.get("/api/movies").await;
    assert_eq!(titles(all.expect(200)), ["M4", "M3", "M2", "M1", "M0"]);
    let members = all.json[0].as_object().unwrap();
    for member in [
        "id",
        "title",
        "description",
        "rating",
        "genre",
        "poster_url",
        "release_date",
        "kind",
        "review_count",
        "review_rating",
    ] {
        assert!(members.contains_key(member), "{member}");
    }
    let (mut seen, mut path) = (Vec::new(), "/api/movies?limit=2".to_owned());
    for page in 0.. {
        assert!(page < 3, "pages without end");
        let reply = plaza.get(&path).await;
        seen.extend(titles(reply.expect(200)));
        match next(&reply) {
            Some(next) => path = next,
            None => break,
        }
    }
    assert_eq!(seen, ["M4", "M3", "M2", "M1", "M0"]);
}

async fn s3_13_popular_is_by_rating_then_reviews(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    for (title, rating) in [
        ("seven", 7.0),
        ("nine", 9.0),
        ("read", 8.0),
        ("unread", 8.0),
    ] {
        let id = plaza.movie(&rated(title, rating, "Drama")).await;
        if title == "read" {
            plaza.review(BEN, id, 1.0).await;
        }
    }
    let popular = ["nine", "read", "unread", "seven"];
    let (message, listed) = plaza.titles("/api/movies/popular").await;
    assert_eq!(
        (message.as_str(), listed),
        (FROM_DATABASE, popular.map(str::to_owned).to_vec())
    );
    let (message, listed) = plaza.titles("/api/movies/popular").await;
    assert_eq!(
        (message.as_str(), listed),
        (FROM_CACHE, popular.map(str::to_owned).to_vec())
    );
}

async fn s3_13_popular_has_pages(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    for number in 0..7 {
        let rating = f64::from(number % 3);
        let id = plaza
            .movie(&rated(&format!("M{number}"), rating, "Drama"))
            .await;
        if number % 2 == 0 {
            plaza.review(BEN, id, 5.0).await;
        }
    }
    let (_, whole) = plaza.titles("/api/movies/popular").await;
    assert_eq!(whole, ["M2", "M5", "M4", "M1", "M6", "M0", "M3"]);
    for round in 0..2 {
        let (mut seen, mut path) = (Vec::new(), "/api/movies/popular?limit=3".to_owned());
        for page in 0.. {
            assert!(page < 3, "pages without end");
            let reply = plaza.get(&path).await;
            seen.extend(titles(&reply.expect(200)["data"]));
            let from = [FROM_DATABASE, FROM_CACHE][round];
            assert_eq!(
                reply.json["message"], from,
                "the link is cached with its page"
            );
            match next(&reply) {
                Some(next) => path = next,
                None => break,
            }
        }
        assert_eq!(seen, whole);
    }
    for bad in ["limit=0", "limit=x", "cursor=forged", "cursor=MQ"] {
        plaza
            .get(&format!("/api/movies/popular?{bad}"))
            .await
            .problem(400);
    }
}
