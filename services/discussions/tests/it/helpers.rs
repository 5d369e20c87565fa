//! The service under test, and a `users` for it to ask.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use discussions::Discussions;
use proto::users::{
    GetManyRequest, GetManyResponse, GetRequest, User,
    users_server::{self, UsersServer},
};
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Reply, TestService, stores, unique};
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};

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

/// How the `users` of a test behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Answers,
    Hangs,
    Fails,
}

/// A `users` in process that knows Anna and Ben.
#[derive(Debug, Clone)]
pub struct FakeUsers(Arc<Fake>);

#[derive(Debug)]
struct Fake {
    mood: Mutex<Mood>,
    names: HashMap<i64, &'static str>,
    gets: AtomicUsize,
    get_manys: AtomicUsize,
}

impl FakeUsers {
    /// Starts it; its URL.
    pub fn start() -> (Self, String) {
        let fake = Self(Arc::new(Fake {
            mood: Mutex::new(Mood::Answers),
            names: HashMap::from([(ANNA, "anna"), (BEN, "ben")]),
            gets: AtomicUsize::new(0),
            get_manys: AtomicUsize::new(0),
        }));
        let incoming = TcpIncoming::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let url = format!("http://{}", incoming.local_addr().unwrap());
        let serving = Server::builder().add_service(UsersServer::new(fake.clone()));
        tokio::spawn(serving.serve_with_incoming(incoming));
        (fake, url)
    }

    pub fn set(&self, mood: Mood) {
        *self.0.mood.lock().unwrap() = mood;
    }

    /// How often `Get` and `GetMany` were called.
    pub fn calls(&self) -> (usize, usize) {
        (self.0.gets.load(SeqCst), self.0.get_manys.load(SeqCst))
    }

    async fn mood(&self) -> Result<(), Status> {
        let mood = *self.0.mood.lock().unwrap();
        match mood {
            Mood::Answers => Ok(()),
            Mood::Hangs => std::future::pending().await,
            Mood::Fails => Err(Status::unavailable("not today")),
        }
    }

    fn user(&self, id: i64) -> Option<User> {
        let username = self.0.names.get(&id)?;
        Some(User {
            id,
            username: (*username).into(),
            name: username.to_uppercase(),
            avatar_url: String::new(),
        })
    }
}

#[tonic::async_trait]
impl users_server::Users for FakeUsers {
    async fn get(&self, request: Request<GetRequest>) -> Result<Response<User>, Status> {
        self.0.gets.fetch_add(1, SeqCst);
        self.mood().await?;
        let user = self.user(request.into_inner().id);
        user.map(Response::new)
            .ok_or_else(|| Status::not_found("no such user"))
    }

    async fn get_many(
        &self,
        request: Request<GetManyRequest>,
    ) -> Result<Response<GetManyResponse>, Status> {
        self.0.get_manys.fetch_add(1, SeqCst);
        self.mood().await?;
        let ids = request.into_inner().ids;
        assert!(ids.len() <= 200, "users refuses more ids than that");
        let users = ids.into_iter().filter_map(|id| self.user(id)).collect();
        Ok(Response::new(GetManyResponse { users }))
    }
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
        let (peer, database) = (format!("users={url}"), unique("test_"));
        let own = [
            "--upstream-urls",
            &peer,
            "--documents-url",
            store,
            "--documents-db",
            &database,
        ];
        let flags: Vec<String> = own
            .iter()
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
