//! The service under test, and people who use it.

use movies::Movies;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Reply, TestService, send, stores};

/// Two people.
pub const ANNA: (i64, &str) = (1, "anna");
pub const BEN: (i64, &str) = (2, "ben");

pub const FROM_CACHE: &str = "Results retrieved from cache";
pub const FROM_DATABASE: &str = "Results retrieved from database";

/// Where the suite's movies are kept.
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

/// An instance of the service, with what makes another over the same store and Redis.
pub struct Plaza {
    pub service: TestService<Movies>,
    flags: Vec<String>,
}

impl Plaza {
    /// Over a new store of this kind, and the Redis that all tests share.
    pub async fn start(backend: Backend) -> Self {
        let redis = std::env::var("TEST_REDIS_URL").unwrap();
        Self::start_with(backend, &["--redis-url", &redis]).await
    }

    pub async fn start_with(backend: Backend, flags: &[&str]) -> Self {
        // A Redis that is slow, because the machine is, is not asked in vain here.
        let patient = ["--redis-timeout-millis", "30000"];
        let flags = patient.iter().chain(flags);
        let mut flags: Vec<String> = flags.map(|flag| (*flag).to_owned()).collect();
        if let Backend::Postgres = backend {
            flags.extend(["--movies-database-url".into(), stores::postgres().await]);
        }
        let all: Vec<&str> = flags.iter().map(String::as_str).collect();
        Self {
            service: TestService::start(&all).await,
            flags,
        }
    }

    /// Another instance over the same store and Redis.
    pub async fn another(&self) -> Self {
        let all: Vec<&str> = self.flags.iter().map(String::as_str).collect();
        Self {
            service: TestService::start_in(self.service.data(), &all).await,
            flags: self.flags.clone(),
        }
    }

    /// Where the movies are.
    pub fn store_url(&self) -> String {
        let file = self.service.context.settings.data_dir.join("movies.db");
        let url = self.flags.iter().find(|flag| flag.starts_with("postgres:"));
        url.cloned()
            .unwrap_or_else(|| format!("sqlite://{}", file.display()))
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.service.get(path).await
    }

    /// `method path` by somebody.
    pub async fn call(&self, who: (i64, &str), method: Method, path: &str, body: &Value) -> Reply {
        let token = self.service.token(who.0, who.1);
        self.service.call(method, path, &token, body).await
    }

    pub async fn post(&self, who: (i64, &str), path: &str, body: &Value) -> Reply {
        self.call(who, Method::POST, path, body).await
    }

    /// The same as a request that may be sent again.
    pub async fn repeatable(&self, who: (i64, &str), path: &str, key: &str, body: &Value) -> Reply {
        let request = self.service.request(Method::POST, path);
        let request = request.bearer_auth(self.service.token(who.0, who.1));
        send(request.header("idempotency-key", key).json(body)).await
    }

    pub async fn put(&self, who: (i64, &str), path: &str, body: &Value) -> Reply {
        self.call(who, Method::PUT, path, body).await
    }

    pub async fn delete(&self, who: (i64, &str), path: &str) -> Reply {
        self.call(who, Method::DELETE, path, &Value::Null).await
    }

    /// Enters a movie of Anna's; its id.
    pub async fn movie(&self, body: &Value) -> i64 {
        let reply = self.post(ANNA, "/api/movies", body).await;
        reply.expect(201)["id"].as_i64().unwrap()
    }

    /// Reviews a movie; the id of the review.
    pub async fn review(&self, who: (i64, &str), movie: i64, rating: f64) -> i64 {
        let body = json!({"title": "Well", "body": "It has an end.", "rating": rating});
        let path = format!("/api/movies/{movie}/reviews");
        let reply = self.post(who, &path, &body).await;
        reply.expect(201)["id"].as_i64().unwrap()
    }

    /// A cached list: its message, and the titles.
    pub async fn titles(&self, path: &str) -> (String, Vec<String>) {
        let reply = self.get(path).await;
        let answer = reply.expect(200);
        let message = answer["message"].as_str().unwrap().to_owned();
        (message, titles(&answer["data"]))
    }
}

/// A movie as a client would enter it.
pub fn movie(title: &str) -> Value {
    json!({
        "title": title, "description": "In space", "rating": 8.5, "genre": "Horror",
        "poster_url": "https://example.com/a.png", "release_date": "1979-05-25",
    })
}

/// The same with another rating and genre.
pub fn rated(title: &str, rating: f64, genre: &str) -> Value {
    let mut body = movie(title);
    body["rating"] = rating.into();
    body["genre"] = genre.into();
    body
}

pub fn titles(movies: &Value) -> Vec<String> {
    let movies = movies.as_array().unwrap().iter();
    movies
        .map(|movie| movie["title"].as_str().unwrap().to_owned())
        .collect()
}

/// The address of the next page.
pub fn next(reply: &Reply) -> Option<String> {
    let link = reply.header("link").strip_prefix('<')?.split('>').next()?;
    Some(link.to_owned())
}
