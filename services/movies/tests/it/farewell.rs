//! Who deletes their account leaves no review, and movies say so.

use serde_json::json;
use testkit::{Farewell, stores};

use crate::helpers::{ANNA, BEN, Backend, Plaza, movie};

crate::on_each_store![reviews_of_a_deleted_account_are_gone_and_movies_without_them];

async fn reviews_of_a_deleted_account_are_gone_and_movies_without_them(backend: Backend) {
    let amqp = stores::amqp();
    let redis = std::env::var("TEST_REDIS_URL").unwrap();
    let flags = ["--amqp-url", &amqp, "--redis-url", &redis];
    let plaza = Plaza::start_with(backend, &flags).await;
    let users = Farewell::to(&plaza.service, &amqp).await;
    let (alien, jaws) = (
        plaza.movie(&movie("Alien")).await,
        plaza.movie(&movie("Jaws")).await,
    );
    plaza.review(ANNA, alien, 2.0).await;
    plaza.review(BEN, alien, 8.0).await;
    plaza.review(ANNA, jaws, 9.0).await;
    plaza.titles("/api/movies/popular").await;

    for round in [1, 2] {
        users.deleted(ANNA.0, ANNA.1, round).await;
    }

    let shown = plaza.get(&format!("/api/movies/{alien}")).await;
    assert_eq!(shown.expect(200)["review_count"], 1);
    assert_eq!(shown.json["review_rating"], 8.0);
    // What she entered about a movie stays: it is about the movie.
    let shown = plaza.get(&format!("/api/movies/{jaws}")).await;
    assert_eq!(shown.expect(200)["review_count"], 0);
    let reviews = plaza.get(&format!("/api/movies/{jaws}/reviews")).await;
    assert_eq!(reviews.expect(200), &json!([]));
    let left = plaza.get(&format!("/api/movies/{alien}/reviews")).await;
    assert!(!left.text.contains(ANNA.1), "{}", left.text);
}
