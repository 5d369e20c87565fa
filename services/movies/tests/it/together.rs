//! Many at once, through two instances.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Reply, eventually};

use crate::helpers::{ANNA, BEN, Backend, Plaza, movie};

crate::on_each_store![
    d22_of_reviews_at_the_same_time_one_wins,
    d22_number_and_mean_are_those_of_the_reviews_whatever_happens_at_once,
    d22_a_movie_that_goes_takes_its_reviews_along,
];

/// Asks as a good client does: again where the store was too busy to do anything.
async fn ask(plaza: &Plaza, who: Who, method: Method, path: &str, body: &Value) -> Reply {
    eventually("an answer", || async {
        match plaza.call(who, method.clone(), path, body).await {
            busy if busy.status == 503 => Err(busy.text),
            reply => Ok(reply),
        }
    })
    .await
}

type Who = (i64, &'static str);

async fn d22_of_reviews_at_the_same_time_one_wins(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let other = plaza.another().await;
    let movie = plaza.movie(&movie("Alien")).await;
    let path = format!("/api/movies/{movie}/reviews");
    let body = json!({"title": "First", "rating": 4});
    let attempts = (0..20).map(|number| {
        let instance = [&plaza, &other][number % 2];
        ask(instance, BEN, Method::POST, &path, &body)
    });
    let mut statuses = BTreeMap::new();
    for reply in join_all(attempts).await {
        *statuses.entry(reply.status).or_insert(0) += 1;
    }
    assert_eq!(statuses, BTreeMap::from([(201, 1), (409, 19)]));
    let shown = plaza.get(&format!("/api/movies/{movie}")).await;
    assert_eq!(shown.json["review_count"], 1);
}

async fn d22_number_and_mean_are_those_of_the_reviews_whatever_happens_at_once(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let other = plaza.another().await;
    let movie = plaza.movie(&movie("Alien")).await;
    let list = format!("/api/movies/{movie}/reviews");
    let people = (0..24).map(|number: i64| {
        let (instance, another) =
            [(&plaza, &other), (&other, &plaza)][usize::from(number % 2 == 0)];
        let (list, who) = (&list, (100 + number, "somebody"));
        async move {
            let rating = |plus: i64| json!({"title": "T", "rating": (number + plus) % 11});
            let created = ask(instance, who, Method::POST, list, &rating(0)).await;
            let path = format!("{list}/{}", created.expect(201)["id"]);
            // The same review changed twice at once: what is subtracted must be what was added.
            let (one, two) = (rating(3), rating(5));
            let changes = [
                ask(instance, who, Method::PUT, &path, &one),
                ask(another, who, Method::PUT, &path, &two),
            ];
            for changed in join_all(changes).await {
                changed.expect(200);
            }
            if number % 3 == 0 {
                let nothing = Value::Null;
                let deletions = [
                    ask(instance, who, Method::DELETE, &path, &nothing),
                    ask(another, who, Method::DELETE, &path, &nothing),
                ];
                let mut statuses: Vec<u16> = join_all(deletions)
                    .await
                    .iter()
                    .map(|reply| reply.status)
                    .collect();
                statuses.sort_unstable();
                assert_eq!(statuses, [200, 404]);
            }
        }
    });
    join_all(people).await;
    let reviews = plaza.get(&list).await;
    let ratings: Vec<f64> = reviews
        .expect(200)
        .as_array()
        .unwrap()
        .iter()
        .map(|review| review["rating"].as_f64().unwrap())
        .collect();
    assert_eq!(ratings.len(), 16);
    let mean = (ratings.iter().sum::<f64>() / 16.0 * 100.0).round() / 100.0;
    let shown = plaza.get(&format!("/api/movies/{movie}")).await;
    assert_eq!(
        (&shown.json["review_count"], &shown.json["review_rating"]),
        (&json!(16), &json!(mean))
    );
}

async fn d22_a_movie_that_goes_takes_its_reviews_along(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let other = plaza.another().await;
    for _ in 0..5 {
        let movie = plaza.movie(&movie("Alien")).await;
        let (path, list) = (
            format!("/api/movies/{movie}"),
            format!("/api/movies/{movie}/reviews"),
        );
        let body = json!({"title": "T", "rating": 4});
        let (written, deleted) =
            tokio::join!(other.post(BEN, &list, &body), plaza.delete(ANNA, &path));
        assert!([201, 404].contains(&written.status), "{}", written.text);
        deleted.expect(200);
        plaza.get(&list).await.problem(404);
        other.post(BEN, &list, &body).await.problem(404);
    }
}
