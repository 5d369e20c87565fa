//! Claim: every row of the contracts that `notifications` answers holds through the ingress, and
//! mails arrive at the mail server of the mesh.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Mesh, Reply, eventually, mesh::Person, send, unique};

/// The mails to an address, as the mail catcher shows them.
async fn mails(address: &str) -> Vec<Value> {
    let page = Mesh::current().address("mail_page");
    let request = testkit::mesh::client().get(format!("{page}/api/mails"));
    let found = send(request.query(&[("to", address)])).await;
    found.expect(200).as_array().unwrap().clone()
}

/// The mail to an address with this subject, as soon as it is there.
async fn mail(address: &str, subject: &str) -> Value {
    eventually(subject, || async {
        let mails = mails(address).await;
        let found = mails.iter().find(|mail| mail["subject"] == subject);
        found.cloned().ok_or_else(|| format!("{mails:?}"))
    })
    .await
}

async fn ask(person: &Person, body: &Value) -> Reply {
    let mesh = Mesh::current();
    mesh.call(Method::POST, "/notifications/send", &person.token, body)
        .await
}

/// What became of a notification, once it is sent.
async fn sent(person: &Person, id: &str) -> Value {
    let path = format!("/notifications/{id}");
    eventually("sent", || async {
        let mesh = Mesh::current();
        let reply = mesh.call(Method::GET, &path, &person.token, &Value::Null);
        let reply = reply.await;
        match reply.expect(200)["status"].as_str() {
            Some("sent") => Ok(reply.json.clone()),
            _ => Err(reply.text),
        }
    })
    .await
}

#[tokio::test]
async fn s1_05_an_email_arrives_and_its_sender_learns_that() {
    let mesh = Mesh::current();
    let person = mesh.person().await;
    let to = format!("{}@example.com", unique("to"));
    let said = "Your order has been processed!";
    let body = json!({"type": "email", "recipient": to, "message": said});
    mesh.call(Method::POST, "/notifications/send", "", &body)
        .await
        .problem(401);

    let reply = ask(&person, &body).await;

    let answer = reply.expect(202);
    let message = format!("Email notification sent to {to}");
    assert_eq!(answer["message"], message);
    let id = answer["notification"]["id"].as_str().unwrap();
    sent(&person, id).await;
    let mails = mails(&to).await;
    assert_eq!(mails.len(), 1, "{mails:?}");
    assert_eq!(mails[0]["to"], json!([to]));
    assert_eq!(mails[0]["message_id"], format!("{id}@plaza.example"));
    assert!(mails[0]["text"].as_str().unwrap().contains(said));
    // The mail server offers encryption, so it is used.
    assert_eq!(mails[0]["encrypted"], true);
    let other = mesh.person().await;
    let path = format!("/notifications/{id}");
    mesh.call(Method::GET, &path, &other.token, &Value::Null)
        .await
        .problem(404);
}

#[tokio::test]
async fn a_subject_arrives_as_it_was_typed_also_where_it_looks_encoded() {
    let person = Mesh::current().person().await;
    let to = format!("{}@example.com", unique("to"));
    for typed in [
        "=?utf-8?q?=0D=0ABcc:_evil@example.com?=",
        "Grüße =?utf-8?b?QQ==?= und mehr",
    ] {
        let body = json!({"type": "email", "recipient": to, "subject": typed, "message": "m"});
        ask(&person, &body).await.expect(202);
        mail(&to, typed).await;
    }
    for never in ["\"a b\"@example.com", "=?utf-8?q?a?=@example.com"] {
        let body = json!({"type": "email", "recipient": never, "message": "m"});
        ask(&person, &body).await.problem(422);
    }
}

#[tokio::test]
async fn s1_08_an_sms_is_simulated() {
    let person = Mesh::current().person().await;
    let body = json!({"type": "sms", "recipient": "+4915112345678", "message": "Hello"});
    let reply = ask(&person, &body).await;
    let answer = reply.expect(202);
    assert_eq!(answer["message"], "SMS notification sent to +4915112345678");
    sent(&person, answer["notification"]["id"].as_str().unwrap()).await;
}

#[tokio::test]
async fn d13_ten_a_minute_and_no_more() {
    let person = Mesh::current().person().await;
    let body = json!({"type": "sms", "recipient": "1234567", "message": "Hello"});
    for _ in 0..10 {
        ask(&person, &body).await.expect(202);
    }
    let reply = ask(&person, &body).await;
    reply.problem(429);
    assert!(!reply.header("retry-after").is_empty());
}

#[tokio::test]
async fn d10_a_subscriber_is_mailed_a_new_post() {
    let mesh = Mesh::current();
    let (author, reader) = (mesh.person().await, mesh.person().await);
    let (car_model, title) = (unique("Zoe "), unique("Quiet "));
    let path = format!("/api/topics/{car_model}/subscription");
    for person in [&author, &reader] {
        mesh.call(Method::PUT, &path, &person.token, &Value::Null)
            .await
            .expect(200);
    }
    let post = json!({"title": title, "content": "A year with it", "car_model": car_model});
    mesh.call(Method::POST, "/api/posts", &author.token, &post)
        .await
        .expect(201);

    mail(&reader.email, &format!("New about {car_model}: {title}")).await;

    assert_eq!(mails(&reader.email).await.len(), 1);
    assert!(mails(&author.email).await.is_empty());
}

#[tokio::test]
async fn s4_13_d27_seller_and_buyer_are_mailed() {
    let mesh = Mesh::current();
    let (seller, buyer) = (mesh.person().await, mesh.person().await);
    let name = unique("Lamp ");
    let item = json!({"name": name, "price": 19.99, "quantity": 3});
    let created = mesh.call(Method::POST, "/item", &seller.token, &item).await;
    let id = created.expect(201)["item"]["id"].as_i64().unwrap();
    mesh.call(
        Method::POST,
        &format!("/buy/{id}"),
        &buyer.token,
        &json!({"quantity": 2}),
    )
    .await
    .expect(200);

    mail(&seller.email, &format!("Your item is on offer: {name}")).await;
    mail(&seller.email, &format!("You sold 2 × {name}")).await;
    let bought = mail(&buyer.email, &format!("You bought 2 × {name}")).await;

    assert!(
        bought["text"].as_str().unwrap().contains("39.98"),
        "{bought}"
    );
    let found = (mails(&seller.email).await, mails(&buyer.email).await);
    assert_eq!((found.0.len(), found.1.len()), (2, 1), "{found:?}");
}

#[tokio::test]
async fn d14_an_order_is_mailed() {
    let mesh = Mesh::current();
    let (shop, customer) = (mesh.person().await, mesh.person().await);
    let product = json!({"name": unique("Mug "), "description": "A mug", "price": 5});
    let created = mesh
        .call(Method::POST, "/products/", &shop.token, &product)
        .await;
    let id = created.expect(201)["product"]["id"].clone();
    let order = json!({"product_id": id, "quantity": 2});
    mesh.call(Method::POST, "/orders/", &customer.token, &order)
        .await
        .expect(201);

    let mail = mail(&customer.email, "Your order has been processed!").await;

    let text = mail["text"].as_str().unwrap();
    assert!(text.contains("10.00 in all"), "{text}");
    assert_eq!(mails(&customer.email).await.len(), 1);
}
