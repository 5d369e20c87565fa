//! Redis goes and comes back; who asks is never kept waiting for it.

use std::time::{Duration, Instant};

use mesh_chassis::redis::{Away, Redis, Script, Settings, cmd, pipe};
use testkit::{TestService, eventually, redis::RedisServer};

use crate::echo::Echo;

async fn connect(service: &TestService<Echo>, url: &str) -> Redis {
    let settings = Settings {
        redis_url: url.into(),
        redis_timeout_millis: 250,
    };
    Redis::connect(&settings, &service.context).await
}

async fn ping(redis: &Redis) -> Result<String, Away> {
    redis.run("test.ping", &cmd("PING")).await
}

#[tokio::test]
async fn d28_redis_may_go_and_comes_back_by_itself() {
    let service = TestService::<Echo>::start(&[]).await;
    let mut server = RedisServer::start();
    let redis = connect(&service, &server.url()).await;
    assert_eq!(ping(&redis).await.unwrap(), "PONG");
    server.kill();
    eventually("the loss is noticed", || async {
        match ping(&redis).await {
            Err(Away::Disconnected) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let asked = Instant::now();
    for _ in 0..100 {
        ping(&redis).await.unwrap_err();
    }
    // A hundred deadlines of 250 ms would take 25 s.
    assert!(
        asked.elapsed() < Duration::from_secs(10),
        "a Redis that is known to be away keeps nobody waiting"
    );
    server.restart();
    eventually("it is found again", || async {
        ping(&redis).await.map_err(|error| error.to_string())
    })
    .await;
}

#[tokio::test]
async fn pipelines_and_scripts_work_on_a_server_that_has_never_seen_them() {
    let service = TestService::<Echo>::start(&[]).await;
    let server = RedisServer::start();
    let redis = connect(&service, &server.url()).await;
    let mut commands = pipe();
    commands
        .cmd("SET")
        .arg("a")
        .arg(1)
        .ignore()
        .cmd("INCR")
        .arg("a");
    let (a,): (i64,) = redis.pipe("test.pipe", &commands).await.unwrap();
    assert_eq!(a, 2);
    let script = Script::new("return redis.call('INCRBY', KEYS[1], ARGV[1])");
    let mut invocation = script.key("a");
    invocation.arg(40);
    assert_eq!(
        redis
            .script::<i64>("test.script", &invocation)
            .await
            .unwrap(),
        42
    );
    server.flush();
    let gone: Option<i64> = redis.run("test.get", cmd("GET").arg("a")).await.unwrap();
    assert_eq!(gone, None);
    assert!(matches!(
        redis.run::<i64>("test.wrong", &cmd("NONSENSE")).await,
        Err(Away::Failed(_))
    ));
    assert!(redis.is_connected(), "a refusal is no loss");
}

#[tokio::test]
async fn a_service_starts_without_redis() {
    let service = TestService::<Echo>::start(&[]).await;
    let redis = connect(&service, "redis://127.0.0.1:1/0").await;
    assert!(matches!(ping(&redis).await, Err(Away::Disconnected)));
}
