//! What `movies` tells other services, over the real broker.

use messaging::{Broker, Consumer, declared, events::MovieReviewed};
use reqwest::Method;
use serde_json::json;
use testkit::{PATIENCE, stores};
use tokio::sync::mpsc::unbounded_channel;

use crate::helpers::{ANNA, BEN, Backend, Plaza, movie};

crate::on_each_store![d22_a_new_review_is_told_once];

async fn d22_a_new_review_is_told_once(backend: Backend) {
    let url = stores::amqp();
    let plaza = Plaza::start_with(backend, &["--amqp-url", &url]).await;
    let settings = messaging::Settings {
        amqp_url: url.into(),
        messaging_failpoint: None,
    };
    let broker = Broker::new("probe", &settings, &plaza.service.context).unwrap();
    let (sender, mut heard) = unbounded_channel();
    let consumer = Consumer::new("all").on::<MovieReviewed, _, _>(move |event| {
        let _ = sender.send((event.source.clone(), event.data));
        async { Ok(()) }
    });
    consumer.start(&broker, &plaza.service.context).await;
    declared(&broker, "probe.all", PATIENCE).await.unwrap();

    let movie_id = plaza.movie(&movie("Alien")).await;
    let path = format!("/api/movies/{movie_id}/reviews");
    let review = json!({"title": "Loud", "body": "", "rating": 7});
    let mut expected = Vec::new();
    for who in [BEN, ANNA] {
        let reply = plaza.post(who, &path, &review).await;
        let review_id = reply.expect(201)["id"].as_i64().unwrap();
        expected.push(MovieReviewed {
            movie_id,
            review_id,
            user_id: who.0,
            title: "Loud".into(),
        });
        plaza.post(who, &path, &review).await.problem(409);
        let path = format!("{path}/{review_id}");
        plaza
            .call(who, Method::PUT, &path, &review)
            .await
            .expect(200);
    }
    for event in expected {
        let told = tokio::time::timeout(PATIENCE, heard.recv()).await;
        let (source, data) = told.unwrap().unwrap();
        assert_eq!((source.as_str(), data), ("/movies", event));
    }
    assert!(heard.try_recv().is_err(), "nothing was told twice");
}
