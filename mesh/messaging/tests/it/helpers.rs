//! A service that counts: every event it hears of leaves a row, in the order of their effects.

use std::{future::Future, sync::Arc, time::Duration};

use chassis::{Context, Tokens, sql};
use clap::Parser;
use discovery::Dns;
use mesh_messaging::{Broker, Consumer, Event, Failure, Outbox, Received, Settings, inbox, outbox};
use sea_orm::{ConnectionTrait as _, Statement, TryGetable};
use sea_orm_migration::{MigratorTrait, prelude::*, schema::*};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use testkit::{eventually_within, stores};
use tokio::{
    runtime::{Builder, Runtime},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) const CONSUMER: &str = "effects";
pub(crate) const QUEUE: &str = "counter.effects";
/// Far more than anything takes in which RabbitMQ may have to boot.
const BOOT: Duration = Duration::from_mins(3);

/// The `number`-th thing that happened to `subject`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counted {
    pub(crate) subject: String,
    pub(crate) number: i64,
}

impl Event for Counted {
    const TYPE: &'static str = "counter.counted";
    fn subject(&self) -> String {
        self.subject.clone()
    }
}

struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(outbox::Migration),
            Box::new(inbox::Migration),
            Box::new(Effects),
        ]
    }
}

struct Effects;

impl MigrationName for Effects {
    fn name(&self) -> &'static str {
        "m0001_effects"
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait's own macro does not accept a written lifetime"
)]
#[async_trait::async_trait]
impl MigrationTrait for Effects {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["changes", "effects"] {
            let table = Table::create()
                .table(table)
                .col(pk_auto("id").big_integer())
                .col(string("subject"))
                .col(big_integer("number"))
                .to_owned();
            manager.create_table(table).await?;
        }
        // A change is made once; an effect could come twice, which is what tests look for.
        let once = Index::create()
            .unique()
            .name("changes_once")
            .table("changes")
            .col("subject")
            .col("number")
            .to_owned();
        manager.create_index(once).await
    }
}

/// Where the data of a test is.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// Whose it is.
    pub(crate) service: &'static str,
    pub(crate) amqp: String,
    pub(crate) database: String,
    /// For [`Settings::messaging_failpoint`].
    pub(crate) failpoint: Option<String>,
    _folder: Option<Arc<TempDir>>,
}

impl Place {
    pub(crate) fn sqlite(amqp: String) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let file = folder.path().join("counter.db");
        Self {
            service: "counter",
            amqp,
            database: format!("sqlite://{}?mode=rwc", file.display()),
            failpoint: None,
            _folder: Some(folder),
        }
    }

    /// The place of another process.
    pub(crate) fn of(amqp: String, database: String, failpoint: Option<String>) -> Self {
        Self {
            service: "counter",
            amqp,
            database,
            failpoint,
            _folder: None,
        }
    }

    pub(crate) async fn postgres(amqp: String) -> Self {
        Self {
            database: stores::postgres().await,
            ..Self::sqlite(amqp)
        }
    }

    /// One on each store.
    pub(crate) async fn each() -> [Self; 2] {
        [
            Self::sqlite(stores::amqp()),
            Self::postgres(stores::amqp()).await,
        ]
    }
}

#[derive(Debug, Parser)]
#[command(no_binary_name = true)]
struct Flags {
    #[command(flatten)]
    chassis: chassis::Settings,
    #[command(flatten)]
    messaging: Settings,
}

/// A process: it has a runtime of its own, and dies with it, without a word to anybody.
#[derive(Debug)]
pub(crate) struct Process {
    runtime: Option<Runtime>,
    pub(crate) service: Service,
}

/// What runs in a process.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) broker: Broker,
    pub(crate) context: Context,
    pub(crate) connection: sql::Database,
}

impl Process {
    pub(crate) async fn start(place: &Place) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let place = place.clone();
        let service = runtime.spawn(async move { Service::open(&place).await });
        let service = service.await.unwrap();
        Self {
            runtime: Some(runtime),
            service,
        }
    }

    /// Runs something in this process.
    pub(crate) async fn run<T: Send + 'static, R>(
        &self,
        work: impl FnOnce(Service) -> R + Send + 'static,
    ) -> T
    where
        R: Future<Output = T> + Send + 'static,
    {
        let service = self.service.clone();
        let runtime = self.runtime.as_ref().unwrap();
        runtime
            .spawn(async move { work(service).await })
            .await
            .unwrap()
    }

    /// Starts the relay.
    pub(crate) async fn relay(&self) -> Outbox {
        self.run(|service| async move {
            Outbox::start(&service.broker, &service.connection, &service.context)
        })
        .await
    }

    /// Starts the consumer that writes effects down.
    pub(crate) async fn consume(&self) {
        self.run(|service| async move {
            let connection = service.connection.clone();
            let consumer = Consumer::new(CONSUMER)
                .on::<Counted, _, _>(move |event| effect(connection.clone(), event));
            consumer.start(&service.broker, &service.context).await;
        })
        .await;
    }

    /// Starts any consumer.
    pub(crate) async fn start_consumer(&self, consumer: Consumer) {
        self.run(|service| async move { consumer.start(&service.broker, &service.context).await })
            .await;
    }

    /// Makes changes, each in a transaction of its own with its event.
    pub(crate) async fn change(
        &self,
        outbox: &Outbox,
        subject: &str,
        numbers: std::ops::Range<i64>,
    ) {
        let (outbox, subject) = (outbox.clone(), subject.to_owned());
        self.run(|service| async move {
            for number in numbers {
                let event = Counted {
                    subject: subject.clone(),
                    number,
                };
                change(&service.connection, &outbox, &event).await;
            }
        })
        .await;
    }

    /// Waits until the queue of the consumer is declared: events before that reach nobody.
    pub(crate) async fn listening(&self, queue: &'static str) {
        let found = self.run(move |service| async move {
            mesh_messaging::declared(&service.broker, queue, BOOT).await
        });
        found.await.unwrap();
    }

    /// As [`Process::listening`], and until the queue survives `kill -9` of the broker: RabbitMQ
    /// has a declaration on disk only when no other came for about half a second.
    pub(crate) async fn settled(&self, queue: &'static str) {
        self.listening(queue).await;
        let since = Instant::now();
        testkit::eventually("a queue on disk", || async {
            let age = since.elapsed();
            let is_old = age >= Duration::from_secs(3);
            is_old.then_some(()).ok_or_else(|| format!("{age:?}"))
        })
        .await;
    }

    /// The process is gone, as by `kill -9`.
    pub(crate) fn kill(mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }

    /// The process ends in order.
    pub(crate) async fn stop(self) {
        self.run(|service| async move {
            service.context.shutdown.cancel();
            service.context.tasks.close();
            service.context.tasks.wait().await;
        })
        .await;
        self.kill();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Service {
    pub(crate) async fn open(place: &Place) -> Self {
        let mut flags = vec!["--registration=off", "--amqp-url", &place.amqp];
        flags.push("--sql-timeout-millis=30000");
        if let Some(failpoint) = &place.failpoint {
            flags.extend(["--messaging-failpoint", failpoint]);
        }
        let flags = Flags::try_parse_from(flags).unwrap();
        let context = Context {
            roles: chassis::Roles::default(),
            instance: "counter-1".into(),
            dns: Dns::new(flags.chassis.consul_dns_addr).unwrap(),
            tokens: Arc::new(Tokens::new(flags.chassis.scheme().unwrap())),
            tasks: TaskTracker::new(),
            shutdown: CancellationToken::new(),
            settings: flags.chassis,
        };
        let delays = [Duration::from_millis(50); 4];
        let broker =
            Broker::with_delays(place.service, &flags.messaging, &context, &delays).unwrap();
        let url = Some(place.database.as_str());
        let connection = sql::connect::<Migrator>(&context, url, "counter.db").await;
        Self {
            broker,
            context,
            connection: connection.unwrap(),
        }
    }

    /// The numbers in `table`, in the order of their rows.
    pub(crate) async fn numbers(&self, table: &str, subject: &str) -> Result<Vec<i64>, String> {
        let backend = self.connection.get_database_backend();
        let sql = format!("SELECT number FROM {table} WHERE subject = $1 ORDER BY id");
        let statement = Statement::from_sql_and_values(backend, sql, [subject.into()]);
        let rows = self.connection.query_all_raw(statement).await;
        let rows = rows.map_err(|error| error.to_string())?;
        let number = |row| i64::try_get(row, "", "number").unwrap();
        Ok(rows.iter().map(number).collect())
    }

    /// How many changes there are of the subjects of a writer.
    pub(crate) async fn made(&self, writer: &str) -> Result<i64, DbErr> {
        let backend = self.connection.get_database_backend();
        let sql = "SELECT COUNT(*) AS number FROM changes WHERE subject LIKE $1";
        let subjects = [format!("{writer}.%").into()];
        let statement = Statement::from_sql_and_values(backend, sql, subjects);
        let row = self.connection.query_one_raw(statement).await?;
        Ok(i64::try_get(&row.unwrap(), "", "number")?)
    }

    /// Rows of a table.
    pub(crate) async fn count(&self, table: &str) -> Result<i64, String> {
        let backend = self.connection.get_database_backend();
        let sql = format!("SELECT COUNT(*) AS number FROM {table}");
        let row = self
            .connection
            .query_one_raw(Statement::from_string(backend, sql))
            .await;
        let row = row.map_err(|error| error.to_string())?;
        Ok(i64::try_get(&row.unwrap(), "", "number").unwrap())
    }
}

pub(crate) async fn change(connection: &sql::Database, outbox: &Outbox, event: &Counted) {
    try_change(connection, outbox, event).await.unwrap();
}

/// Makes a change and tells of it, both or neither.
pub(crate) async fn try_change(
    connection: &sql::Database,
    outbox: &Outbox,
    event: &Counted,
) -> Result<(), chassis::Error> {
    let transaction = connection.begin().await?;
    insert(&transaction, "changes", event).await?;
    outbox.insert(&transaction, event).await?;
    outbox.commit(transaction).await
}

pub(crate) async fn effect(
    connection: sql::Database,
    event: Received<Counted>,
) -> Result<(), Failure> {
    let transaction = connection.begin().await?;
    if inbox::once(&transaction, CONSUMER, &event.id).await? {
        insert(&transaction, "effects", &event.data).await?;
    }
    transaction.commit().await?;
    Ok(())
}

async fn insert(
    transaction: &sea_orm::DatabaseTransaction,
    table: &str,
    event: &Counted,
) -> Result<(), DbErr> {
    let backend = transaction.get_database_backend();
    let sql = format!("INSERT INTO {table} (subject, number) VALUES ($1, $2)");
    let values = [event.subject.as_str().into(), event.number.into()];
    let statement = Statement::from_sql_and_values(backend, sql, values);
    transaction.execute_raw(statement).await?;
    Ok(())
}

/// Waits until the effects on `subject` are these numbers, once each and in order.
pub(crate) async fn effects(process: &Process, subject: &str, numbers: std::ops::Range<i64>) {
    let wanted: Vec<i64> = numbers.collect();
    eventually_within(BOOT, "every effect", || async {
        let subject = subject.to_owned();
        let found = process
            .run(move |service| async move { service.numbers("effects", &subject).await })
            .await?;
        if found.len() < wanted.len() {
            return Err(format!("{} of {}", found.len(), wanted.len()));
        }
        assert_eq!(found, wanted);
        Ok(())
    })
    .await;
}

/// Waits until nothing is left to publish.
pub(crate) async fn published(process: &Process) {
    process
        .run(|service| async move { published_by(&service).await })
        .await;
}

/// Waits until nothing is left in an outbox.
pub(crate) async fn published_by(service: &Service) {
    eventually_within(BOOT, "an empty outbox", || async {
        match service.count("outbox").await? {
            0 => Ok(()),
            rows => Err(format!("{rows} rows")),
        }
    })
    .await;
}
