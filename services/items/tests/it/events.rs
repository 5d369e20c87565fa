//! What `items` tells other services, over the real broker.

use std::fmt::Debug;

use messaging::{
    Broker, Consumer, Event, declared,
    events::{ItemAdded, ItemBought},
};
use serde_json::{Value, json};
use testkit::{PATIENCE, stores};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::{
    helpers::{ANNA, BEN, Backend, Plaza},
    on_each_store,
};

on_each_store!(
    s4_12_what_is_added_and_bought_is_told_once,
    s4_17_what_does_not_happen_is_not_told,
);

/// Sends on what a consumer gets.
fn on<E: Event + Debug>(consumer: Consumer, sender: &UnboundedSender<String>) -> Consumer {
    let sender = sender.clone();
    consumer.on::<E, _, _>(move |event| {
        let told = format!("{} {:?}", event.source, event.data);
        let _ = sender.send(told);
        async { Ok(()) }
    })
}

/// A service that publishes, and what a listener hears of it.
async fn listened_to(backend: Backend) -> (Plaza, UnboundedReceiver<String>) {
    let url = stores::amqp();
    let plaza = Plaza::start_with(backend, &["--amqp-url", &url]).await;
    let settings = messaging::Settings {
        amqp_url: url.into(),
        messaging_failpoint: None,
    };
    let context = &plaza.service.context;
    let broker = Broker::new("probe", &settings, context).unwrap();
    let (sender, heard) = unbounded_channel();
    let consumer = on::<ItemAdded>(Consumer::new("all"), &sender);
    on::<ItemBought>(consumer, &sender)
        .start(&broker, context)
        .await;
    declared(&broker, "probe.all", PATIENCE).await.unwrap();
    (plaza, heard)
}

async fn s4_12_what_is_added_and_bought_is_told_once(backend: Backend) {
    let (plaza, mut heard) = listened_to(backend).await;
    let path = plaza.offered(3).await;
    let added = ItemAdded {
        item_id: 1,
        name: "Lamp".into(),
        seller_id: ANNA,
        price_cents: 1999,
    };
    assert_eq!(heard.recv().await, Some(format!("/items {added:?}")));

    let bought = plaza.buy(BEN, &path, &json!({ "quantity": 3 })).await;
    let order_id = bought.expect(200)["order_id"].as_str().unwrap();
    let event = heard.recv().await.unwrap();
    for part in [
        format!("order_id: {order_id:?}"),
        "item_id: 1, name: \"Lamp\", quantity: 3, total_cents: 5997".to_owned(),
        format!("seller_id: {ANNA}, buyer_id: {BEN}, bought_at: \"2"),
    ] {
        assert!(event.contains(&part), "{event}");
    }
}

async fn s4_17_what_does_not_happen_is_not_told(backend: Backend) {
    let (plaza, mut heard) = listened_to(backend).await;
    let path = plaza.offered(0).await;
    let event = heard.recv().await.unwrap();
    assert!(event.contains("ItemAdded { item_id: 1"), "{event}");
    plaza.buy(BEN, &path, &Value::Null).await.problem(409);
    plaza.buy(ANNA, &path, &Value::Null).await.problem(403);
    // The next event is that of the next item.
    plaza.offered(1).await;
    let event = heard.recv().await.unwrap();
    assert!(event.contains("ItemAdded { item_id: 2"), "{event}");
}
