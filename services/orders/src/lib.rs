//! `orders` owns who ordered what: products of the shop, and purchases in the market.
//!
//! Its contract is S1-18, S1-19 and D14. What was bought in the market is told by `items`, and
//! appears in the same list.

mod clients;
mod http;
mod model;
mod purchases;
mod store;

use chassis::{Call, Context, Error, Operations, Repeatable, Route, Service};
use messaging::{Broker, Subscription};

use crate::{clients::Products, store::Store};

/// The role that lists purchases in the market.
const PURCHASES: &str = "purchases";

/// Settings of this service alone.
#[derive(Debug, Clone, clap::Args)]
pub struct Settings {
    /// URL of the relational store [default: SQLite, `orders.db` in `DATA_DIR`]
    #[arg(long, env = "ORDERS_DATABASE_URL", hide_env_values = true)]
    pub orders_database_url: Option<String>,
    /// Where events go and come from.
    #[command(flatten)]
    pub messaging: messaging::Settings,
}

/// The service.
#[derive(Debug)]
pub struct Orders {
    store: Store,
    operations: Operations,
    products: Products,
}

impl Repeatable for Orders {
    fn operations(&self) -> &Operations {
        &self.operations
    }
}

impl Service for Orders {
    const NAME: &'static str = "orders";
    const DESCRIPTION: &'static str = "Orders of the shop, and purchases in the market";
    const PORT: u16 = 5002;
    const ROLES: &'static [&'static str] = &[PURCHASES];
    type Settings = Settings;

    fn routes() -> Vec<Route<Self>> {
        http::routes()
    }

    fn calls() -> Vec<Call> {
        Products::CALLS.to_vec()
    }

    fn subscriptions() -> Vec<Subscription> {
        vec![purchases::BOUGHT]
    }

    async fn declare(settings: &Settings, context: &Context) -> anyhow::Result<()> {
        let broker = Broker::new(Self::NAME, &settings.messaging, context)?;
        messaging::declare(&broker, &Self::subscriptions()).await
    }

    async fn build(settings: Settings, context: &Context) -> anyhow::Result<Self> {
        let broker = Broker::new(Self::NAME, &settings.messaging, context)?;
        let url = settings.orders_database_url.as_deref();
        let store = Store::open(context, url, &broker).await?;
        if context.works(PURCHASES) {
            purchases::consumer(&store).start(&broker, context).await;
        }
        Ok(Self {
            operations: Operations::in_sql(store.connection(), context),
            products: Products::connect(context)?,
            store,
        })
    }

    async fn ready(&self) -> Result<(), Error> {
        self.store.ping().await
    }

    async fn close(&self) {
        self.store.close().await;
    }
}
