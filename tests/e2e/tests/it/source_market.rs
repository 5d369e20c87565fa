//! Claim: what the clients of the market's source send is answered as they expect, through the ingress: a person registers
//! with an address and a password, signs in, offers, changes and lists items, removes them, and then the account.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Mesh, Reply, eventually, unique};

/// An account as that client keeps it: no name, and the same object for every door.
struct Client {
    account: Value,
    local: String,
    token: String,
}

impl Client {
    async fn register() -> Self {
        let local = unique("owner");
        let account = json!({
            "email": format!("{local}@example.com"),
            "password": "securepassword",
        });
        let mesh = Mesh::current();
        let registered = mesh.call(Method::POST, "/auth/register", "", &account);
        registered.await.expect(201);
        let signed_in = mesh.call(Method::POST, "/auth/signin", "", &account).await;
        let token = signed_in.expect(200)["access_token"].as_str().unwrap();
        Self {
            token: token.to_owned(),
            account,
            local,
        }
    }

    async fn call(&self, method: Method, path: &str, body: &Value) -> Reply {
        Mesh::current().call(method, path, &self.token, body).await
    }

    /// Offers an item, which that client says the owner of; its path.
    async fn add(&self, name: &str, price: f64) -> String {
        let item = json!({ "name": name, "owner": self.local, "price": price });
        let added = self.call(Method::POST, "/item", &item).await;
        format!("/item/{}", added.expect(201)["item"]["id"])
    }

    /// Without a token: the account in the body says it all.
    async fn delete(&self) {
        let mesh = Mesh::current();
        let deleted = mesh.call(Method::DELETE, "/auth/delete", "", &self.account);
        assert_eq!(deleted.await.status, 204);
    }
}

#[tokio::test]
async fn an_item_is_added_changed_and_removed_and_then_its_owner() {
    let client = Client::register().await;
    let path = client.add("Test Item", 9.99).await;
    let mut item = client.call(Method::GET, &path, &Value::Null).await.json;
    assert_eq!(
        (&item["name"], &item["price"]),
        (&json!("Test Item"), &json!(9.99))
    );
    // It sends back all that it was given.
    item["price"] = json!(19.99);
    client.call(Method::PUT, &path, &item).await.expect(200);
    let changed = client.call(Method::GET, &path, &Value::Null).await;
    assert_eq!(changed.expect(200)["price"], 19.99);
    client
        .call(Method::DELETE, &path, &Value::Null)
        .await
        .expect(200);
    client
        .call(Method::GET, &path, &Value::Null)
        .await
        .problem(404);
    client.delete().await;
    let mesh = Mesh::current();
    let signed_in = mesh.call(Method::POST, "/auth/signin", "", &client.account);
    signed_in.await.problem(401);
}

#[tokio::test]
async fn items_of_an_owner_are_among_all_items() {
    let client = Client::register().await;
    let mut expected = Vec::new();
    for (name, price) in [("apple", 0.99), ("pineapple", 1.99)] {
        let path = client.add(name, price).await;
        expected.push(Mesh::current().get(&path).await.json);
    }
    let path = format!("/items/{}", client.local);
    let own = client.call(Method::GET, &path, &Value::Null).await;
    let own = own.expect(200).as_array().unwrap();
    assert_eq!(
        own.iter().rev().collect::<Vec<_>>(),
        expected.iter().collect::<Vec<_>>()
    );
    let seller = &own[0]["seller_id"];
    let path = format!("/items/{seller}");
    let by_number = client.call(Method::GET, &path, &Value::Null).await;
    assert_eq!(by_number.expect(200).as_array().unwrap(), own);
    let all = client
        .call(Method::GET, "/items?limit=200", &Value::Null)
        .await;
    let all = all.expect(200).as_array().unwrap();
    assert!(own.iter().all(|item| all.contains(item)));
    // Who leaves takes what they offer with them.
    client.delete().await;
    eventually("the items are gone", || async {
        let left = Mesh::current().get(&format!("/items/{seller}")).await;
        match left.expect(200).as_array().unwrap().len() {
            0 => Ok(()),
            more => Err(more.to_string()),
        }
    })
    .await;
}

#[tokio::test]
async fn what_its_clients_try_in_vain_is_refused() {
    let mesh = Mesh::current();
    let nobody = json!({ "email": "", "password": "" });
    for door in ["/auth/register", "/auth/signin", "/auth/delete"] {
        let method = if door == "/auth/delete" {
            Method::DELETE
        } else {
            Method::POST
        };
        let refused = mesh.call(method, door, "", &nobody).await;
        assert!(
            (400..500).contains(&refused.status),
            "{door}: {}",
            refused.text
        );
    }
    let client = Client::register().await;
    let free = json!({ "name": "x", "owner": client.local, "price": 0 });
    client.call(Method::POST, "/item", &free).await.problem(422);
    let wrong = json!({ "email": client.account["email"], "password": "another password" });
    mesh.call(Method::DELETE, "/auth/delete", "", &wrong)
        .await
        .problem(401);
    // The item service asks whose token it has, with the token in the body.
    let token = json!({ "token": client.token });
    let valid = mesh.call(Method::POST, "/auth/validate", "", &token).await;
    assert_eq!(valid.expect(200)["username"], client.local.as_str());
    client.delete().await;
    mesh.call(Method::POST, "/auth/validate", "", &token)
        .await
        .problem(401);
}
