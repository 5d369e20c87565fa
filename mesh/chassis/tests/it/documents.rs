//! Claim: an operation on documents that has begun comes to its end, whoever goes away; so nobody who goes away stops the store.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use futures_util::future::join_all;
use mesh_chassis::{
    Context, Error, Route, Service,
    documents::{Collection, Database, connect},
};
use mongodb::bson::{Document, doc};
use testkit::{TestService, stores, unique};
use tokio::{sync::Semaphore, task::JoinSet, time::timeout};

/// Operations of one process that a store has at a time, and some more.
const AT_ONCE: usize = 64;
const MANY: usize = 80;

#[derive(Debug, Clone, clap::Args)]
struct Settings {
    /// Where documents are kept
    #[arg(long)]
    store: String,
}

/// A service that has a store, and nothing to say about it.
#[derive(Debug)]
struct Shelf(Database);

impl Service for Shelf {
    const NAME: &'static str = "shelf";
    const DESCRIPTION: &'static str = "Keeps documents";
    type Settings = Settings;

    fn routes() -> Vec<Route<Self>> {
        Vec::new()
    }

    async fn build(settings: Settings, context: &Context) -> anyhow::Result<Self> {
        let database = connect(context, &settings.store, &unique("shelf")).await?;
        Ok(Self(database))
    }

    async fn ready(&self) -> Result<(), Error> {
        self.0.ping().await
    }
}

impl Shelf {
    fn books(&self) -> Collection<Document> {
        self.0.collection("books")
    }
}

async fn each_store() -> Vec<TestService<Shelf>> {
    let stores = stores::documents();
    join_all(
        stores
            .iter()
            .map(async |url| TestService::start(&["--store", url]).await),
    )
    .await
}

#[tokio::test]
async fn callers_that_give_up_do_not_stop_the_store() {
    for shelf in each_store().await {
        let books = shelf.service.books();
        for number in 0..100 {
            let book = doc! { "_id": number.to_string(), "text": "x".repeat(1000) };
            assert!(books.insert("books.insert", &book).await.unwrap());
        }
        let changes = (0..2_000).map(|number| {
            let (books, id) = (books.clone(), (number % 100).to_string());
            async move {
                let book = doc! { "_id": &id, "text": "y" };
                let change = books.replace("books.update", &id, &book);
                timeout(Duration::from_millis(number / 4), change)
                    .await
                    .is_err()
            }
        });
        let given_up = join_all(changes).await;
        let given_up = given_up.iter().filter(|given_up| **given_up).count();
        assert!(given_up > 100, "{given_up} were given up");

        shelf.service.0.ping().await.unwrap();
        let book = doc! { "_id": "0", "text": "z" };
        assert!(books.replace("books.update", &"0", &book).await.unwrap());
        assert_eq!(books.find("books.find", &"0").await.unwrap(), Some(book));
    }
}

/// What posts rely on: a replacement is never an insert, however late it comes.
#[tokio::test]
async fn a_document_that_is_removed_stays_removed_whoever_replaces_it() {
    for shelf in each_store().await {
        let books = shelf.service.books();
        for round in 0..10 {
            let id = round.to_string();
            let book = doc! { "_id": &id, "text": "x".repeat(1000) };
            assert!(books.insert("books.insert", &book).await.unwrap());
            let changes = (0..20).map(|number| {
                let (books, id) = (books.clone(), id.clone());
                async move {
                    if number == 10 {
                        assert!(books.remove("books.remove", &id).await.unwrap());
                    }
                    let book = doc! { "_id": &id, "text": number };
                    books.replace("books.update", &id, &book).await.unwrap();
                    let text = doc! { "text": number };
                    books.set("books.set", &id, text).await.unwrap();
                }
            });
            join_all(changes).await;
            assert_eq!(books.find("books.find", &id).await.unwrap(), None);
        }
    }
}

#[tokio::test]
async fn what_has_begun_ends_and_what_waits_is_not_begun() {
    for shelf in each_store().await {
        let books = shelf.service.books();
        let go = Arc::new(Semaphore::new(0));
        let begun: Vec<_> = (0..MANY)
            .map(|_| Arc::new(AtomicBool::new(false)))
            .collect();
        let mut callers = JoinSet::new();
        for (number, begun) in begun.iter().enumerate() {
            let (books, go, begun) = (books.clone(), Arc::clone(&go), Arc::clone(begun));
            callers.spawn(async move {
                let insert = |books: mongodb::Collection<Document>| async move {
                    begun.store(true, SeqCst);
                    let _turn = go.acquire().await;
                    books.insert_one(doc! { "_id": number.to_string() }).await
                };
                books.run("books.insert", insert).await
            });
        }
        let number_begun = || begun.iter().filter(|begun| begun.load(SeqCst)).count();
        testkit::eventually("as many as may", || async {
            let begun = number_begun();
            (begun == AT_ONCE).then_some(()).ok_or(begun.to_string())
        })
        .await;
        callers.shutdown().await;
        go.add_permits(MANY);
        testkit::eventually("the end of what has begun", || async {
            let count = |books: mongodb::Collection<Document>| async move {
                books.count_documents(doc! {}).await
            };
            let stored = books.run("books.count", count).await.unwrap();
            (stored == AT_ONCE as u64)
                .then_some(())
                .ok_or(stored.to_string())
        })
        .await;
        assert_eq!(number_begun(), AT_ONCE, "nobody waited for the others");
    }
}
