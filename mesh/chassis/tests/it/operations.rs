//! Repeated requests have their effect once (`Idempotency-Key`).

mod earlier;
mod lives;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use http::{HeaderValue, StatusCode, header};
use mesh_chassis::{
    Answer, Context, Error, Operations, Repeatable, Request, Route, Service, documents::Database,
};
use reqwest::Method;
use sea_orm_migration::{MigrationTrait, MigratorTrait, async_trait::async_trait};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use testkit::{Reply, TestService, send, stores, unique};
use tokio::sync::{Mutex, Semaphore};
use utoipa::ToSchema;

#[derive(Debug, Clone, clap::Args)]
struct Settings {
    /// Where operations are kept
    #[arg(long)]
    store: String,
    /// The document database, where it shall not be a new one
    #[arg(long)]
    database: Option<String>,
}

#[derive(Debug)]
struct Till<const KIOSK: bool = false> {
    operations: Operations,
    store: Store,
    sold: AtomicI64,
    /// A permit for each sale that may be answered, where the body says `wait`.
    go: Semaphore,
    /// Whether a sale is made and not answered.
    broken: AtomicBool,
    /// The operations that sales were made under.
    made: Mutex<Vec<String>>,
}

#[derive(Debug)]
enum Store {
    Sql(mesh_chassis::sql::Database),
    Documents(Database),
}

#[derive(Debug, Deserialize, ToSchema)]
struct Sale {
    amount: i64,
    #[serde(default)]
    wait: bool,
}

#[derive(Debug, Serialize, ToSchema)]
struct Receipt {
    number: i64,
    operation: String,
}

struct Migrator;

#[async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(mesh_chassis::operation::Migration),
            Box::new(mesh_chassis::operation::LocationMigration),
            Box::new(mesh_chassis::operation::NumberMigration),
        ]
    }
}

impl<const KIOSK: bool> Repeatable for Till<KIOSK> {
    fn operations(&self) -> &Operations {
        &self.operations
    }
}

impl<const KIOSK: bool> Service for Till<KIOSK> {
    const NAME: &'static str = if KIOSK { "kiosk" } else { "till" };
    const DESCRIPTION: &'static str = "Sells once";
    type Settings = Settings;

    fn routes() -> Vec<Route<Self>> {
        vec![
            Route::post("/sales", sell).idempotent(),
            Route::post("/other-sales", sell).idempotent(),
        ]
    }

    async fn build(settings: Settings, context: &Context) -> anyhow::Result<Self> {
        let url = settings.store.as_str();
        let (operations, store) = if url.starts_with("mongodb") {
            let name = settings.database.unwrap_or_else(|| unique("till"));
            let database = mesh_chassis::documents::connect(context, url, &name).await?;
            let operations = Operations::in_documents(&database, context);
            (operations, Store::Documents(database))
        } else {
            let url = Some(url).filter(|url| *url != "sqlite");
            let connection =
                mesh_chassis::sql::connect::<Migrator>(context, url, "till.db").await?;
            let operations = Operations::in_sql(&connection, context);
            (operations, Store::Sql(connection))
        };
        Ok(Self {
            operations,
            store,
            sold: AtomicI64::new(0),
            go: Semaphore::new(0),
            broken: AtomicBool::new(false),
            made: Mutex::default(),
        })
    }

    async fn ready(&self) -> Result<(), Error> {
        Ok(())
    }
}

async fn sell<const KIOSK: bool>(
    till: Arc<Till<KIOSK>>,
    request: Request,
    sale: Sale,
) -> Result<Answer<Receipt>, Error> {
    let number = till.sold.fetch_add(1, Ordering::SeqCst) + 1;
    till.made.lock().await.push(request.operation().to_string());
    if till.broken.load(Ordering::SeqCst) {
        return Err(Error::unavailable("The sale may be made, or not"));
    }
    if sale.wait {
        till.go.acquire().await.map_err(Error::internal)?.forget();
    }
    if sale.amount < 0 {
        return Err(Error::unacceptable("Nobody is paid for buying"));
    }
    let receipt = Receipt {
        number,
        operation: request.operation().to_string(),
    };
    let location = HeaderValue::try_from(format!("/sales/{number}")).map_err(Error::internal)?;
    Ok(Answer::from(receipt).header(header::LOCATION, location))
}

async fn each_store() -> Vec<TestService<Till>> {
    let mut urls = vec!["sqlite".to_owned(), stores::postgres().await];
    urls.extend(stores::documents());
    let mut tills = Vec::new();
    for url in urls {
        tills.push(TestService::<Till>::start(&["--store", &url]).await);
    }
    tills
}

fn request<const KIOSK: bool>(
    till: &TestService<Till<KIOSK>>,
    person: i64,
    key: &str,
    body: &Value,
) -> reqwest::RequestBuilder {
    let request = till.request(Method::POST, "/sales");
    let token = till.token(person, "ada");
    request
        .bearer_auth(token)
        .header("idempotency-key", key)
        .json(body)
}

async fn sale<const KIOSK: bool>(
    till: &TestService<Till<KIOSK>>,
    person: i64,
    key: &str,
    body: &Value,
) -> Reply {
    send(request(till, person, key, body)).await
}

#[tokio::test]
async fn d26_a_repetition_is_answered_as_the_first_and_done_once() {
    for till in each_store().await {
        let body = json!({"amount": 3});
        let first = sale(&till, 1, "a", &body).await;
        let again = sale(&till, 1, "a", &body).await;
        assert_eq!(first.expect(201), again.expect(201));
        assert_eq!(again.header("idempotent-replayed"), "true");
        assert_eq!(again.header("location"), "/sales/1");
        assert_eq!(till.service.sold.load(Ordering::SeqCst), 1);
        let quoted = sale(&till, 1, "\"a\"", &body).await;
        assert_eq!(
            first.expect(201),
            quoted.expect(201),
            "quotes are no part of a key"
        );
        let of_another = sale(&till, 2, "a", &body).await;
        assert_ne!(
            of_another.expect(201),
            first.expect(201),
            "keys are one's own"
        );
        let other = sale(&till, 1, "a", &json!({"amount": 4})).await;
        other.problem(StatusCode::UNPROCESSABLE_ENTITY.as_u16());
    }
}

#[tokio::test]
async fn a_key_belongs_to_a_route() {
    for till in each_store().await {
        let body = json!({"amount": 3});
        let here = sale(&till, 1, "a", &body).await;
        let elsewhere = till.request(Method::POST, "/other-sales");
        let elsewhere = elsewhere.bearer_auth(till.token(1, "ada"));
        let elsewhere = send(elsewhere.header("idempotency-key", "a").json(&body)).await;
        let operations = [&here, &elsewhere].map(|sale| sale.expect(201)["operation"].clone());
        assert_ne!(operations[0], operations[1]);
        assert_eq!(till.service.sold.load(Ordering::SeqCst), 2);
    }
}

#[tokio::test]
async fn a_key_belongs_to_a_service_whatever_they_share() {
    for url in stores::documents() {
        let shared = unique("shared");
        let flags = ["--store", &url, "--database", &shared];
        let till = TestService::<Till>::start(&flags).await;
        let kiosk = TestService::<Till<true>>::start(&flags).await;
        let body = json!({"amount": 3});
        let sold = sale(&till, 1, "a", &body).await;
        let also_sold = sale(&kiosk, 1, "a", &body).await;
        let operations = [&sold, &also_sold].map(|sale| sale.expect(201)["operation"].clone());
        assert_ne!(operations[0], operations[1]);
        assert_eq!(kiosk.service.sold.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn d26_of_many_at_once_one_is_done() {
    for till in each_store().await {
        let body = json!({"amount": 3, "wait": true});
        let first = tokio::spawn(request(&till, 1, "b", &body).send());
        testkit::eventually("the first is at work", || async {
            match till.service.sold.load(Ordering::SeqCst) {
                1 => Ok(()),
                _ => Err("not yet".into()),
            }
        })
        .await;
        for _ in 0..5 {
            let conflict = sale(&till, 1, "b", &body).await;
            conflict.problem(409);
            assert_eq!(conflict.header("retry-after"), "1");
        }
        till.service.go.add_permits(1);
        assert_eq!(first.await.unwrap().unwrap().status(), 201);
        sale(&till, 1, "b", &body).await.expect(201);
        assert_eq!(till.service.sold.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn d26_who_hangs_up_finds_the_answer_later() {
    for till in each_store().await {
        let body = json!({"amount": 3, "wait": true});
        let impatient = request(&till, 1, "c", &body).timeout(Duration::from_millis(300));
        assert!(impatient.send().await.is_err());
        till.service.go.add_permits(1);
        testkit::eventually("the answer", || async {
            match sale(&till, 1, "c", &body).await {
                answer if answer.status == 201 => Ok(()),
                answer => Err(format!("{answer:?}")),
            }
        })
        .await;
        assert_eq!(till.service.sold.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn d26_a_failure_is_not_kept_and_a_bad_key_is_told() {
    for till in each_store().await {
        let refused = json!({"amount": -1});
        sale(&till, 1, "d", &refused).await.problem(422);
        sale(&till, 1, "d", &refused).await.problem(422);
        assert_eq!(till.service.sold.load(Ordering::SeqCst), 2);
        let body = json!({"amount": 1});
        sale(&till, 1, "", &body).await.problem(400);
        sale(&till, 1, &"x".repeat(256), &body).await.problem(400);
    }
}
