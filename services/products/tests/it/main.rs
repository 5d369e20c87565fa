//! `products` over REST and gRPC, on each store.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use products::Products;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Reply, TestService, send, stores::Sql};

mod announced;
mod bad_input;
mod catalogue;
mod cursors;
mod kept;
mod objectives;

type Service = TestService<Products>;

async fn start(store: Sql) -> Service {
    let flags = store.flags("--products-database-url").await;
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    TestService::start(&flags).await
}

async fn call(service: &Service, person: i64, method: Method, path: &str, body: &Value) -> Reply {
    let token = service.token(person, "somebody");
    service.call(method, path, &token, body).await
}

fn draft(name: &str, price: &Value) -> Value {
    json!({"name": name, "description": "A brief description of the product", "price": price})
}

async fn create(service: &Service, person: i64, name: &str) -> i64 {
    let draft = draft(name, &json!(19.99));
    let created = call(service, person, Method::POST, "/products/", &draft).await;
    created.expect(201)["product"]["id"].as_i64().unwrap()
}

async fn repeat(service: &Service, key: &str, body: &Value) -> Reply {
    let request = service.request(Method::POST, "/products/");
    let request = request.bearer_auth(service.token(1, "somebody"));
    send(request.header("idempotency-key", key).json(body)).await
}
