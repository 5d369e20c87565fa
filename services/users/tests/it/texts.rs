//! Passwords, addresses and forms as keyboards and HTTP clients send them.

use reqwest::Method;
use sea_orm::{ConnectionTrait as _, Database};
use serde_json::json;
use testkit::{TestService, send, unique};
use users::Users;

use crate::helpers::{Backend, NOBODY, PASSWORD, person, post, start, store_flags, store_url};

crate::on_each_store![
    a_password_is_right_however_it_is_composed,
    a_password_from_before_is_right_and_gets_its_new_form,
    an_address_is_one_with_its_form_in_the_dns,
    addresses_of_yesterday_are_found_today,
    login_by_query_works_beside_any_body,
];

const COMPOSED: &str = "M\u{fc}ller caf\u{e9} 2024";
const APART: &str = "Mu\u{308}ller\u{a0}cafe\u{301} 2024";

async fn log_in(users: &TestService<Users>, login: &str, password: &str) -> u16 {
    let body = json!({"username": login, "password": password});
    post(users, "/login", &body).await.status
}

async fn a_password_is_right_however_it_is_composed(backend: Backend) {
    let users = start(backend).await;
    for (registered, typed) in [(COMPOSED, APART), (APART, COMPOSED)] {
        let username = unique("p");
        let body = json!({
            "username": username, "email": format!("{username}@example.com"),
            "password": registered, "confirm_password": typed,
        });
        post(&users, "/api/auth/register", &body).await.expect(201);
        for password in [registered, typed] {
            assert_eq!(log_in(&users, &username, password).await, 200);
        }
        assert_eq!(log_in(&users, &username, "Muller cafe 2024").await, 401);
    }
    // As many characters as the document says, not bytes.
    for (password, status) in [("é".repeat(7), 422), ("\u{1f600}".repeat(1024), 201)] {
        let username = unique("p");
        let body = json!({"username": username, "email": format!("{username}@example.com"), "password": password});
        let reply = post(&users, "/register", &body).await;
        assert_eq!(reply.status, status, "{}", reply.text);
        if status == 422 {
            assert_eq!(reply.json["errors"][0]["pointer"], "/password");
        }
    }
}

async fn a_password_from_before_is_right_and_gets_its_new_form(backend: Backend) {
    let (users, store) = start_here(backend).await;
    let person = person(&users).await;
    let rows = Database::connect(store_url(&users, &store)).await.unwrap();
    let before = bcrypt::hash(APART, 4).unwrap();
    let set = format!(
        "UPDATE users SET password_hash = '{before}' WHERE id = {}",
        person.id
    );
    rows.execute_unprepared(&set).await.unwrap();
    assert_eq!(log_in(&users, &person.username, APART).await, 200);
    assert_eq!(log_in(&users, &person.username, COMPOSED).await, 200);
}

async fn start_here(backend: Backend) -> (TestService<Users>, Vec<String>) {
    let store = store_flags(backend).await;
    (TestService::start(&flags(&store)).await, store)
}

fn flags(store: &[String]) -> Vec<&str> {
    let own = ["--upstream-urls", NOBODY].into_iter();
    own.chain(store.iter().map(String::as_str)).collect()
}

async fn register(users: &TestService<Users>, email: &str) -> (u16, String) {
    let username = unique("p");
    let body = json!({"username": username, "email": email, "password": PASSWORD});
    let reply = post(users, "/users/register", &body).await;
    (reply.status, username)
}

async fn an_address_is_one_with_its_form_in_the_dns(backend: Backend) {
    let users = start(backend).await;
    let spellings = [
        "ada@b\u{fc}cher.example",
        "Ada@BU\u{308}CHER.example",
        "ada@xn--bcher-kva.example",
    ];
    assert_eq!(register(&users, spellings[0]).await.0, 201);
    for spelling in spellings {
        assert_eq!(register(&users, spelling).await.0, 409, "{spelling}");
        assert_eq!(log_in(&users, spelling, PASSWORD).await, 200, "{spelling}");
    }
}

async fn addresses_of_yesterday_are_found_today(backend: Backend) {
    let (users, store) = start_here(backend).await;
    let (first, second) = ("ada@b\u{fc}cher.example", "ada@xn--bcher-kva.example");
    assert_eq!(register(&users, first).await.0, 201);
    assert_eq!(register(&users, "eve@example.com").await.0, 201);
    let rows = Database::connect(store_url(&users, &store)).await.unwrap();
    // As the release before kept them: two accounts, since their texts differ.
    for statement in [
        &format!("UPDATE users SET email_key = '{first}' WHERE email = '{first}'"),
        "DELETE FROM schema_steps WHERE version = 'm0004_address_keys'",
    ] {
        rows.execute_unprepared(statement).await.unwrap();
    }
    let today = TestService::<Users>::start_in(users.data(), &flags(&store)).await;
    for address in [first, second, "eve@example.com"] {
        assert_eq!(log_in(&today, address, PASSWORD).await, 200, "{address}");
    }
    assert_eq!(register(&today, second).await.0, 409);
    // Where both were there, both are let in, each by the address that it has.
    let third = "bob@stra\u{df}e.example";
    let (_, elder) = register(&today, "bob@xn--strae-oqa.example").await;
    let (_, younger) = register(&today, "bob@example.org").await;
    for statement in [
        &format!(
            "UPDATE users SET email = '{third}', email_key = '{third}' WHERE username = '{younger}'"
        ),
        "DELETE FROM schema_steps WHERE version = 'm0004_address_keys'",
    ] {
        rows.execute_unprepared(statement).await.unwrap();
    }
    let again = TestService::<Users>::start_in(users.data(), &flags(&store)).await;
    for name in [elder, younger] {
        assert_eq!(log_in(&again, &name, PASSWORD).await, 200);
    }
    assert_eq!(log_in(&again, third, PASSWORD).await, 200);
}

async fn login_by_query_works_beside_any_body(backend: Backend) {
    let users = start(backend).await;
    let person = person(&users).await;
    let query = [
        ("username", person.username.as_str()),
        ("password", PASSWORD),
    ];
    let form = "application/x-www-form-urlencoded";
    for (kind, body) in [
        (None, ""),
        (Some("application/json"), ""),
        (Some("application/json"), "null"),
        (Some("application/json"), "{}"),
        (Some(form), ""),
        (Some("multipart/form-data; boundary=x"), "--x--\r\n"),
        (Some("text/plain;charset=UTF-8"), "anything"),
    ] {
        let mut request = users
            .request(Method::POST, "/login")
            .query(&query)
            .body(body);
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        let reply = send(request).await;
        assert_eq!(reply.status, 200, "{kind:?} {body}: {}", reply.text);
    }
    let field = |(name, value): &(&str, &str)| {
        format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let fields: String = query.iter().map(field).collect();
    let request = users
        .request(Method::POST, "/login")
        .body(fields + "--x--\r\n");
    let request = request.header("content-type", "multipart/form-data; boundary=x");
    send(request).await.expect(200);
}
