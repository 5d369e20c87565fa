//! What `discussions` tells other services, over the real broker.

use messaging::{Broker, Consumer, declared, events::CarPostCreated};
use testkit::{PATIENCE, stores};
use tokio::sync::mpsc::unbounded_channel;

use crate::{
    helpers::{ANNA, BEN, Backend, Plaza, post},
    on_each_store,
};

on_each_store!(d10_a_new_post_is_told_once);

async fn d10_a_new_post_is_told_once(backend: Backend) {
    let url = stores::amqp();
    let plaza = Plaza::start_with(backend, &["--amqp-url", &url]).await;
    let settings = messaging::Settings {
        amqp_url: url.into(),
        messaging_failpoint: None,
    };
    let (sender, mut heard) = unbounded_channel();
    let broker = Broker::new("probe", &settings, &plaza.service.context).unwrap();
    Consumer::new("all")
        .on::<CarPostCreated, _, _>(move |event| {
            let _ = sender.send(event.data);
            async { Ok(()) }
        })
        .start(&broker, &plaza.service.context)
        .await;
    declared(&broker, "probe.all", PATIENCE).await.unwrap();

    for (author, title) in [(ANNA, "first"), (BEN, "second")] {
        let post_id = plaza.written(author, &post(title)).await;
        // A change is no new post.
        let path = format!("/api/posts/{post_id}");
        plaza
            .put_as(author, &path, &post("changed"))
            .await
            .expect(200);
        let told = CarPostCreated {
            post_id,
            user_id: author,
            title: title.into(),
            car_model: "Golf GTI".into(),
        };
        assert_eq!(heard.recv().await, Some(told));
    }
}
