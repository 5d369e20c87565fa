//! The variables of S2 work as they are written, on the real binary (S2-49, S2-51, S2-52).

use sea_orm::{ConnectionTrait as _, Database};
use testkit::{Process, redis::RedisServer, stores};

fn start(variables: &[(&str, &str)]) -> Process {
    let broker = stores::amqp();
    let variables = [variables, &[("AMQP_URL", &broker)]].concat();
    Process::start(env!("CARGO_BIN_EXE_timelines"), &["serve"], &variables)
}

/// Whether the service made its tables there.
async fn is_migrated(url: &str) -> bool {
    let database = Database::connect(url).await.unwrap();
    let select = "SELECT COUNT(*) FROM posts";
    database.execute_unprepared(select).await.is_ok()
}

#[tokio::test]
async fn s2_49_timelines_db_name_names_the_database() {
    let url = stores::postgres().await;
    let (server, database) = url
        .trim_start_matches("postgres://")
        .split_once('/')
        .unwrap();
    let (user, server) = server.split_once('@').unwrap();
    let (host, port) = server.split_once(':').unwrap();
    let timelines = start(&[
        ("DB_HOST", host),
        ("DB_PORT", port),
        ("DB_USER", user),
        ("TIMELINES_DB_NAME", database),
    ]);
    timelines.address();
    assert!(is_migrated(&url).await);
}

#[tokio::test]
async fn s2_51_timelines_database_url_overrides_the_parts() {
    let url = stores::postgres().await;
    let timelines = start(&[
        ("DB_HOST", "127.0.0.1"),
        ("DB_PORT", "1"),
        ("TIMELINES_DATABASE_URL", &url),
    ]);
    timelines.address();
    assert!(is_migrated(&url).await);
}

#[tokio::test]
async fn s2_52_redis_url_says_where_redis_is() {
    let redis = RedisServer::start();
    let timelines = start(&[("REDIS_URL", &redis.url())]);
    timelines.wait_for("Redis", |line| line["message"] == "redis is connected");
    timelines.address();
}
