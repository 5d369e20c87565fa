//! What is bought in the market appears among the orders, and orders are told (S1-18).

use std::sync::{Arc, Mutex};

use messaging::{
    Broker, Consumer, Outbox, Received, declared,
    events::{ItemBought, OrderPlaced},
};
use orders::Orders;
use sea_orm_migration::{MigrationTrait, MigratorTrait, async_trait::async_trait};
use serde_json::{Value, json};
use testkit::{PATIENCE, TestService, eventually, stores::Sql};
use uuid::Uuid;

use crate::{Shop, start};

testkit::on_each_store![
    d14_a_purchase_in_the_market_is_listed_once,
    s1_18_an_order_is_told_once,
    a_purchase_whose_id_is_an_order_is_listed_beside_it,
];

struct Events;

#[async_trait]
impl MigratorTrait for Events {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(messaging::outbox::Migration)]
    }
}

fn broker(name: &'static str, orders: &TestService<Orders>, amqp: &str) -> Broker {
    let settings = messaging::Settings {
        amqp_url: amqp.into(),
        messaging_failpoint: None,
    };
    Broker::new(name, &settings, &orders.context).unwrap()
}

async fn tell(connection: &chassis::sql::Database, outbox: &Outbox, event: &ItemBought) {
    let transaction = connection.begin().await.unwrap();
    outbox.insert(&transaction, event).await.unwrap();
    outbox.commit(transaction).await.unwrap();
}

/// The market's outbox.
async fn market(shop: &Shop) -> (chassis::sql::Database, Outbox) {
    let broker = broker("items", &shop.orders, &shop.amqp);
    let context = &shop.orders.context;
    let connection = chassis::sql::connect::<Events>(context, None, "items.db").await;
    let connection = connection.unwrap();
    let outbox = Outbox::start(&broker, &connection, context);
    (connection, outbox)
}

fn purchase(order_id: String) -> ItemBought {
    ItemBought {
        order_id,
        item_id: 3,
        name: "Chair".into(),
        quantity: 2,
        total_cents: 2050,
        seller_id: 1,
        buyer_id: 7,
        bought_at: "2026-01-02T03:04:05Z".into(),
    }
}

async fn listed(shop: &Shop, count: usize) -> Vec<Value> {
    eventually("all are listed", || async {
        let reply = shop.get(7, "/orders/").await;
        match reply.expect(200).as_array() {
            Some(list) if list.len() >= count => Ok(list.clone()),
            other => Err(format!("{other:?}")),
        }
    })
    .await
}

async fn a_purchase_whose_id_is_an_order_is_listed_beside_it(store: Sql) {
    let shop = start(store).await;
    let (connection, outbox) = market(&shop).await;
    let lamp = shop.product(&json!(1)).await;
    let made = shop.order(7, lamp, &json!(1)).await;
    let id = made.expect(201)["order"]["id"].as_str().unwrap().to_owned();
    // As the version before told it, whose ids followed from the key alone.
    let bought = purchase(id.clone());
    tell(&connection, &outbox, &bought).await;
    tell(&connection, &outbox, &bought).await;
    tell(&connection, &outbox, &purchase(Uuid::now_v7().to_string())).await;
    let list = listed(&shop, 3).await;
    assert_eq!(list.len(), 3, "{list:?}");
    let ids = list.iter().map(|order| order["id"].as_str().unwrap());
    assert_eq!(ids.filter(|listed| listed.starts_with(&id)).count(), 2);
}

async fn d14_a_purchase_in_the_market_is_listed_once(store: Sql) {
    let shop = start(store).await;
    let (connection, outbox) = market(&shop).await;
    let bought = purchase(Uuid::now_v7().to_string());
    // Two events of one purchase, as a publisher that died at the wrong moment would send.
    tell(&connection, &outbox, &bought).await;
    tell(&connection, &outbox, &bought).await;
    let last = ItemBought {
        order_id: Uuid::now_v7().to_string(),
        bought_at: "2026-01-02T03:04:06Z".into(),
        ..bought.clone()
    };
    tell(&connection, &outbox, &last).await;
    let list = listed(&shop, 2).await;
    let ids: Vec<_> = list.iter().map(|order| order["id"].clone()).collect();
    assert_eq!(ids, [json!(last.order_id), json!(bought.order_id)]);
    assert_eq!(
        (&list[1]["item_id"], &list[1]["total"]),
        (&json!(3), &json!(20.5))
    );
    let path = format!("/orders/{}", bought.order_id);
    assert_eq!(shop.get(7, &path).await.expect(200), &list[1]);
    shop.get(8, &path).await.problem(404);
}

async fn s1_18_an_order_is_told_once(store: Sql) {
    let shop = start(store).await;
    let broker = broker("listener", &shop.orders, &shop.amqp);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&heard);
    let consumer = Consumer::new("orders").on(move |event: Received<OrderPlaced>| {
        hears.lock().unwrap().push(event.data);
        std::future::ready(Ok(()))
    });
    consumer.start(&broker, &shop.orders.context).await;
    let queue = declared(&broker, "listener.orders", PATIENCE).await;
    queue.unwrap();
    let lamp = shop.product(&json!(2.5)).await;
    let made = shop.order(7, lamp, &json!(2)).await;
    let id = made.expect(201)["order"]["id"].clone();
    let told = eventually("the order is told", || async {
        match heard.lock().unwrap().first().cloned() {
            Some(told) => Ok(told),
            None => Err("not yet".into()),
        }
    })
    .await;
    assert_eq!(json!(told.order_id), id);
    assert_eq!((told.user_id, told.total_cents, told.quantity), (7, 500, 2));
}
