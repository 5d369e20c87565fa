//! The service under test with a database of its own.

use items::Items;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{FakeUsers, Reply, TestService, send, stores, unique};

/// Who sells in most tests.
pub const ANNA: i64 = 7;
/// Who buys.
pub const BEN: i64 = 8;
/// Who buys too.
pub const CARA: i64 = 9;

/// Where the suite's documents are kept.
#[derive(Debug, Clone, Copy)]
pub enum Backend {
    /// The embedded store over SQLite.
    Sqlite,
    /// The embedded store over Postgres.
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

/// The service.
pub struct Plaza {
    pub service: TestService<Items>,
    pub url: String,
    pub database: String,
    pub users: FakeUsers,
    flags: Vec<String>,
}

impl Plaza {
    pub async fn start(backend: Backend) -> Self {
        Self::start_with(backend, &[]).await
    }

    pub async fn start_with(backend: Backend, flags: &[&str]) -> Self {
        let url = stores::documents()[backend as usize].clone();
        let database = unique("test_");
        let (users, peer) = FakeUsers::start();
        let peer = format!("users={peer}");
        let own = ["--documents-url", &url, "--documents-db", &database];
        let own = own.into_iter().chain(["--upstream-urls", &peer]);
        let flags = own.chain(flags.iter().copied()).map(str::to_owned);
        let flags = flags.collect();
        Self::start_at(url, database, users, flags).await
    }

    /// One instance more over the same documents.
    pub async fn another(&self) -> Self {
        let (url, database) = (self.url.clone(), self.database.clone());
        Self::start_at(url, database, self.users.clone(), self.flags.clone()).await
    }

    async fn start_at(url: String, database: String, users: FakeUsers, flags: Vec<String>) -> Self {
        let given: Vec<&str> = flags.iter().map(String::as_str).collect();
        let service = TestService::start(&given).await;
        Self {
            service,
            url,
            database,
            users,
            flags,
        }
    }

    pub fn token(&self, user_id: i64) -> String {
        self.service.token(user_id, &format!("user{user_id}"))
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.service.get(path).await
    }

    pub async fn call(&self, user_id: i64, method: Method, path: &str, body: &Value) -> Reply {
        let token = self.token(user_id);
        self.service.call(method, path, &token, body).await
    }

    /// `POST` with an `Idempotency-Key`.
    pub async fn repeatable(&self, user_id: i64, path: &str, key: &str, body: &Value) -> Reply {
        let request = self.service.request(Method::POST, path);
        let request = request.bearer_auth(self.token(user_id)).json(body);
        send(request.header("idempotency-key", key)).await
    }

    /// Offers so many of an item of Anna's; its path.
    pub async fn offered(&self, quantity: i64) -> String {
        let body = lamp(quantity);
        let created = self.call(ANNA, Method::POST, "/item", &body).await;
        format!("/item/{}", created.expect(201)["item"]["id"])
    }

    /// Buys of the item at `path`.
    pub async fn buy(&self, user_id: i64, path: &str, body: &Value) -> Reply {
        let path = path.replace("/item/", "/buy/");
        self.call(user_id, Method::POST, &path, body).await
    }

    /// How many are left of the item at `path`.
    pub async fn left(&self, path: &str) -> i64 {
        self.get(path).await.expect(200)["quantity"]
            .as_i64()
            .unwrap()
    }
}

/// An item as a seller offers it.
pub fn lamp(quantity: i64) -> Value {
    json!({ "name": "Lamp", "description": "Bright", "price": 19.99, "quantity": quantity })
}
