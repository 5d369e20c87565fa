//! `polls` owns polls and the votes in them.
//!
//! Its contract is S2-31 to S2-34 with decisions D6, D17, D19 and D20. Documents are its store:
//! MongoDB, or the embedded one that speaks its protocol. How votes are counted exactly without
//! atomic updates says `docs/adr/0012`.

mod http;
pub mod model;
mod store;

use chassis::{Context, Error, Operations, Repeatable, Route, Service};
use messaging::{Broker, Subscription, farewell};
use secrecy::{ExposeSecret as _, SecretString};

use crate::store::Store;

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
    #[arg(long, env = "POLLS_DATABASE", default_value = "polls")]
    pub documents_db: String,
    /// Where events come from.
    #[command(flatten)]
    pub messaging: messaging::Settings,
}

/// The service.
#[derive(Debug)]
pub struct Polls {
    store: Store,
    operations: Operations,
}

impl Repeatable for Polls {
    fn operations(&self) -> &Operations {
        &self.operations
    }
}

impl Service for Polls {
    const NAME: &'static str = "polls";
    const DESCRIPTION: &'static str = "Polls and votes";
    const PORT: u16 = 8005;
    type Settings = Settings;

    fn routes() -> Vec<Route<Self>> {
        http::routes()
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
        let store = Store::open(context, url, &settings.documents_db).await?;
        let own = store.clone();
        farewell::listen(&broker, context, move |gone| {
            let store = own.clone();
            async move { store.forget(&gone).await }
        });
        Ok(Self {
            operations: Operations::in_documents(store.database(), context),
            store,
        })
    }

    async fn ready(&self) -> Result<(), Error> {
        self.store.ping().await
    }
}
