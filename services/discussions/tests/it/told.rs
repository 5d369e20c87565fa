//! What is stored is told over Redis to those who listen, and stored without it too.

use chassis::{
    Address, Upstream,
    redis::{self, Heard, Redis},
};
use prost::Message as _;
use proto::discussions::{
    AddCommentRequest, COMMENTS_CHANNEL, CommentStored, DiscussionsAddComment,
};
use serde_json::json;
use testkit::redis::RedisServer;
use tokio::{sync::mpsc::Receiver, time::timeout};

use crate::{
    helpers::{ANNA, BEN, Backend, Plaza, post},
    on_each_store,
};

on_each_store!(
    s0_27_every_comment_is_told_to_those_who_listen,
    d8_a_changed_and_a_removed_comment_are_told_too,
    d28_comments_are_stored_without_redis,
);

/// What is told of a post next; others are talked about on the same Redis.
async fn told(heard: &mut Receiver<Heard>, post: &str) -> CommentStored {
    loop {
        let next = timeout(testkit::PATIENCE, heard.recv()).await;
        if let Heard::Message(bytes) = next.unwrap().unwrap() {
            let stored = CommentStored::decode(bytes.as_slice()).unwrap();
            if stored.post_id == post {
                return stored;
            }
        }
    }
}

fn listen(plaza: &Plaza, url: &str) -> Receiver<Heard> {
    let settings = redis::Settings {
        redis_url: url.into(),
        redis_timeout_millis: 250,
    };
    Redis::listen(&settings, &plaza.service.context, COMMENTS_CHANNEL)
}

async fn add(plaza: &Plaza, post_id: &str, text: &str) -> proto::discussions::Comment {
    let address = Address::Url(format!("http://{}", plaza.service.address));
    let request = AddCommentRequest {
        post_id: post_id.into(),
        user_id: BEN,
        text: text.into(),
    };
    let upstream = Upstream::new(&address).unwrap();
    upstream
        .call::<DiscussionsAddComment>(request)
        .await
        .unwrap()
}

async fn s0_27_every_comment_is_told_to_those_who_listen(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let mut heard = listen(&plaza, &std::env::var("TEST_REDIS_URL").unwrap());
    assert_eq!(heard.recv().await, Some(Heard::Connected));
    let post = plaza.written(ANNA, &post("Best car")).await;
    let id = plaza.commented(BEN, &post, "by REST").await;
    let comment = told(&mut heard, &post).await.comment.unwrap();
    assert_eq!((comment.comment_id, comment.number), (id, 1));
    assert_eq!((comment.user_id, comment.text.as_str()), (BEN, "by REST"));
    let added = add(&plaza, &post, "by a socket").await;
    assert_eq!(told(&mut heard, &post).await.comment, Some(added));
}

async fn d8_a_changed_and_a_removed_comment_are_told_too(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let mut heard = listen(&plaza, &std::env::var("TEST_REDIS_URL").unwrap());
    assert_eq!(heard.recv().await, Some(Heard::Connected));
    let post = plaza.written(ANNA, &post("Best car")).await;
    let id = plaza.commented(BEN, &post, "rash").await;
    assert!(!told(&mut heard, &post).await.changed);
    let path = format!("/api/posts/{post}/comments/{id}");
    let body = json!({ "comment_text": "calm" });
    plaza.put_as(BEN, &path, &body).await.expect(200);
    assert_eq!(
        changed(&mut heard, &post).await,
        (id.clone(), "calm".into())
    );
    plaza.delete_as(BEN, &path).await.expect(200);
    assert_eq!(changed(&mut heard, &post).await, (id, String::new()));
}

/// The id and text of a comment of which is told that it is another one now.
async fn changed(heard: &mut Receiver<Heard>, post: &str) -> (String, String) {
    let stored = told(heard, post).await;
    assert!(stored.changed);
    let comment = stored.comment.unwrap();
    (comment.comment_id, comment.text)
}

async fn d28_comments_are_stored_without_redis(backend: Backend) {
    let mut redis = RedisServer::start();
    let plaza = Plaza::start_with(backend, &["--redis-url", &redis.url()]).await;
    let post = plaza.written(ANNA, &post("Best car")).await;
    plaza.commented(BEN, &post, "with").await;
    redis.kill();
    plaza.commented(BEN, &post, "without").await;
    assert_eq!(add(&plaza, &post, "by a socket").await.number, 3);
    // It starts without as well.
    let another = plaza.another().await;
    let path = format!("/api/posts/{post}/comments");
    let body = json!({ "comment_text": "elsewhere" });
    another.post_as(BEN, &path, &body).await.expect(201);
    let texts = ["elsewhere", "by a socket", "without", "with"];
    assert_eq!(plaza.listed(&path, "comment_text").await, texts);
}
