//! `items` owns what people sell to each other, and how much of it is left.
//!
//! Its contract is S4-05 to S4-12, S4-15, S4-17 and S4-27 with decisions D6 and D26. Documents are
//! its store: MongoDB, or the embedded one that speaks its protocol. How the last piece is sold
//! once says `docs/adr/0012`, how nobody misses that it was `docs/adr/0017`.

mod clients;
mod http;
pub mod model;
mod store;

use chassis::{Call, Context, Error, Operations, Repeatable, Route, Service, documents::Database};
use messaging::{Broker, Subscription, farewell};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{clients::Sellers, store::Store};

/// Settings of this service alone.
#[derive(Debug, Clone, clap::Args)]
pub struct Settings {
    /// URL of the document store
    #[arg(
        long,
        env = "MONGODB_URL",
        hide_env_values = true,
        default_value = "mongodb://documents.service.consul/"
    )]
    pub documents_url: SecretString,
    /// Name of the database in the document store
    #[arg(long, env = "ITEMS_DATABASE", default_value = "items")]
    pub documents_db: String,
    /// Where events go and come from.
    #[command(flatten)]
    pub messaging: messaging::Settings,
}

/// The service.
#[derive(Debug)]
pub struct Items {
    store: Store,
    operations: Operations,
    broker: Broker,
    sellers: Sellers,
}

impl Items {
    /// The broker that events go to, where tests make the process die.
    pub fn broker(&self) -> &Broker {
        &self.broker
    }

    /// The documents, where tests count what something costs.
    pub fn database(&self) -> &Database {
        self.store.database()
    }
}

impl Repeatable for Items {
    fn operations(&self) -> &Operations {
        &self.operations
    }
}

impl Service for Items {
    const NAME: &'static str = "items";
    const DESCRIPTION: &'static str = "Items that people sell to each other";
    type Settings = Settings;

    fn routes() -> Vec<Route<Self>> {
        http::routes()
    }

    fn calls() -> Vec<Call> {
        Sellers::CALLS.to_vec()
    }

    fn subscriptions() -> Vec<Subscription> {
        vec![farewell::DELETED]
    }

    async fn declare(settings: &Settings, context: &Context) -> anyhow::Result<()> {
        let broker = Broker::new(Self::NAME, &settings.messaging, context)?;
        messaging::declare(&broker, &Self::subscriptions()).await
    }

    async fn build(settings: Settings, context: &Context) -> anyhow::Result<Self> {
        let broker = Broker::new(Self::NAME, &settings.messaging, context)?;
        let url = settings.documents_url.expose_secret();
        let store = Store::open(context, url, &settings.documents_db, &broker).await?;
        let own = store.clone();
        farewell::listen(&broker, context, move |gone| {
            let store = own.clone();
            async move { store.forget(gone.user_id).await }
        });
        Ok(Self {
            operations: Operations::in_documents(store.database(), context),
            store,
            broker,
            sellers: Sellers::connect(context)?,
        })
    }

    async fn ready(&self) -> Result<(), Error> {
        self.store.ping().await
    }
}
