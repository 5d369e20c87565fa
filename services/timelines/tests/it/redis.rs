//! Redis never has the only copy of anything (D28).

use chassis::redis;
use serde_json::json;
use testkit::eventually;

use crate::helpers::{Backend, NO_REDIS, Plaza, ids};

crate::on_each_store![
    d28_every_read_answers_without_redis,
    d28_what_redis_forgot_is_right_again_at_once,
    d28_what_happens_while_redis_is_away_is_there_when_it_is_back,
    d28_an_old_copy_that_redis_starts_from_is_not_believed,
    d28_posts_written_while_home_timelines_are_rebuilt_are_not_lost,
];

async fn d28_every_read_answers_without_redis(backend: Backend) {
    let plaza = Plaza::start_with(backend, &["--redis-url", NO_REDIS]).await;
    let (reader, ada) = (plaza.person(), plaza.person());
    plaza.follow(&reader, &ada).await;
    let all = plaza.many_written(&ada, 60).await;
    assert_eq!(plaza.home(&reader).await, all[..50]);
    let path = format!("/posts/home/{}", reader.username);
    assert_eq!(plaza.pages(&reader, &path, 7).await, all);
    for path in ["/posts", &format!("/posts/{}", ada.username)] {
        let reply = plaza.get(path).await;
        assert_eq!(ids(reply.expect(200)), all[..50], "{path}");
    }
    let path = format!("/posts/id/{}", all[0]);
    plaza.get(&path).await.expect(200);
    plaza.delete_as(&ada, &path).await.expect(200);
    assert_eq!(plaza.home(&reader).await, all[1..51]);
}

async fn d28_what_redis_forgot_is_right_again_at_once(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let (reader, ada) = (plaza.person(), plaza.person());
    plaza.follow(&reader, &ada).await;
    let mut all = plaza.many_written(&ada, 3).await;
    plaza.sees(&reader, &all).await;
    for _ in 0..3 {
        plaza.redis.lock().unwrap().flush();
        assert_eq!(plaza.cached(&reader).await.unwrap(), [0; 0]);
        assert_eq!(plaza.home(&reader).await, all);
        all.insert(0, plaza.written(&ada, "one more").await);
        plaza.delivered(&reader, all[0]).await;
        assert_eq!(plaza.home(&reader).await, all);
    }
    // A post that is delivered to nothing is no home timeline.
    plaza.redis.lock().unwrap().flush();
    all.insert(0, plaza.written(&ada, "to nobody").await);
    let idle = plaza.person();
    plaza.follow(&idle, &ada).await;
    plaza.sees(&idle, &all).await;
    assert_eq!(plaza.home(&reader).await, all);
}

async fn d28_what_happens_while_redis_is_away_is_there_when_it_is_back(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let (reader, ada, grace) = (plaza.person(), plaza.person(), plaza.person());
    plaza.follow(&reader, &ada).await;
    let mut all = plaza.many_written(&ada, 3).await;
    plaza.sees(&reader, &all).await;
    plaza.redis.lock().unwrap().kill();
    assert_eq!(plaza.home(&reader).await, all);
    all.insert(0, plaza.written(&ada, "during").await);
    assert_eq!(plaza.home(&reader).await, all);
    let of_grace = plaza.written(&grace, "by another").await;
    plaza.follow(&reader, &grace).await;
    all.insert(0, of_grace);
    assert_eq!(plaza.home(&reader).await, all);
    plaza.redis.lock().unwrap().restart();
    all.insert(0, plaza.written(&ada, "after").await);
    assert_eq!(plaza.home(&reader).await, all);
    eventually("the home timeline in Redis", || async {
        assert_eq!(plaza.home(&reader).await, all);
        match plaza.cached(&reader).await?.len() {
            7 => Ok(()),
            found => Err(format!("{found} numbers")),
        }
    })
    .await;
}

async fn d28_an_old_copy_that_redis_starts_from_is_not_believed(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let (reader, ada) = (plaza.person(), plaza.person());
    plaza.follow(&reader, &ada).await;
    let mut all = plaza.many_written(&ada, 3).await;
    plaza.sees(&reader, &all).await;
    let redis = plaza.ask_redis().await;
    let key = format!("timelines:home:{}:1", reader.id);
    let copy: Vec<u8> = redis
        .run("test", redis::cmd("DUMP").arg(&key))
        .await
        .unwrap();
    all.insert(0, plaza.written(&ada, "after the copy").await);
    plaza.delivered(&reader, all[0]).await;
    plaza.redis.lock().unwrap().restart();
    eventually("the copy in Redis", || async {
        let mut restoring = redis::cmd("RESTORE");
        restoring.arg(&key).arg(0).arg(&copy).arg("REPLACE");
        let restored = redis.run::<()>("test", &restoring).await;
        restored.map_err(|error| error.to_string())
    })
    .await;
    for _ in 0..20 {
        assert_eq!(plaza.home(&reader).await, all);
    }
    eventually("a home timeline of this run", || async {
        assert_eq!(plaza.home(&reader).await, all);
        match plaza.cached(&reader).await?.len() {
            5 => Ok(()),
            found => Err(format!("{found} numbers")),
        }
    })
    .await;
}

async fn d28_posts_written_while_home_timelines_are_rebuilt_are_not_lost(backend: Backend) {
    let plaza = Plaza::start_with(backend, &["--home-size", "40"]).await;
    let (reader, ada) = (plaza.person(), plaza.person());
    plaza.follow(&reader, &ada).await;
    let writing = async {
        let mut all = Vec::new();
        for number in 0..100 {
            all.insert(0, plaza.written(&ada, &number.to_string()).await);
        }
        all
    };
    let losing = async {
        for _ in 0..100 {
            plaza.redis.lock().unwrap().flush();
            plaza.home(&reader).await;
        }
    };
    let (mut all, ()) = tokio::join!(writing, losing);
    // What is in Redis now was made while posts were written, and is not made again.
    all.insert(0, plaza.written(&ada, "the last").await);
    plaza.home(&reader).await;
    plaza.delivered(&reader, all[0]).await;
    eventually("every delivery", || async {
        let mut cached = plaza.cached(&reader).await?;
        cached.reverse();
        if cached == all[..40] {
            Ok(())
        } else {
            Err(format!("{cached:?}"))
        }
    })
    .await;
    let path = format!("/posts/home/{}?limit=200", reader.username);
    let home = plaza.get_as(&reader, &path).await;
    assert_eq!(ids(home.expect(200)), all);
    assert_eq!(home.json[0]["text"], json!("the last"));
}
