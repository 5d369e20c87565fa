//! What other services tell `timelines`: who follows whom, and more.

use chassis::{Context, sql};
use chrono::{DateTime, Utc};
use messaging::{Broker, Envelope, Event, Outbox};
use sea_orm::{ConnectionTrait as _, Statement};
use sea_orm_migration::{MigrationTrait, MigratorTrait};

struct OutboxAlone;

impl MigratorTrait for OutboxAlone {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(messaging::outbox::Migration)]
    }
}

/// The broker, as a service of this name knows it.
pub fn broker(service: &str, amqp: &str, context: &Context) -> Broker {
    let settings = messaging::Settings {
        amqp_url: amqp.to_owned().into(),
        messaging_failpoint: None,
    };
    Broker::new(service, &settings, context).unwrap()
}

/// Tells of events, as a service of another name does.
#[derive(Debug)]
pub struct Teller {
    service: &'static str,
    connection: sql::Database,
    outbox: Outbox,
}

impl Teller {
    pub async fn start(service: &'static str, amqp: &str, context: &Context) -> Self {
        let broker = broker(service, amqp, context);
        let file = format!("teller-{service}.db");
        let connection = sql::connect::<OutboxAlone>(context, None, &file).await;
        let connection = connection.unwrap();
        Self {
            service,
            outbox: Outbox::start(&broker, &connection, context),
            connection,
        }
    }

    /// Tells that something happened, at a time.
    pub async fn tell<E: Event>(&self, event: &E, time: DateTime<Utc>) {
        let mut envelope = Envelope::new(self.service, event).unwrap();
        envelope.time = time;
        let values = [
            envelope.id.clone().into(),
            E::TYPE.into(),
            envelope.to_json().unwrap().into(),
            chassis::clock::now().into(),
        ];
        let sql = "INSERT INTO outbox (event_id, kind, body, created_at) VALUES ($1, $2, $3, $4)";
        let backend = self.connection.get_database_backend();
        let row = Statement::from_sql_and_values(backend, sql, values);
        self.connection.execute_raw(row).await.unwrap();
        self.outbox.wake();
    }
}
