//! The service under test, with stores and peers of its own.

use std::{
    collections::HashSet,
    fmt::Debug,
    sync::{Arc, Mutex},
};

use chassis::{redis::Redis, sql};
use likes::Likes;
use messaging::{Broker, Consumer, Event, Outbox, declared};
use reqwest::Method;
use sea_orm_migration::{MigrationTrait, MigratorTrait};
use serde_json::Value;
use testkit::{PATIENCE, Reply, TestService, redis::RedisServer, stores};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::peers::Peers;

/// Where nobody listens.
pub const NOWHERE: &str = "redis://127.0.0.1:1/0";

/// What Redis may take: one that is slow, because the machine is, is not asked in vain here.
const REDIS_MILLIS: u64 = 30_000;

/// What the service under test stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    Postgres,
    /// On SQLite.
    WithoutRedis,
}

/// Runs each test once a backend, as `sqlite::<test>` and so on.
#[macro_export]
macro_rules! on_each_backend {
    ($($test:ident),+ $(,)?) => {
        $crate::on_each_store![$($test),+];
        mod without_redis {
            $(#[tokio::test] async fn $test() { super::$test($crate::helpers::Backend::WithoutRedis).await })+
        }
    };
}

/// The same for tests that are about Redis, or not about reading.
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

/// A running service, and all that it needs.
pub struct Plaza {
    pub service: TestService<Likes>,
    pub peers: Peers,
    pub redis: Option<RedisServer>,
    pub flags: Vec<String>,
}

impl Plaza {
    /// With requests only: nobody checks likes or tells of them.
    pub async fn start(backend: Backend) -> Self {
        Self::start_with(backend, &["--roles", "none"]).await
    }

    pub async fn start_with(backend: Backend, more: &[&str]) -> Self {
        let redis = (backend != Backend::WithoutRedis).then(RedisServer::start);
        let (peers, urls) = Peers::start();
        let url = redis.as_ref().map_or(NOWHERE.to_owned(), RedisServer::url);
        let mut flags = vec![
            "--upstream-urls".to_owned(),
            urls,
            "--redis-url".into(),
            url,
            "--redis-timeout-millis".into(),
            REDIS_MILLIS.to_string(),
        ];
        flags.extend(["--amqp-url".to_owned(), stores::amqp()]);
        if backend == Backend::Postgres {
            flags.extend(["--likes-database-url".to_owned(), stores::postgres().await]);
        }
        let service = TestService::start(&with(&flags, more)).await;
        Self {
            service,
            peers,
            redis,
            flags,
        }
    }

    /// One instance more over the same stores.
    pub async fn another_with(&self, more: &[&str]) -> TestService<Likes> {
        TestService::start_in(self.service.data(), &with(&self.flags, more)).await
    }

    /// A process that does background work alone, over the same stores.
    pub async fn worker_with(&self, more: &[&str]) -> TestService<Likes> {
        TestService::start_worker_in(self.service.data(), &with(&self.flags, more)).await
    }

    pub async fn like(&self, user_id: i64, post_id: i64) -> Reply {
        like(&self.service, user_id, post_id).await
    }

    pub async fn unlike(&self, user_id: i64, post_id: i64) -> Reply {
        unlike(&self.service, user_id, post_id).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.service.get(path).await
    }

    pub async fn count(&self, post_id: i64) -> i64 {
        count(&self.service, post_id).await
    }

    /// Post numbers and likes, as `/likes/popular` tells them.
    pub async fn popular(&self, query: &str) -> Vec<(i64, i64)> {
        ranked(
            self.get(&format!("/likes/popular{query}"))
                .await
                .expect(200),
        )
    }

    pub async fn likes_of(&self, user_id: i64) -> Vec<i64> {
        let reply = self.get(&format!("/users/user{user_id}/likes")).await;
        numbers(&reply.expect(200)["post_ids"])
    }

    /// The service's Redis, for a look into it.
    pub async fn redis_client(&self) -> Redis {
        let settings = chassis::redis::Settings {
            redis_url: self.redis.as_ref().unwrap().url().into(),
            redis_timeout_millis: REDIS_MILLIS,
        };
        Redis::connect(&settings, &self.service.context).await
    }

    fn broker(&self, service: &str) -> Broker {
        let at = self.flags.iter().position(|flag| flag == "--amqp-url");
        let settings = messaging::Settings {
            amqp_url: self.flags[at.unwrap() + 1].clone().into(),
            messaging_failpoint: None,
        };
        Broker::new(service, &settings, &self.service.context).unwrap()
    }

    /// What is told of type `E` from now on.
    pub async fn listen<E: Event + Debug>(&self) -> UnboundedReceiver<E> {
        let (sender, heard) = unbounded_channel();
        // Two relays may publish the same event: consumers know it by its id.
        let known = Mutex::new(HashSet::new());
        let broker = self.broker("probe");
        Consumer::new("all")
            .on::<E, _, _>(move |event| {
                if known.lock().unwrap().insert(event.id) {
                    let _ = sender.send(event.data);
                }
                async { Ok(()) }
            })
            .start(&broker, &self.service.context)
            .await;
        declared(&broker, "probe.all", PATIENCE).await.unwrap();
        heard
    }

    /// Tells something in the name of another service.
    pub async fn tell<E: Event>(&self, service: &str, event: &E) {
        let file = format!("{service}.db");
        let context = &self.service.context;
        let connection = sql::connect::<Told>(context, None, &file).await.unwrap();
        let outbox = Outbox::start(&self.broker(service), &connection, context);
        let transaction = connection.begin().await.unwrap();
        outbox.insert(&transaction, event).await.unwrap();
        outbox.commit(transaction).await.unwrap();
    }
}

struct Told;

impl MigratorTrait for Told {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(messaging::outbox::Migration)]
    }
}

/// Flags with more of them, which win over the same ones before. Where peers are adds up.
fn with<'a>(flags: &'a [String], more: &[&'a str]) -> Vec<&'a str> {
    let pairs = flags
        .chunks(2)
        .map(|pair| (pair[0].as_str(), pair[1].as_str()));
    let kept = pairs.filter(|(flag, _)| *flag == "--upstream-urls" || !more.contains(flag));
    kept.flat_map(|(flag, value)| [flag, value])
        .chain(more.iter().copied())
        .collect()
}

pub async fn like(service: &TestService<Likes>, user_id: i64, post_id: i64) -> Reply {
    act(service, Method::POST, user_id, post_id).await
}

pub async fn unlike(service: &TestService<Likes>, user_id: i64, post_id: i64) -> Reply {
    act(service, Method::DELETE, user_id, post_id).await
}

async fn act(service: &TestService<Likes>, method: Method, user_id: i64, post_id: i64) -> Reply {
    let token = service.token(user_id, &format!("User{user_id}"));
    let path = format!("/likes/{post_id}");
    service.call(method, &path, &token, &Value::Null).await
}

pub async fn count(service: &TestService<Likes>, post_id: i64) -> i64 {
    let reply = service.get(&format!("/likes/{post_id}/count")).await;
    assert_eq!(reply.expect(200)["post_id"], post_id);
    reply.json["likes"].as_i64().unwrap()
}

/// Post numbers and likes of an answer of `/likes/popular`.
pub fn ranked(answer: &Value) -> Vec<(i64, i64)> {
    let posts = answer["posts"].as_array().unwrap();
    let ranked: Vec<(i64, i64)> = posts
        .iter()
        .map(|post| {
            (
                post["post_id"].as_i64().unwrap(),
                post["likes"].as_i64().unwrap(),
            )
        })
        .collect();
    let ids: Vec<i64> = ranked.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, numbers(&answer["post_ids"]));
    ranked
}

pub fn numbers(list: &Value) -> Vec<i64> {
    let list = list.as_array().unwrap();
    list.iter().map(|number| number.as_i64().unwrap()).collect()
}

/// Where the `Link` header of a page leads; empty on the last page.
pub fn next_page(reply: &Reply) -> &str {
    let link = reply
        .header("link")
        .strip_suffix("; rel=\"next\"")
        .unwrap_or_default();
    link.trim_start_matches('<').trim_end_matches('>')
}

/// Does many things at once.
pub async fn at_once(works: impl IntoIterator<Item = impl Future<Output = ()> + Send + 'static>) {
    let works: Vec<_> = works.into_iter().map(tokio::spawn).collect();
    for work in works {
        work.await.unwrap();
    }
}

/// A service that tasks share.
pub fn shared(plaza: Plaza) -> Arc<Plaza> {
    Arc::new(plaza)
}
