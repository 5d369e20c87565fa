//! `orders` on each store, with the real `products` and a real broker.

#![recursion_limit = "256"]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use orders::Orders;
use products::Products;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Reply, TestService, stores, stores::Sql};

mod cursors;
mod kept;
mod orders_of_the_shop;
mod purchases;

/// The service, and the one that it asks.
struct Shop {
    orders: TestService<Orders>,
    products: TestService<Products>,
    amqp: String,
}

async fn start(store: Sql) -> Shop {
    let products = TestService::<Products>::start(&[]).await;
    let amqp = stores::amqp();
    let mut flags = store.flags("--orders-database-url").await;
    let peer = format!("products=http://{}", products.address);
    flags.extend([
        "--upstream-urls".into(),
        peer,
        "--amqp-url".into(),
        amqp.clone(),
    ]);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    Shop {
        orders: TestService::start(&flags).await,
        products,
        amqp,
    }
}

impl Shop {
    async fn product(&self, price: &Value) -> i64 {
        let token = self.products.token(1, "seller");
        let body = json!({"name": "Lamp", "price": price});
        let path = "/products/";
        let created = self.products.call(Method::POST, path, &token, &body).await;
        created.expect(201)["product"]["id"].as_i64().unwrap()
    }

    async fn order(&self, person: i64, product_id: i64, quantity: &Value) -> Reply {
        let body = json!({"product_id": product_id, "quantity": quantity});
        self.post(person, &body).await
    }

    async fn post(&self, person: i64, body: &Value) -> Reply {
        let token = self.orders.token(person, "buyer");
        self.orders
            .call(Method::POST, "/orders/", &token, body)
            .await
    }

    async fn get(&self, person: i64, path: &str) -> Reply {
        let token = self.orders.token(person, "buyer");
        self.orders
            .call(Method::GET, path, &token, &Value::Null)
            .await
    }
}
