//! Redis goes and comes back; who asks is never kept waiting for it.

use std::time::{Duration, Instant};

use mesh_chassis::redis::{Away, Heard, Redis, Script, Settings, cmd, pipe};
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

/// What the Redis of a mesh is told of services.
const USERS: &str = include_str!("../../../../stores/redis.acl");

/// A server that knows the services; passwords are their names.
async fn defined(service: &TestService<Echo>) -> RedisServer {
    let server = RedisServer::start();
    let operator = connect(service, &server.url()).await;
    for line in USERS.lines().filter(|line| line.starts_with("user ")) {
        let line = line.replace("${secret.redis-", "").replace('}', "");
        let mut define = cmd("ACL");
        define.arg("SETUSER");
        define.arg(line.split(' ').skip(1).collect::<Vec<_>>());
        let _: String = operator.run("test.define", &define).await.unwrap();
    }
    server
}

async fn connect_as(service: &TestService<Echo>, server: &RedisServer, user: &str) -> Redis {
    let url = server.url();
    let host = url.trim_start_matches("redis://");
    connect(service, &format!("redis://{user}:{user}@{host}")).await
}

async fn run(redis: &Redis, command: &str) -> Result<(), Away> {
    let mut words = command.split(' ');
    let mut asked = cmd(words.next().unwrap());
    asked.arg(words.collect::<Vec<_>>());
    redis
        .run::<mesh_chassis::redis::Value>("test.run", &asked)
        .await
        .map(drop)
}

#[tokio::test]
async fn a_service_has_the_keys_and_channels_of_its_name_and_no_others() {
    let service = TestService::<Echo>::start(&[]).await;
    let server = defined(&service).await;
    let likes = connect_as(&service, &server, "likes").await;
    for own in [
        "HSET likes:count:1 likes 2",
        "EXPIRE likes:count:1 5",
        "PUBLISH likes:all x",
        "EVAL return(redis.call('HGET',KEYS[1],'likes')) 1 likes:count:1",
    ] {
        run(&likes, own)
            .await
            .unwrap_or_else(|error| panic!("{own}: {error}"));
    }
    for other in [
        "GET timelines:home:1",
        "DEL timelines:home:1",
        "SET liked 1",
        "RENAME likes:count:1 timelines:home:1",
        "EVAL return(redis.call('GET','timelines:home:1')) 0",
        "PUBLISH live:rooms x",
        "SUBSCRIBE live:rooms",
        "FLUSHALL",
        "KEYS *",
        "SCAN 0",
        "CONFIG GET requirepass",
        "ACL LIST",
        "MONITOR",
        "FUNCTION FLUSH",
        "SCRIPT FLUSH",
        "SHUTDOWN NOSAVE",
    ] {
        let error = run(&likes, other).await.expect_err(other).to_string();
        let refused = error.contains("permission") || error.contains("can't access");
        assert!(refused, "{other}: {error}");
    }
    let stranger = connect_as(&service, &server, "nobody").await;
    assert!(!stranger.is_connected(), "somebody unknown is let in");
}

#[tokio::test]
async fn live_hears_what_discussions_tells() {
    let service = TestService::<Echo>::start(&[]).await;
    let server = defined(&service).await;
    let url = server.url();
    let host = url.trim_start_matches("redis://");
    let settings = Settings {
        redis_url: format!("redis://live:live@{host}").into(),
        redis_timeout_millis: 250,
    };
    let channel = proto::discussions::COMMENTS_CHANNEL;
    let mut heard = Redis::listen(&settings, &service.context, channel);
    assert_eq!(heard.recv().await, Some(Heard::Connected));
    let discussions = connect_as(&service, &server, "discussions").await;

    run(&discussions, &format!("PUBLISH {channel} hello"))
        .await
        .unwrap();

    assert_eq!(heard.recv().await, Some(Heard::Message(b"hello".to_vec())));
}
