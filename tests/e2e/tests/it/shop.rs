//! Claim: every row of the contracts that `products` and `orders` answer holds through the ingress.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Mesh, mesh::Person, send, unique};

async fn create(owner: &Person, name: &str, price: &Value) -> Value {
    let body =
        json!({"name": name, "description": "A brief description of the product", "price": price});
    let reply = Mesh::current()
        .call(Method::POST, "/products/", &owner.token, &body)
        .await;
    let made = reply.expect(201);
    assert_eq!(made["message"], "Product created successfully");
    made["product"].clone()
}

async fn order(buyer: &Person, body: &Value) -> testkit::Reply {
    Mesh::current()
        .call(Method::POST, "/orders/", &buyer.token, body)
        .await
}

#[tokio::test]
async fn s1_03_products_are_listed_with_and_without_the_slash() {
    let mesh = Mesh::current();
    let ada = mesh.person().await;
    let name = unique("lamp ");
    let product = create(&ada, &name, &json!(19.99)).await;
    for path in ["/products/", "/products"] {
        let list = mesh.get(path).await;
        let found = list.expect(200).as_array().unwrap().contains(&product);
        assert!(found, "{path}: {}", list.text);
    }
}

#[tokio::test]
async fn s1_04_a_product_needs_a_token_and_has_an_exact_price() {
    let mesh = Mesh::current();
    let ada = mesh.person().await;
    let product = create(&ada, "Product Name", &json!(19.99)).await;
    assert_eq!(product["price"], json!(19.99));
    let body = json!({"name": "x", "price": 1});
    mesh.call(Method::POST, "/products/", "", &body)
        .await
        .problem(401);
    let fraction = json!({"name": "x", "price": 0.1 + 0.2});
    mesh.call(Method::POST, "/products/", &ada.token, &fraction)
        .await
        .problem(422);
}

#[tokio::test]
async fn d12_a_product_is_changed_and_removed_by_its_owner_alone() {
    let mesh = Mesh::current();
    let (ada, ben) = (mesh.person().await, mesh.person().await);
    let path = format!("/products/{}", create(&ada, "Lamp", &json!(1)).await["id"]);
    let change = json!({"name": "Lantern", "price": 2.5});
    mesh.call(Method::PUT, &path, &ben.token, &change)
        .await
        .problem(403);
    mesh.call(Method::DELETE, &path, &ben.token, &Value::Null)
        .await
        .problem(403);
    let changed = mesh.call(Method::PUT, &path, &ada.token, &change).await;
    assert_eq!(changed.expect(200)["product"]["price"], json!(2.5));
    assert_eq!(mesh.get(&path).await.expect(200)["name"], "Lantern");
    mesh.call(Method::DELETE, &path, &ada.token, &Value::Null)
        .await
        .expect(200);
    mesh.get(&path).await.problem(404);
}

#[tokio::test]
async fn d14_an_order_costs_what_the_product_costs() {
    let mesh = Mesh::current();
    let (ada, ben) = (mesh.person().await, mesh.person().await);
    let product = create(&ada, "Lamp", &json!(19.99)).await;
    let body = json!({"product_id": product["id"], "quantity": 3});
    let made = order(&ben, &body).await;
    let made = &made.expect(201)["order"];
    assert_eq!(
        (&made["total"], &made["quantity"]),
        (&json!(59.97), &json!(3))
    );
    let path = format!("/orders/{}", made["id"].as_str().unwrap());
    let own = mesh
        .call(Method::GET, &path, &ben.token, &Value::Null)
        .await;
    assert_eq!(own.expect(200), made);
    let list = mesh
        .call(Method::GET, "/orders/", &ben.token, &Value::Null)
        .await;
    assert_eq!(list.expect(200), &json!([made]));
    mesh.call(Method::GET, &path, &ada.token, &Value::Null)
        .await
        .problem(404);
    mesh.get("/orders/").await.problem(401);
    let missing = json!({"product_id": 999_999_999, "quantity": 1});
    order(&ben, &missing).await.problem(422);
}

#[tokio::test]
async fn d26_an_order_sent_twice_is_made_once() {
    let mesh = Mesh::current();
    let ada = mesh.person().await;
    let product = create(&ada, "Lamp", &json!(1)).await;
    let body = json!({"product_id": product["id"], "quantity": 1});
    let repeat = |body: &Value| {
        let request = mesh.request(Method::POST, "/orders/");
        let request = request.bearer_auth(&ada.token).json(body);
        send(request.header("idempotency-key", "once"))
    };
    let (first, again) = (repeat(&body).await, repeat(&body).await);
    assert_eq!(first.expect(201), again.expect(201));
    assert_eq!(again.header("idempotent-replayed"), "true");
    let other = json!({"product_id": product["id"], "quantity": 2});
    repeat(&other).await.problem(422);
    let list = mesh
        .call(Method::GET, "/orders/", &ada.token, &Value::Null)
        .await;
    assert_eq!(list.expect(200).as_array().unwrap().len(), 1);
}
