//! F2 over a document store: a process dies at each step of the outbox without transactions.

use std::time::Duration;

use chassis::documents::{Collection, Database, connect};
use futures_util::TryStreamExt as _;
use mesh_messaging::{
    documents::{BEFORE_INSERT, Outbox},
    failpoint,
};
use mongodb::bson::{Document, doc};
use serde::{Deserialize, Serialize};
use testkit::{stores, unique};

use crate::{
    helpers::{Counted, Place, Process, QUEUE, effects},
    rabbit::Rabbit,
};

/// What is changed: a document, made with its event.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Thing {
    #[serde(rename = "_id")]
    id: String,
    number: i64,
}

/// Where the documents of a test are; its effects are in SQL, as always.
#[derive(Debug, Clone)]
struct Shop {
    place: Place,
    url: String,
    database: String,
}

/// The outbox of one process, and what it writes to.
#[derive(Debug, Clone)]
struct Open {
    outbox: Outbox,
    database: Database,
    things: Collection<Thing>,
}

impl Shop {
    fn new(url: String, amqp: String) -> Self {
        Self {
            place: Place::sqlite(amqp),
            database: unique("test_"),
            url,
        }
    }

    /// One on each backend of the document store.
    fn each() -> Vec<Self> {
        let urls = stores::documents().into_iter();
        urls.map(|url| Self::new(url, stores::amqp())).collect()
    }

    /// Opens the outbox in a process.
    async fn open(&self, process: &Process) -> Open {
        self.open_with_grace(process, Duration::from_mins(1)).await
    }

    async fn open_with_grace(&self, process: &Process, grace: Duration) -> Open {
        let shop = self.clone();
        process
            .run(move |service| async move {
                let database = connect(&service.context, &shop.url, &shop.database).await;
                let database = database.unwrap();
                let (broker, context) = (&service.broker, &service.context);
                Open {
                    outbox: Outbox::with_grace(broker, &database, context, grace),
                    things: database.collection("things"),
                    database,
                }
            })
            .await
    }
}

impl Open {
    async fn insert(&self, subject: &str, number: i64) -> bool {
        let thing = Thing {
            id: format!("{subject}.{number}"),
            number,
        };
        let event = Counted {
            subject: subject.to_owned(),
            number,
        };
        let inserted = self
            .outbox
            .insert("things.insert", &self.things, &thing, &event);
        inserted.await.unwrap()
    }

    /// Makes changes, each with its event.
    async fn change(&self, process: &Process, subject: &str, numbers: std::ops::Range<i64>) {
        let (open, subject) = (self.clone(), subject.to_owned());
        process
            .run(|_| async move {
                for number in numbers {
                    assert!(open.insert(&subject, number).await);
                }
            })
            .await;
    }

    async fn markers(&self, process: &Process) -> Vec<Document> {
        let markers = self.database.collection::<Document>("outbox");
        let list = |markers: mongodb::Collection<Document>| async move {
            markers.find(doc! {}).await?.try_collect().await
        };
        process
            .run(move |_| async move { markers.run("markers.list", list).await.unwrap() })
            .await
    }

    /// Waits until so many markers are left.
    async fn left(&self, process: &Process, count: usize) {
        testkit::eventually("an empty outbox", || async {
            match self.markers(process).await.len() {
                found if found == count => Ok(()),
                found => Err(format!("{found} markers")),
            }
        })
        .await;
    }
}

/// A relay dies at `step`; another process takes over.
async fn relay_dies_at(step: &'static str) {
    for shop in Shop::each() {
        let other = Process::start(&shop.place).await;
        other.consume().await;
        other.listening(QUEUE).await;
        let dying = Process::start(&shop.place).await;
        let reached = dying.service.broker.failpoints().stop_at(step);
        let open = shop.open(&dying).await;

        open.change(&dying, "a", 0..10).await;
        reached.notified().await;
        dying.kill();
        let open = shop.open(&other).await;

        effects(&other, "a", 0..10).await;
        open.left(&other, 0).await;
        // One more, so that anything that came twice has come by now.
        open.change(&other, "a", 10..11).await;
        effects(&other, "a", 0..11).await;
        other.stop().await;
    }
}

#[tokio::test]
async fn f2_after_insert_before_publish_the_event_is_published_by_another_process() {
    relay_dies_at(failpoint::BEFORE_PUBLISH).await;
}

#[tokio::test]
async fn f2_after_publish_before_deletion_the_event_comes_twice_and_acts_once() {
    relay_dies_at(failpoint::BEFORE_MARK).await;
}

#[tokio::test]
async fn f2_before_the_document_there_is_no_event_and_the_marker_goes() {
    for shop in Shop::each() {
        let dying = Process::start(&shop.place).await;
        let reached = dying.service.broker.failpoints().stop_at(BEFORE_INSERT);
        let open = shop.open(&dying).await;
        let stuck = open.clone();
        let inserting = dying.run(|_| async move {
            tokio::spawn(async move { stuck.insert("a", 7).await });
        });
        inserting.await;
        reached.notified().await;
        dying.kill();

        let other = Process::start(&shop.place).await;
        other.consume().await;
        other.listening(QUEUE).await;
        let open = shop.open_with_grace(&other, Duration::from_secs(3)).await;
        assert_eq!(open.markers(&other).await.len(), 1);
        open.change(&other, "a", 0..3).await;
        effects(&other, "a", 0..3).await;
        open.left(&other, 0).await;
        // The place is still free, and what takes it is told.
        open.change(&other, "a", 7..8).await;
        testkit::eventually("the last effect", || async {
            let found = other.run(|service| async move { service.numbers("effects", "a").await });
            match found.await?.as_slice() {
                [0, 1, 2, 7] => Ok(()),
                found => Err(format!("{found:?}")),
            }
        })
        .await;
        other.stop().await;
    }
}

#[tokio::test]
async fn who_finds_the_place_taken_tells_nothing() {
    for shop in Shop::each() {
        let (first, second) = (
            Process::start(&shop.place).await,
            Process::start(&shop.place).await,
        );
        first.consume().await;
        first.listening(QUEUE).await;
        let opened = (shop.open(&first).await, shop.open(&second).await);

        let mut won = 0;
        for number in 0..20 {
            let (one, other) = (opened.0.clone(), opened.1.clone());
            let (one, other) = tokio::join!(
                first.run(move |_| async move { one.insert("a", number).await }),
                second.run(move |_| async move { other.insert("a", number).await }),
            );
            won += i64::from(one) + i64::from(other);
        }

        assert_eq!(won, 20);
        opened.0.left(&first, 0).await;
        testkit::eventually("every effect", || async {
            let found = first.run(|service| async move { service.numbers("effects", "a").await });
            let mut found = found.await?;
            // Two relays do not wait for each other.
            found.sort_unstable();
            if found == (0..20).collect::<Vec<_>>() {
                Ok(())
            } else {
                Err(format!("{found:?}"))
            }
        })
        .await;
        first.stop().await;
        second.stop().await;
    }
}

#[tokio::test]
async fn f22_two_relays_at_once_keep_the_order_of_each_and_lose_nothing() {
    for shop in Shop::each() {
        let (first, second) = (
            Process::start(&shop.place).await,
            Process::start(&shop.place).await,
        );
        first.consume().await;
        first.listening(QUEUE).await;
        let opened = (shop.open(&first).await, shop.open(&second).await);

        tokio::join!(
            opened.0.change(&first, "a", 0..200),
            opened.1.change(&second, "b", 0..200),
        );

        effects(&first, "a", 0..200).await;
        effects(&first, "b", 0..200).await;
        opened.0.left(&first, 0).await;
        first.stop().await;
        second.stop().await;
    }
}

#[tokio::test]
async fn f4_the_broker_is_killed_and_nothing_is_lost_doubled_or_out_of_order() {
    let mut rabbit = Rabbit::start();
    let url = stores::documents().remove(0);
    let shop = Shop::new(url, rabbit.url());
    let process = Process::start(&shop.place).await;
    process.consume().await;
    process.settled(QUEUE).await;
    let open = shop.open(&process).await;

    open.change(&process, "a", 0..50).await;
    rabbit.kill();
    open.change(&process, "a", 50..100).await;
    assert!(
        !open.markers(&process).await.is_empty(),
        "published to nobody"
    );
    rabbit.restart();

    effects(&process, "a", 0..100).await;
    open.left(&process, 0).await;
    process.stop().await;
}

#[tokio::test]
async fn what_is_at_hand_at_shutdown_is_published() {
    for shop in Shop::each() {
        let (leaving, staying) = (
            Process::start(&shop.place).await,
            Process::start(&shop.place).await,
        );
        staying.consume().await;
        staying.listening(QUEUE).await;
        let open = shop.open(&leaving).await;

        open.change(&leaving, "a", 0..20).await;
        leaving.stop().await;

        effects(&staying, "a", 0..20).await;
        staying.stop().await;
    }
}
