//! The service under test with a database of its own.

use polls::Polls;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Reply, TestService, stores, unique};

/// Who asks in most tests.
pub const ANNA: i64 = 7;
/// Somebody else.
pub const BEN: i64 = 8;

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
    pub service: TestService<Polls>,
    pub url: String,
    pub database: String,
}

impl Plaza {
    pub async fn start(backend: Backend) -> Self {
        Self::start_with(backend, &[]).await
    }

    pub async fn start_with(backend: Backend, flags: &[&str]) -> Self {
        let url = stores::documents()[backend as usize].clone();
        Self::start_at(url, unique("test_"), flags).await
    }

    /// One instance more over the same documents.
    pub async fn another(&self) -> Self {
        Self::start_at(self.url.clone(), self.database.clone(), &[]).await
    }

    async fn start_at(url: String, database: String, flags: &[&str]) -> Self {
        let own = ["--documents-url", &url, "--documents-db", &database];
        let all: Vec<&str> = own.iter().chain(flags).copied().collect();
        Self {
            service: TestService::start(&all).await,
            url,
            database,
        }
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.service.get(path).await
    }

    pub async fn post_as(&self, user_id: i64, path: &str, body: &Value) -> Reply {
        let token = self.service.token(user_id, &format!("user{user_id}"));
        self.service.call(Method::POST, path, &token, body).await
    }

    /// Starts a poll of Anna's; its id.
    pub async fn poll(&self, options: &[&str]) -> String {
        let body = json!({ "question": "Which one?", "options": options });
        let created = self.post_as(ANNA, "/polls", &body).await;
        created.expect(201)["poll_id"].as_str().unwrap().to_owned()
    }

    pub async fn vote(&self, user_id: i64, poll: &str, choice: i64) -> Reply {
        let body = json!({ "choice_index": choice });
        self.post_as(user_id, &format!("/polls/{poll}/vote"), &body)
            .await
    }

    pub async fn counts(&self, poll: &str) -> Value {
        let results = self.get(&format!("/polls/{poll}/results")).await;
        results.expect(200)["counts"].clone()
    }
}
