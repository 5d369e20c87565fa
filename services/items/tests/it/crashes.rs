//! `kill -9` in the middle of a purchase: it happened whole, with its event, or not at all.

use messaging::{
    Broker, Consumer, declared,
    documents::BEFORE_INSERT,
    events::{ItemAdded, ItemBought},
    failpoint,
};
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{PATIENCE, eventually, stores};
use tokio::{sync::mpsc::unbounded_channel, time::timeout};

use crate::{
    helpers::{ANNA, BEN, Backend, CARA, Plaza},
    on_each_store,
};

on_each_store!(
    d26_who_dies_before_the_sale_has_sold_nothing,
    d26_who_dies_after_the_sale_has_sold_and_the_event_comes,
);

/// Begins a purchase in an instance that never gets further than `step`, which is then gone.
async fn dies_at(plaza: &Plaza, path: &str, step: &'static str) {
    let dying = plaza.another().await;
    let reached = dying.service.service.broker().failpoints().stop_at(step);
    let request = dying
        .service
        .request(Method::POST, &path.replace("item", "buy"));
    let buying = request.bearer_auth(dying.token(BEN)).send();
    let buying = tokio::spawn(buying);
    let reached = timeout(PATIENCE, reached.notified()).await;
    reached.expect("the step");
    buying.abort();
    // No farewell: nothing of it runs to its end, as after `kill -9`.
    std::mem::forget(dying);
}

async fn d26_who_dies_before_the_sale_has_sold_nothing(backend: Backend) {
    let url = stores::amqp();
    let plaza = Plaza::start_with(backend, &["--amqp-url", &url]).await;
    let path = plaza.offered(1).await;
    dies_at(&plaza, &path, BEFORE_INSERT).await;
    assert_eq!(plaza.left(&path).await, 1);
    plaza.buy(CARA, &path, &Value::Null).await.expect(200);
    plaza.buy(BEN, &path, &Value::Null).await.problem(409);
}

async fn d26_who_dies_after_the_sale_has_sold_and_the_event_comes(backend: Backend) {
    let url = stores::amqp();
    let plaza = Plaza::start_with(backend, &["--amqp-url", &url]).await;
    let settings = messaging::Settings {
        amqp_url: url.into(),
        messaging_failpoint: None,
    };
    let (sender, mut heard) = unbounded_channel();
    let added = sender.clone();
    let broker = Broker::new("probe", &settings, &plaza.service.context).unwrap();
    Consumer::new("all")
        .on::<ItemAdded, _, _>(move |event| {
            let _ = added.send(event.data.seller_id);
            async { Ok(()) }
        })
        .on::<ItemBought, _, _>(move |event| {
            let _ = sender.send(event.data.buyer_id);
            async { Ok(()) }
        })
        .start(&broker, &plaza.service.context)
        .await;
    declared(&broker, "probe.all", PATIENCE).await.unwrap();
    let path = plaza.offered(1).await;
    let told = timeout(PATIENCE, heard.recv()).await;
    assert_eq!(told.expect("the listener is there"), Some(ANNA));
    dies_at(&plaza, &path, failpoint::BEFORE_PUBLISH).await;

    eventually("the sale", || async {
        match plaza.left(&path).await {
            0 => Ok(()),
            left => Err(format!("{left} left")),
        }
    })
    .await;
    let refused = plaza.buy(CARA, &path, &json!({})).await;
    assert_eq!(refused.problem(409), "The item is sold out");
    let told = timeout(PATIENCE, heard.recv()).await;
    assert_eq!(told.expect("the event"), Some(BEN));
}
