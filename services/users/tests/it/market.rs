//! The doors of the market, as its source has them.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::TestService;
use users::Users;

use crate::helpers::{Backend, PASSWORD, get, person, post, start};

crate::on_each_store![
    who_registers_without_a_name_gets_one_of_the_address,
    all_who_register_at_once_without_a_name_get_one_each,
    there_are_two_names_for_the_door_of_logins,
    a_token_is_validated_from_a_body,
];

async fn register(users: &TestService<Users>, email: &str) -> Value {
    let body = json!({ "email": email, "password": PASSWORD });
    let registered = post(users, "/auth/register", &body).await;
    registered.expect(201)["user"].clone()
}

async fn who_registers_without_a_name_gets_one_of_the_address(backend: Backend) {
    let users = start(backend).await;
    let ada = register(&users, "ada.l+shop@example.com").await;
    assert_eq!(ada["username"], "ada.lshop");
    assert_eq!(ada["email"], "ada.l+shop@example.com");
    // The same name at another place, in other letters, and one that a path needs.
    let other = register(&users, "ADA.L+shop@example.org").await;
    let name = other["username"].as_str().unwrap();
    let number = name.strip_prefix("ADA.Lshop").unwrap();
    assert!(number.parse::<u32>().is_ok(), "{name}");
    let reserved = register(&users, "me@example.com").await;
    assert_ne!(reserved["username"], "me");
    let nothing = json!({ "username": null, "email": "b@example.com", "password": PASSWORD });
    let registered = post(&users, "/auth/register", &nothing).await;
    let name = registered.expect(201)["user"]["username"].clone();
    assert!(name.as_str().unwrap().len() >= 3, "{name}");
    // A chosen one is kept, or refused; and the address is needed, and its own.
    let chosen = json!({ "username": "grace", "email": "g@example.com", "password": PASSWORD });
    let registered = post(&users, "/auth/register", &chosen).await;
    assert_eq!(registered.expect(201)["user"]["username"], "grace");
    let taken = json!({ "username": "Grace", "email": "h@example.com", "password": PASSWORD });
    post(&users, "/auth/register", &taken).await.problem(409);
    let again = json!({ "email": "g@example.com", "password": PASSWORD });
    post(&users, "/auth/register", &again).await.problem(409);
    let nobody = json!({ "password": PASSWORD });
    post(&users, "/auth/register", &nobody).await.problem(422);
    let empty = json!({ "email": "", "password": "" });
    post(&users, "/auth/register", &empty).await.problem(422);
}

async fn all_who_register_at_once_without_a_name_get_one_each(backend: Backend) {
    let users = start(backend).await;
    let places = (0..8).map(|place| format!("info@{place}.example.com"));
    let emails: Vec<_> = places.collect();
    let registering = emails.iter().map(|email| register(&users, email));
    let registered = join_all(registering).await;
    let names: BTreeSet<_> = registered
        .iter()
        .map(|user| user["username"].as_str().unwrap().to_lowercase())
        .collect();
    assert_eq!(names.len(), emails.len(), "{names:?}");
    assert!(names.contains("info"), "{names:?}");
}

async fn there_are_two_names_for_the_door_of_logins(backend: Backend) {
    let users = start(backend).await;
    let person = person(&users).await;
    let body = json!({ "email": person.email, "password": PASSWORD });
    let signed_in = post(&users, "/auth/signin", &body).await;
    let token = signed_in.expect(200)["access_token"].as_str().unwrap();
    get(&users, "/auth/validate", token).await.expect(200);
    let wrong = json!({ "email": person.email, "password": "wrong password" });
    post(&users, "/auth/signin", &wrong).await.problem(401);
}

async fn a_token_is_validated_from_a_body(backend: Backend) {
    let users = start(backend).await;
    let person = person(&users).await;
    let body = json!({ "token": person.token });
    let valid = post(&users, "/auth/validate", &body).await;
    let by_header = get(&users, "/auth/validate", &person.token).await;
    assert_eq!(valid.expect(200), by_header.expect(200));
    for bad in ["", "x.y.z", &"x".repeat(5000)] {
        let refused = post(&users, "/auth/validate", &json!({ "token": bad })).await;
        refused.problem(401);
        assert!(!refused.header("www-authenticate").is_empty());
    }
    for bad in [json!({}), json!({ "token": null }), json!({ "token": 7 })] {
        post(&users, "/auth/validate", &bad).await.problem(422);
    }
    let out = users.call(
        Method::POST,
        "/api/auth/logout",
        &person.token,
        &Value::Null,
    );
    out.await.expect(200);
    post(&users, "/auth/validate", &body).await.problem(401);
}
