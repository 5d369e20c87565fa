//! Claim: what a client of the shop sends, request by request, is answered through the ingress as it expects.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Mesh, unique};

/// Registers and logs in by the doors of this product; the name and the token, which its writes need here.
async fn customer() -> (String, String) {
    let mesh = Mesh::current();
    let username = unique("exampleUser");
    let email = format!("{username}@example.com");
    let body = json!({"username": username, "email": email, "password": "securepassword"});
    let made = mesh.call(Method::POST, "/users/register", "", &body).await;
    assert_eq!(made.expect(201)["message"], "User registered successfully");
    assert_eq!(made.json["user"]["username"], username.as_str());
    let body = json!({"username": username, "password": "securepassword"});
    let entered = mesh.call(Method::POST, "/users/login", "", &body).await;
    assert_eq!(entered.expect(200)["user"], made.json["user"]);
    let wrong = json!({"username": username, "password": "wrong password"});
    mesh.call(Method::POST, "/users/login", "", &wrong)
        .await
        .problem(401);
    let token = entered.json["access_token"].as_str().unwrap();
    (username.clone(), token.to_owned())
}

#[tokio::test]
async fn a_product_is_added_and_listed_and_an_order_is_told_of() {
    let mesh = Mesh::current();
    let (username, token) = customer().await;
    let name = unique("Product Name ");
    let body =
        json!({"name": name, "description": "A brief description of the product", "price": 19.99});
    let made = mesh.call(Method::POST, "/products/", &token, &body).await;
    assert_eq!(made.expect(201)["message"], "Product created successfully");
    let listed = mesh.get("/products/").await;
    let listed = listed.expect(200).as_array().unwrap();
    let product = listed
        .iter()
        .find(|product| product["name"] == name.as_str())
        .unwrap();
    assert_eq!(product, &made.json["product"]);
    assert_eq!(product["price"], json!(19.99));
    let order = json!({"product_id": product["id"], "quantity": 2});
    let ordered = mesh.call(Method::POST, "/orders/", &token, &order).await;
    assert_eq!(ordered.expect(201)["order"]["total"], json!(39.98));
    let recipient = format!("{username}@example.com");
    for kind in ["email", "sms"] {
        let recipient = if kind == "email" {
            recipient.as_str()
        } else {
            "+491701234567"
        };
        let body = json!({"type": kind, "recipient": recipient, "message": "Your order has been processed!"});
        let sent = mesh
            .call(Method::POST, "/notifications/send", &token, &body)
            .await;
        let said = sent.expect(202)["message"].as_str().unwrap();
        assert!(
            said.ends_with(&format!("notification sent to {recipient}")),
            "{said}"
        );
    }
    let anonymous = mesh.call(Method::POST, "/products/", "", &body).await;
    anonymous.problem(401);
    let orders = mesh
        .call(Method::GET, "/orders/", &token, &Value::Null)
        .await;
    assert_eq!(orders.expect(200).as_array().unwrap().len(), 1);
}
