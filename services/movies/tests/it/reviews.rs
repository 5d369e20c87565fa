//! Reviews (D22).

use serde_json::{Value, json};

use crate::helpers::{ANNA, BEN, Backend, Plaza, movie, next};

crate::on_each_store![
    s3_43_a_review_is_written_and_listed,
    d22_one_review_a_person_and_movie,
    d22_its_author_changes_and_deletes_it,
    d22_the_movie_tells_number_and_mean,
    d22_reviews_have_pages,
    d22_reviews_of_another_movie_are_not_here,
    d6_only_its_author_writes_a_review,
];

async fn shown(plaza: &Plaza, movie: i64) -> (Value, Value) {
    let reply = plaza.get(&format!("/api/movies/{movie}")).await;
    let shown = reply.expect(200);
    (
        shown["review_count"].clone(),
        shown["review_rating"].clone(),
    )
}

async fn s3_43_a_review_is_written_and_listed(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let movie = plaza.movie(&movie("Alien")).await;
    let path = format!("/api/movies/{movie}/reviews");
    let body = json!({"title": "Loud", "body": "In space?", "rating": 7.25, "user_id": 1});
    let reply = plaza.post(BEN, &path, &body).await;
    let id = reply.expect(201)["id"].as_i64().unwrap();
    assert_eq!(reply.json, json!({"message": "Review created", "id": id}));
    assert_eq!(reply.header("location"), format!("{path}/{id}"));
    let list = plaza.get(&path).await;
    let mut review = list.expect(200)[0].clone();
    for time in ["created_at", "updated_at"] {
        let time = review.as_object_mut().unwrap().remove(time).unwrap();
        assert!(time.as_str().unwrap().ends_with('Z'));
    }
    assert_eq!(
        review,
        json!({
            "id": id, "movie_id": movie, "user_id": BEN.0, "username": BEN.1,
            "title": "Loud", "body": "In space?", "rating": 7.25,
        })
    );
    for path in ["/api/movies/999/reviews", "/api/movies/999/reviews/"] {
        assert_eq!(plaza.get(path).await.problem(404), "Movie not found");
        let refused = plaza.post(BEN, path, &body).await;
        assert_eq!(refused.problem(404), "Movie not found");
    }
}

async fn d22_one_review_a_person_and_movie(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let (first, second) = (
        plaza.movie(&movie("A")).await,
        plaza.movie(&movie("B")).await,
    );
    plaza.review(BEN, first, 7.0).await;
    let path = format!("/api/movies/{first}/reviews");
    let again = json!({"title": "Again", "rating": 1});
    plaza.post(BEN, &path, &again).await.problem(409);
    assert_eq!(shown(&plaza, first).await, (json!(1), json!(7.0)));
    plaza.review(BEN, second, 5.0).await;
    plaza.review(ANNA, first, 6.0).await;
    assert_eq!(shown(&plaza, first).await, (json!(2), json!(6.5)));
}

async fn d22_its_author_changes_and_deletes_it(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let movie = plaza.movie(&movie("Alien")).await;
    let review = plaza.review(BEN, movie, 7.0).await;
    let list = format!("/api/movies/{movie}/reviews");
    let path = format!("{list}/{review}");
    let change = json!({"title": "Better", "rating": 9});
    let reply = plaza.put(BEN, &path, &change).await;
    assert_eq!(
        reply.expect(200),
        &json!({"message": "Review updated successfully"})
    );
    let listed = plaza.get(&list).await;
    let listed = &listed.expect(200)[0];
    assert_eq!(
        (&listed["title"], &listed["body"], &listed["rating"]),
        (&json!("Better"), &json!("It has an end."), &json!(9.0))
    );
    assert_ne!(listed["created_at"], listed["updated_at"]);
    assert_eq!(shown(&plaza, movie).await, (json!(1), json!(9.0)));
    let reply = plaza.delete(BEN, &path).await;
    assert_eq!(
        reply.expect(200),
        &json!({"message": "Review deleted successfully"})
    );
    assert_eq!(plaza.get(&list).await.expect(200), &json!([]));
    assert_eq!(shown(&plaza, movie).await, (json!(0), Value::Null));
    plaza.delete(BEN, &path).await.problem(404);
    let gone = plaza.put(BEN, &path, &change).await;
    assert_eq!(gone.problem(404), "Review not found");
    plaza.review(BEN, movie, 3.0).await;
}

async fn d22_the_movie_tells_number_and_mean(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let movie = plaza.movie(&movie("Alien")).await;
    for (person, rating) in [(10, 10.0), (11, 5.0), (12, 5.0)] {
        plaza.review((person, "somebody"), movie, rating).await;
    }
    assert_eq!(shown(&plaza, movie).await, (json!(3), json!(6.67)));
}

async fn d22_reviews_have_pages(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let movie = plaza.movie(&movie("Alien")).await;
    let mut ids = Vec::new();
    for person in 10..15 {
        ids.push(plaza.review((person, "somebody"), movie, 5.0).await);
    }
    ids.reverse();
    for _ in ["from the store", "from the cache"] {
        let (mut seen, mut path) = (Vec::new(), format!("/api/movies/{movie}/reviews?limit=2"));
        for page in 0.. {
            assert!(page < 3, "pages without end");
            let reply = plaza.get(&path).await;
            let reviews = reply.expect(200).as_array().unwrap().clone();
            seen.extend(reviews.iter().map(|review| review["id"].as_i64().unwrap()));
            match next(&reply) {
                Some(next) => path = next,
                None => break,
            }
        }
        assert_eq!(seen, ids, "newest first, each once");
    }
}

async fn d22_reviews_of_another_movie_are_not_here(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let (one, other) = (
        plaza.movie(&movie("A")).await,
        plaza.movie(&movie("B")).await,
    );
    let review = plaza.review(BEN, one, 7.0).await;
    let path = format!("/api/movies/{other}/reviews");
    assert_eq!(plaza.get(&path).await.expect(200), &json!([]));
    let path = format!("{path}/{review}");
    plaza.delete(BEN, &path).await.problem(404);
    assert_eq!(shown(&plaza, one).await.0, json!(1));
}

async fn d6_only_its_author_writes_a_review(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let movie = plaza.movie(&movie("Alien")).await;
    let review = plaza.review(BEN, movie, 7.0).await;
    let path = format!("/api/movies/{movie}/reviews/{review}");
    // Not even the one who entered the movie.
    plaza
        .put(ANNA, &path, &json!({"title": "No", "rating": 0}))
        .await
        .problem(403);
    plaza.delete(ANNA, &path).await.problem(403);
    assert_eq!(shown(&plaza, movie).await, (json!(1), json!(7.0)));
}
