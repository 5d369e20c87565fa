//! The service under test, and a `users` for it to ask.

use discussions::Discussions;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{FakeUsers, Reply, TestService, send, stores, unique};

/// Who writes in most tests.
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

impl Backend {
    pub fn url(self) -> String {
        stores::documents()[self as usize].clone()
    }
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

/// The service with a database and a `users` of its own.
pub struct Plaza {
    pub service: TestService<Discussions>,
    pub users: FakeUsers,
    flags: Vec<String>,
}

impl Plaza {
    pub async fn start(backend: Backend) -> Self {
        Self::start_with(backend, &[]).await
    }

    pub async fn start_with(backend: Backend, flags: &[&str]) -> Self {
        Self::start_at(&backend.url(), flags).await
    }

    /// With the document store behind this URL.
    pub async fn start_at(store: &str, flags: &[&str]) -> Self {
        let (users, url) = FakeUsers::start();
        users.know(ANNA, "anna");
        users.know(BEN, "ben");
        let (peer, database) = (format!("users={url}"), unique("test_"));
        let redis = std::env::var("TEST_REDIS_URL").unwrap();
        let own = [
            "--upstream-urls",
            &peer,
            "--documents-url",
            store,
            "--documents-db",
            &database,
        ];
        let redis = ["--redis-url", &redis];
        let redis = redis.iter().filter(|_| !flags.contains(&"--redis-url"));
        let flags: Vec<String> = own
            .iter()
            .chain(redis)
            .chain(flags)
            .map(|flag| (*flag).to_owned())
            .collect();
        Self {
            service: start(&flags).await,
            users,
            flags,
        }
    }

    /// One instance more over the same documents.
    pub async fn another(&self) -> Self {
        self.another_with(&[]).await
    }

    pub async fn another_with(&self, flags: &[&str]) -> Self {
        let more = flags.iter().map(|flag| (*flag).to_owned());
        let flags: Vec<String> = self.flags.iter().cloned().chain(more).collect();
        Self {
            service: start(&flags).await,
            users: self.users.clone(),
            flags,
        }
    }

    /// A token of Anna's, Ben's, or of somebody whom nobody knows.
    pub fn token(&self, user_id: i64) -> String {
        self.service.token(user_id, &format!("user{user_id}"))
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.service.get(path).await
    }

    pub async fn get_as(&self, user_id: i64, path: &str) -> Reply {
        self.service
            .call(Method::GET, path, &self.token(user_id), &Value::Null)
            .await
    }

    pub async fn post_as(&self, user_id: i64, path: &str, body: &Value) -> Reply {
        self.service
            .call(Method::POST, path, &self.token(user_id), body)
            .await
    }

    pub async fn put_as(&self, user_id: i64, path: &str, body: &Value) -> Reply {
        self.service
            .call(Method::PUT, path, &self.token(user_id), body)
            .await
    }

    pub async fn delete_as(&self, user_id: i64, path: &str) -> Reply {
        self.service
            .call(Method::DELETE, path, &self.token(user_id), &Value::Null)
            .await
    }

    /// The same as a request that may be sent again.
    pub async fn repeatable(&self, user_id: i64, path: &str, key: &str, body: &Value) -> Reply {
        let request = self.service.request(Method::POST, path);
        let request = request.bearer_auth(self.token(user_id)).json(body);
        send(request.header("idempotency-key", key)).await
    }

    /// URL and name of the database.
    pub fn database(&self) -> (&str, &str) {
        let flag = |name: &str| {
            let place = self.flags.iter().position(|flag| flag == name).unwrap();
            self.flags[place + 1].as_str()
        };
        (flag("--documents-url"), flag("--documents-db"))
    }

    /// Writes a post; its id.
    pub async fn written(&self, user_id: i64, body: &Value) -> String {
        let created = self.post_as(user_id, "/api/posts", body).await;
        created.expect(201)["post_id"].as_str().unwrap().to_owned()
    }

    /// Comments on a post; the comment's id.
    pub async fn commented(&self, user_id: i64, post: &str, text: &str) -> String {
        let path = format!("/api/posts/{post}/comments");
        let created = self
            .post_as(user_id, &path, &json!({ "comment_text": text }))
            .await;
        created.expect(201)["comment_id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// One member of each item of a list.
    pub async fn listed(&self, path: &str, member: &str) -> Vec<String> {
        members(self.get(path).await.expect(200), member)
    }
}

async fn start(flags: &[String]) -> TestService<Discussions> {
    TestService::start(&flags.iter().map(String::as_str).collect::<Vec<_>>()).await
}

/// One member of each item, as text.
pub fn members(list: &Value, member: &str) -> Vec<String> {
    let items = list
        .as_array()
        .unwrap_or_else(|| panic!("a bare array, not {list}"));
    items
        .iter()
        .map(|item| item[member].as_str().unwrap().to_owned())
        .collect()
}

/// Where the `Link` header of a page leads; empty on the last page.
pub fn next_page(reply: &Reply) -> &str {
    let link = reply
        .header("link")
        .strip_suffix("; rel=\"next\"")
        .unwrap_or_default();
    link.trim_start_matches('<').trim_end_matches('>')
}

/// A post as S0's clients write it.
pub fn post(title: &str) -> Value {
    json!({ "title": title, "content": "It never broke down.", "car_model": "Golf GTI" })
}
