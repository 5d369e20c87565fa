//! A broker of a mesh: it has loaded the queues of all services and a user for each, before anybody came.

use std::time::Duration;

use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    options::{
        BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeleteOptions,
        QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions, QueuePurgeOptions,
    },
    types::FieldTable,
};
use mesh_messaging::{
    Broker, Consumer, Event as _, Failure, Settings, Subscription, dead_letters,
    events::{PostDeleted, PostLiked, UserFollowed, UserUnfollowed},
};
use testkit::eventually_within;
use tokio::sync::mpsc;

use crate::{
    helpers::{Place, Process, published},
    rabbit::Rabbit,
};

const FOLLOWS: Subscription =
    Subscription::new("graph", &[UserFollowed::TYPE, UserUnfollowed::TYPE]);
const CHECKED: Subscription =
    Subscription::new("validation", &[PostLiked::TYPE, PostDeleted::TYPE]).shared();
/// RabbitMQ boots meanwhile.
const BOOT: Duration = Duration::from_mins(3);

fn place(rabbit: &Rabbit, service: &'static str) -> Place {
    let mut place = Place::sqlite(rabbit.url_of(service));
    place.service = service;
    place
}

/// A channel of a user who asks the broker itself, once it is there.
async fn channel(rabbit: &Rabbit, user: &str) -> (Connection, Channel) {
    let url = rabbit.url_of(user) + "%2f";
    eventually_within(BOOT, "the broker", || async {
        let connection = Connection::connect(&url, ConnectionProperties::default()).await;
        let connection = connection.map_err(|error| error.to_string())?;
        let channel = connection.create_channel().await;
        Ok::<_, String>((connection, channel.map_err(|error| error.to_string())?))
    })
    .await
}

/// What somebody tries, each on a channel of its own: a refusal closes it.
async fn refused<T: std::fmt::Debug>(
    connection: &Connection,
    what: &str,
    tried: impl AsyncFnOnce(Channel) -> lapin::Result<T>,
) {
    let channel = connection.create_channel().await.unwrap();
    let error = tried(channel).await.expect_err(what).to_string();
    assert!(
        error.contains("ACCESS_REFUSED") || error.contains("access"),
        "{what}: {error}"
    );
}

async fn publish(channel: Channel, exchange: &str, key: &str) -> lapin::Result<()> {
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await?;
    let options = BasicPublishOptions::default();
    let properties = BasicProperties::default();
    let sent = channel.basic_publish(exchange.into(), key.into(), options, b"{}", properties);
    sent.await?.await.map(drop)
}

#[tokio::test]
async fn what_happens_before_the_first_consumer_ever_came_is_heard() {
    let rabbit = Rabbit::defined();
    let users = Process::start(&place(&rabbit, "users")).await;
    let outbox = users.relay().await;
    users
        .run(move |service| async move {
            let transaction = service.connection.begin().await.unwrap();
            let event = UserFollowed {
                follower_id: 1,
                followee_id: 2,
                version: Some(1),
            };
            outbox.insert(&transaction, &event).await.unwrap();
            outbox.commit(transaction).await.unwrap();
        })
        .await;
    published(&users).await;

    let timelines = Process::start(&place(&rabbit, "timelines")).await;
    let (sender, mut heard) = mpsc::unbounded_channel();
    let consumer = Consumer::of(&FOLLOWS)
        .on::<UserFollowed, _, _>(move |event| {
            sender.send(event.data).unwrap();
            std::future::ready(Ok(()))
        })
        .on::<UserUnfollowed, _, _>(|_| std::future::ready(Ok(())));
    timelines.start_consumer(consumer).await;

    let heard = tokio::time::timeout(testkit::PATIENCE, heard.recv()).await;
    assert_eq!(heard.unwrap().unwrap().followee_id, 2);
    users.stop().await;
    timelines.stop().await;
}

#[tokio::test]
async fn a_service_has_its_own_queues_and_says_what_happens_in_it_and_nothing_else() {
    let rabbit = Rabbit::defined();
    let (likes, own) = channel(&rabbit, "likes").await;

    let mine = own.basic_get("likes.validation".into(), BasicGetOptions::default());
    assert!(mine.await.unwrap().is_none());
    publish(own, "plaza.events", "likes.liked").await.unwrap();

    refused(&likes, "to read another's queue", async |channel| {
        let options = BasicGetOptions::default();
        channel.basic_get("timelines.graph".into(), options).await
    })
    .await;
    refused(&likes, "to empty another's queue", async |channel| {
        let options = QueuePurgeOptions::default();
        channel.queue_purge("timelines.graph".into(), options).await
    })
    .await;
    refused(&likes, "to tell in another's name", async |channel| {
        publish(channel, "plaza.events", "users.followed").await
    })
    .await;
    for exchange in ["", "timelines.queues"] {
        refused(&likes, "to write into another's queue", async |channel| {
            publish(channel, exchange, "timelines.graph").await
        })
        .await;
    }
    refused(
        &likes,
        "to hear what it has no consumer for",
        async |channel| {
            let (queue, exchange) = ("likes.validation".into(), "plaza.events".into());
            let (key, table) = ("users.registered".into(), FieldTable::default());
            let options = QueueBindOptions::default();
            channel
                .queue_bind(queue, exchange, key, options, table)
                .await
        },
    )
    .await;
    refused(&likes, "to make what is not its own", async |channel| {
        let options = QueueDeclareOptions::durable();
        let table = FieldTable::default();
        channel
            .queue_declare("timelines.more".into(), options, table)
            .await
    })
    .await;
    refused(&likes, "to end all events", async |channel| {
        let options = ExchangeDeleteOptions::default();
        channel
            .exchange_delete("plaza.events".into(), options)
            .await
    })
    .await;
    likes.close(200, "done".into()).await.unwrap();
}

#[tokio::test]
async fn with_its_own_rights_a_service_mends_its_queue_and_keeps_what_it_cannot_handle() {
    let rabbit = Rabbit::defined();
    let (operator, channel) = channel(&rabbit, "plaza").await;
    let likes = Process::start(&place(&rabbit, "likes")).await;
    let consumer = Consumer::of(&CHECKED)
        .on::<PostLiked, _, _>(|_| std::future::ready(Err(Failure::of(anyhow::anyhow!("no")))))
        .on::<PostDeleted, _, _>(|_| std::future::ready(Ok(())));
    likes.start_consumer(consumer).await;
    let outbox = likes.relay().await;

    let options = QueueDeleteOptions::default();
    channel
        .queue_delete("likes.validation".into(), options)
        .await
        .unwrap();
    let settings = Settings {
        amqp_url: rabbit.url_of("plaza").into(),
        messaging_failpoint: None,
    };
    let dns = likes.service.context.dns.clone();
    let broker = Broker::operated(&settings, &dns).unwrap();
    eventually_within(BOOT, "a dead letter", || async {
        let outbox = outbox.clone();
        likes
            .run(move |service| async move {
                let transaction = service.connection.begin().await.unwrap();
                let event = PostLiked {
                    post_id: 1,
                    user_id: 2,
                    username: "ada".into(),
                };
                outbox.insert(&transaction, &event).await.unwrap();
                outbox.commit(transaction).await.unwrap();
            })
            .await;
        let letters = dead_letters::list(&broker, "likes.validation", 1).await;
        let letters = letters.map_err(|error| format!("{error:#}"))?;
        let letter = letters.first().ok_or("none")?;
        assert_eq!(
            (letter.attempts, letter.reason.as_str()),
            (5, "failed 5 times: no")
        );
        Ok::<_, String>(())
    })
    .await;

    likes.stop().await;
    operator.close(200, "done".into()).await.unwrap();
}
