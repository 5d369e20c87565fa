//! The service under test, and people who use it.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Reply, TestService, stores, unique};
use users::Users;

/// A peer that nobody answers for: port 1 is never ours.
pub const NOBODY: &str = "discussions=http://127.0.0.1:1";
pub const PASSWORD: &str = "correct horse battery";

/// Where the suite's accounts are kept.
#[derive(Debug, Clone, Copy)]
pub enum Backend {
    Sqlite,
    Postgres,
}

/// Runs each test once a backend, as `sqlite::<test>` and `postgres::<test>`.
#[macro_export]
macro_rules! on_each_store {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test] async fn $test() { super::$test($crate::helpers::Backend::Sqlite).await })+
        }
        mod postgres {
            $(#[tokio::test] async fn $test() { super::$test($crate::helpers::Backend::Postgres).await })+
        }
    };
}

/// Flags that make the service use a new store of this kind.
pub async fn store_flags(backend: Backend) -> Vec<String> {
    match backend {
        Backend::Sqlite => Vec::new(),
        Backend::Postgres => vec!["--users-database-url".into(), stores::postgres().await],
    }
}

/// Where the accounts of a service that was started with `store_flags` are.
pub fn store_url(users: &TestService<Users>, store: &[String]) -> String {
    let file = users.context.settings.data_dir.join("users.db");
    let sqlite = || format!("sqlite://{}", file.display());
    store.last().cloned().unwrap_or_else(sqlite)
}

pub async fn start(backend: Backend) -> TestService<Users> {
    start_with(backend, &[]).await
}

pub async fn start_with(backend: Backend, flags: &[&str]) -> TestService<Users> {
    let store = store_flags(backend).await;
    let mut all = vec!["--upstream-urls", NOBODY];
    all.extend(store.iter().map(String::as_str));
    all.extend(flags);
    TestService::start(&all).await
}

/// Somebody with an account.
#[derive(Debug)]
pub struct Person {
    pub id: i64,
    pub username: String,
    pub email: String,
    pub token: String,
}

pub async fn post(users: &TestService<Users>, path: &str, body: &Value) -> Reply {
    users.call(Method::POST, path, "", body).await
}

/// Registers by S1 and logs in by S0.
pub async fn person(users: &TestService<Users>) -> Person {
    let username = unique("p");
    let email = format!("{username}@example.com");
    let registered = post(
        users,
        "/users/register",
        &json!({"username": username, "email": email, "password": PASSWORD}),
    )
    .await;
    let id = registered.expect(201)["user"]["id"].as_i64().unwrap();
    let token = log_in(users, &username).await;
    Person {
        id,
        username,
        email,
        token,
    }
}

pub async fn log_in(users: &TestService<Users>, username: &str) -> String {
    let answer = post(
        users,
        "/login",
        &json!({"username": username, "password": PASSWORD}),
    )
    .await;
    answer.expect(200)["access_token"]
        .as_str()
        .unwrap()
        .to_owned()
}

pub async fn get(users: &TestService<Users>, path: &str, token: &str) -> Reply {
    users.call(Method::GET, path, token, &Value::Null).await
}
