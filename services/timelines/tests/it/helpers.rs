//! The service under test with stores, a broker's corner, a Redis and a `users` of its own.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering::SeqCst},
};

use chassis::{clock, redis};
use messaging::events::{UserFollowed, UserUnfollowed};
use reqwest::Method;
use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection, QueryResult, Statement, Value};
use serde_json::{Value as Json, json};
use testkit::{FakeUsers, Reply, TestService, eventually, redis::RedisServer, stores, unique};
use timelines::Timelines;

use crate::teller::Teller;

/// Where the suite's posts are kept.
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

/// Nobody answers there.
pub const NO_REDIS: &str = "redis://127.0.0.1:1/0";
/// What Redis may take: one that is slow, because the machine is, is not asked in vain here.
const REDIS_MILLIS: u64 = 30_000;

/// Somebody who reads and writes.
#[derive(Debug, Clone)]
pub struct Person {
    pub id: i64,
    pub username: String,
}

/// The service, and all that is its own.
pub struct Plaza {
    pub service: TestService<Timelines>,
    pub users: FakeUsers,
    pub redis: Arc<std::sync::Mutex<RedisServer>>,
    /// Where its stores and peers are.
    pub flags: Vec<String>,
    pub amqp: String,
    pub database: DatabaseConnection,
    teller: Arc<Teller>,
    last_person: Arc<AtomicI64>,
}

impl Plaza {
    pub async fn start(backend: Backend) -> Self {
        Self::start_with(backend, &[]).await
    }

    pub async fn start_with(backend: Backend, flags: &[&str]) -> Self {
        let (users, users_url) = FakeUsers::start();
        let redis = RedisServer::start();
        let (amqp, peer) = (stores::amqp(), format!("users={users_url}"));
        let (redis_url, patience) = (redis.url(), REDIS_MILLIS.to_string());
        let mut own = vec!["--amqp-url", &amqp, "--upstream-urls", &peer];
        own.extend(["--redis-timeout-millis", &patience]);
        if !flags.contains(&"--redis-url") {
            own.extend(["--redis-url", &redis_url]);
        }
        let postgres = match backend {
            Backend::Sqlite => None,
            Backend::Postgres => Some(stores::postgres().await),
        };
        if let Some(url) = &postgres {
            own.extend(["--timelines-database-url", url]);
        }
        let all: Vec<&str> = own.iter().chain(flags).copied().collect();
        let service = TestService::start(&all).await;
        let flags = own.into_iter().map(str::to_owned).collect();
        let file = service.context.settings.data_dir.join("timelines.db");
        let url = postgres.unwrap_or_else(|| format!("sqlite://{}", file.display()));
        Self {
            database: Database::connect(url).await.unwrap(),
            teller: Arc::new(Teller::start("users", &amqp, &service.context).await),
            service,
            users,
            redis: Arc::new(std::sync::Mutex::new(redis)),
            flags,
            amqp,
            last_person: Arc::new(AtomicI64::new(100)),
        }
    }

    /// One instance more over the same stores, with flags of its own.
    pub async fn another(&self, flags: &[&str]) -> Self {
        let all = self.flags.iter().map(String::as_str);
        let all: Vec<&str> = all.chain(flags.iter().copied()).collect();
        let service = TestService::start_in(self.service.data(), &all).await;
        Self {
            service,
            users: self.users.clone(),
            redis: Arc::clone(&self.redis),
            flags: self.flags.clone(),
            amqp: self.amqp.clone(),
            database: self.database.clone(),
            teller: Arc::clone(&self.teller),
            last_person: Arc::clone(&self.last_person),
        }
    }

    /// Somebody new, whom `users` knows.
    pub fn person(&self) -> Person {
        let person = Person {
            id: self.last_person.fetch_add(1, SeqCst),
            username: unique("P"),
        };
        self.users.know(person.id, &person.username);
        person
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.service.get(path).await
    }

    pub async fn call_as(&self, who: &Person, method: Method, path: &str, body: &Json) -> Reply {
        let token = self.service.token(who.id, &who.username);
        self.service.call(method, path, &token, body).await
    }

    pub async fn get_as(&self, who: &Person, path: &str) -> Reply {
        self.call_as(who, Method::GET, path, &Json::Null).await
    }

    pub async fn delete_as(&self, who: &Person, path: &str) -> Reply {
        self.call_as(who, Method::DELETE, path, &Json::Null).await
    }

    pub async fn post_as(&self, who: &Person, path: &str, body: &Json) -> Reply {
        self.call_as(who, Method::POST, path, body).await
    }

    /// Writes a post; its number.
    pub async fn written(&self, who: &Person, text: &str) -> i64 {
        let created = self.post_as(who, "/posts", &json!({ "text": text })).await;
        created.expect(201)["post_id"].as_i64().unwrap()
    }

    /// Writes so many posts; their numbers, newest first.
    pub async fn many_written(&self, who: &Person, posts: usize) -> Vec<i64> {
        let mut written = Vec::new();
        for number in 0..posts {
            written.insert(0, self.written(who, &format!("post {number}")).await);
        }
        written
    }

    /// Follows, and waits until the service knows.
    pub async fn follow(&self, follower: &Person, followee: &Person) {
        self.change(follower, followee, true, clock::now()).await;
        self.knows(follower, followee, true).await;
    }

    /// Follows no more, and waits until the service knows.
    pub async fn unfollow(&self, follower: &Person, followee: &Person) {
        self.change(follower, followee, false, clock::now()).await;
        self.knows(follower, followee, false).await;
    }

    /// `users` tells that somebody follows, or no more, since a time, as it did before there were versions.
    pub async fn change(
        &self,
        follower: &Person,
        followee: &Person,
        following: bool,
        time: chrono::DateTime<chrono::Utc>,
    ) {
        self.change_by(follower, followee, following, time, None)
            .await;
    }

    /// `users` tells that somebody follows, or no more, at a time and with a version.
    pub async fn change_by(
        &self,
        follower: &Person,
        followee: &Person,
        following: bool,
        time: chrono::DateTime<chrono::Utc>,
        version: Option<i64>,
    ) {
        let (follower_id, followee_id) = (follower.id, followee.id);
        if following {
            let event = UserFollowed {
                follower_id,
                followee_id,
                version,
            };
            self.teller.tell(&event, time).await;
        } else {
            let event = UserUnfollowed {
                follower_id,
                followee_id,
                version,
            };
            self.teller.tell(&event, time).await;
        }
    }

    pub async fn knows(&self, follower: &Person, followee: &Person, following: bool) {
        let sql =
            "SELECT 1 FROM follows WHERE follower_id = $1 AND followee_id = $2 AND following = $3";
        eventually("the change of the graph", || async {
            let values = [follower.id.into(), followee.id.into(), following.into()];
            if self.rows(sql, values).await?.is_empty() {
                Err("not known".into())
            } else {
                Ok(())
            }
        })
        .await;
    }

    /// Asks the service's own database.
    pub async fn rows(
        &self,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<Vec<QueryResult>, String> {
        let backend = self.database.get_database_backend();
        let statement = Statement::from_sql_and_values(backend, sql, values);
        let rows = self.database.query_all_raw(statement).await;
        rows.map_err(|error| error.to_string())
    }

    /// Changes the service's own database.
    pub async fn execute(&self, sql: &str) {
        self.database.execute_unprepared(sql).await.unwrap();
    }

    /// What `reader` sees on the first page.
    pub async fn home(&self, reader: &Person) -> Vec<i64> {
        let path = format!("/posts/home/{}", reader.username);
        ids(self.get_as(reader, &path).await.expect(200))
    }

    /// Waits until `reader` sees this.
    pub async fn sees(&self, reader: &Person, wanted: &[i64]) {
        eventually("the home timeline", || async {
            let home = self.home(reader).await;
            if home == wanted {
                Ok(())
            } else {
                Err(format!("{home:?}, not {wanted:?}"))
            }
        })
        .await;
    }

    /// The numbers in Redis for `reader`, oldest first; empty when there is nothing.
    pub async fn cached(&self, reader: &Person) -> Result<Vec<i64>, String> {
        let version = "SELECT version FROM readers WHERE user_id = $1";
        let rows = self.rows(version, [reader.id.into()]).await?;
        let version = |row: &QueryResult| row.try_get_by_index::<i64>(0).unwrap();
        let version = rows.first().map_or(0, version);
        let key = format!("timelines:home:{}:{version}", reader.id);
        let mut range = redis::cmd("ZRANGE");
        range.arg(key).arg(0).arg(-1);
        let members = self.ask_redis().await.run("test", &range).await;
        let members: Vec<String> = members.map_err(|error| error.to_string())?;
        let numbers = members.iter().filter_map(|member| member.parse().ok());
        Ok(numbers.collect())
    }

    /// A connection to the Redis of this test.
    pub async fn ask_redis(&self) -> redis::Redis {
        let redis_url = self.redis.lock().unwrap().url().into();
        let settings = redis::Settings {
            redis_url,
            redis_timeout_millis: REDIS_MILLIS,
        };
        redis::Redis::connect(&settings, &self.service.context).await
    }

    /// Waits until `reader`'s home timeline in Redis ends with this number.
    pub async fn delivered(&self, reader: &Person, post: i64) {
        eventually("the delivery", || async {
            let cached = self.cached(reader).await?;
            if cached.last() == Some(&post) {
                Ok(())
            } else {
                Err(format!("{cached:?}"))
            }
        })
        .await;
    }

    /// All pages of a list, `limit` at a time.
    pub async fn pages(&self, who: &Person, path: &str, limit: usize) -> Vec<i64> {
        let mut all = Vec::new();
        let mut next = format!("{path}?limit={limit}");
        while !next.is_empty() {
            let reply = self.get_as(who, &next).await;
            let page = ids(reply.expect(200));
            assert!(page.len() <= limit, "{page:?}");
            all.extend(page);
            next_page(&reply).clone_into(&mut next);
        }
        all
    }
}

/// The numbers of the posts of a list.
pub fn ids(list: &Json) -> Vec<i64> {
    let items = list
        .as_array()
        .unwrap_or_else(|| panic!("a bare array, not {list}"));
    items
        .iter()
        .map(|post| post["post_id"].as_i64().unwrap())
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
