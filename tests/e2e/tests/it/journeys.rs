//! Claim (S4-24): what a person does with the market works from end to end: registration, item
//! management, purchase with its mails.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{
    Mesh, eventually,
    mesh::{PASSWORD, Person},
    send, unique,
};

/// The mails to an address, as the mail catcher shows them.
async fn mails(address: &str) -> Vec<Value> {
    let page = Mesh::current().address("mail_page");
    let request = testkit::mesh::client().get(format!("{page}/api/mails"));
    let found = send(request.query(&[("to", address)])).await;
    found.expect(200).as_array().unwrap().clone()
}

/// Waits until these are the subjects of the mails to a person, in any order.
async fn mailed(person: &Person, mut subjects: Vec<String>) {
    subjects.sort_unstable();
    eventually("the mails, once each", || async {
        let mails = mails(&person.email).await;
        let found = mails.iter().filter_map(|mail| mail["subject"].as_str());
        let mut found: Vec<&str> = found.collect();
        found.sort_unstable();
        if found == subjects {
            Ok(())
        } else {
            Err(format!("{found:?} and not {subjects:?}"))
        }
    })
    .await;
}

/// A person's orders, newest first.
async fn orders(person: &Person) -> Vec<Value> {
    let mesh = Mesh::current();
    let list = mesh.call(Method::GET, "/orders/", &person.token, &Value::Null);
    list.await.expect(200).as_array().unwrap().clone()
}

#[tokio::test]
async fn s4_24_registration_from_account_to_token() {
    let mesh = Mesh::current();
    let username = unique("j");
    let email = format!("{username}@example.com");
    let account = json!({"username": username, "email": email, "password": PASSWORD});
    let register = || mesh.call(Method::POST, "/auth/register", "", &account);
    register().await.expect(201);
    register().await.problem(409);

    let wrong = json!({"username": username, "password": "not the password"});
    let refused = mesh.call(Method::POST, "/auth/login", "", &wrong).await;
    refused.problem(401);
    let login = json!({"username": username, "password": PASSWORD});
    let entered = mesh.call(Method::POST, "/auth/login", "", &login).await;
    let token = entered.expect(200)["access_token"].as_str().unwrap();

    let validate = |token: String| async move {
        mesh.call(Method::GET, "/auth/validate", &token, &Value::Null)
            .await
    };
    let valid = validate(token.to_owned()).await;
    let told = valid.expect(200);
    assert_eq!(
        (&told["valid"], &told["username"]),
        (&json!(true), &json!(username))
    );
    validate("a.b.c".to_owned()).await.problem(401);
}

#[tokio::test]
async fn s4_24_item_management_from_offer_to_removal() {
    let mesh = Mesh::current();
    let (seller, other) = (mesh.person().await, mesh.person().await);
    let name = unique("Lamp ");
    let body = json!({"name": name, "description": "Bright", "price": 19.99, "quantity": 3});
    mesh.call(Method::POST, "/item", "", &body)
        .await
        .problem(401);
    let created = mesh.call(Method::POST, "/item", &seller.token, &body).await;
    let item = created.expect(201)["item"].clone();
    let path = format!("/item/{}", item["id"]);
    let listed = mesh.get("/item?limit=200").await;
    assert!(listed.expect(200).as_array().unwrap().contains(&item));

    let change = json!({"name": name, "price": 24.5, "quantity": 2});
    let foreign = mesh.call(Method::PUT, &path, &other.token, &change).await;
    foreign.problem(403);
    mesh.call(Method::DELETE, &path, &other.token, &Value::Null)
        .await
        .problem(403);
    assert_eq!(mesh.get(&path).await.expect(200), &item);

    let changed = mesh.call(Method::PUT, &path, &seller.token, &change).await;
    changed.expect(200);
    let shown = mesh.get(&path).await;
    let shown = shown.expect(200);
    assert_eq!(
        (&shown["price"], &shown["quantity"]),
        (&json!(24.5), &json!(2))
    );
    mesh.call(Method::DELETE, &path, &seller.token, &Value::Null)
        .await
        .expect(200);
    mesh.get(&path).await.problem(404);
    mailed(&seller, vec![format!("Your item is on offer: {name}")]).await;
}

#[tokio::test]
async fn s4_24_purchase_from_order_to_mails() {
    let mesh = Mesh::current();
    let (seller, buyer) = (mesh.person().await, mesh.person().await);
    let name = unique("Lamp ");
    let body = json!({"name": name, "price": 19.99, "quantity": 2});
    let created = mesh.call(Method::POST, "/item", &seller.token, &body).await;
    let id = created.expect(201)["item"]["id"].clone();
    let path = format!("/buy/{id}");
    let wanted = json!({"quantity": 2});
    let own = mesh.call(Method::POST, &path, &seller.token, &wanted).await;
    own.problem(403);
    let bought = mesh.call(Method::POST, &path, &buyer.token, &wanted).await;
    let order = bought.expect(200)["order_id"].clone();
    let late = mesh.call(Method::POST, &path, &buyer.token, &wanted).await;
    late.problem(409);

    let listed = eventually("the order is listed", || async {
        let listed = orders(&buyer).await;
        let there = listed.iter().any(|listed| listed["id"] == order);
        there.then_some(listed.clone()).ok_or(format!("{listed:?}"))
    })
    .await;
    assert_eq!(listed.len(), 1, "{listed:?}");
    let told = [
        &listed[0]["item_id"],
        &listed[0]["quantity"],
        &listed[0]["total"],
    ];
    assert_eq!(told, [&id, &json!(2), &json!(39.98)]);
    assert!(orders(&seller).await.is_empty(), "the buyer's alone");

    let offer = format!("Your item is on offer: {name}");
    mailed(&seller, vec![offer, format!("You sold 2 × {name}")]).await;
    mailed(&buyer, vec![format!("You bought 2 × {name}")]).await;
}

#[tokio::test]
async fn s1_18_an_order_of_the_shop_is_notified_once() {
    let mesh = Mesh::current();
    let (shop, customer) = (mesh.person().await, mesh.person().await);
    let product = json!({"name": unique("Mug "), "description": "A mug", "price": 5});
    let created = mesh.call(Method::POST, "/products/", &shop.token, &product);
    let id = created.await.expect(201)["product"]["id"].clone();
    let order = json!({"product_id": id, "quantity": 1});
    mesh.call(Method::POST, "/orders/", &customer.token, &order)
        .await
        .expect(201);
    mailed(&customer, vec!["Your order has been processed!".into()]).await;
}

#[tokio::test]
async fn s1_18_a_registration_is_noted_and_not_mailed() {
    let mesh = Mesh::current();
    let newcomer = mesh.person().await;
    let notes = eventually("the note", || async {
        let own = mesh.call(Method::GET, "/notifications", &newcomer.token, &Value::Null);
        let own = own.await;
        let notes = own.expect(200).as_array().unwrap().clone();
        (!notes.is_empty()).then_some(notes).ok_or(own.text)
    })
    .await;
    assert_eq!(notes.len(), 1, "{notes:?}");
    let subject = format!("Welcome to Plaza, {}", newcomer.username);
    assert_eq!(
        (&notes[0]["type"], &notes[0]["status"], &notes[0]["subject"]),
        (&json!("note"), &json!("sent"), &json!(subject))
    );
    assert!(mails(&newcomer.email).await.is_empty());
}
