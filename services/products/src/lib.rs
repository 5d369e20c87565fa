//! `products` owns the shop's catalogue.
//!
//! Its contract is S1-03, S1-04, S1-07 and D12. Reading is open; who made a product may change it.

mod grpc;
mod http;
mod model;
mod store;

use std::sync::Arc;

use chassis::{Context, Error, Operations, Repeatable, Route, Service};

use crate::store::Store;

/// Settings of this service alone.
#[derive(Debug, Clone, clap::Args)]
pub struct Settings {
    /// URL of the relational store [default: SQLite, `products.db` in `DATA_DIR`]
    #[arg(long, env = "PRODUCTS_DATABASE_URL", hide_env_values = true)]
    pub products_database_url: Option<String>,
}

/// The service.
#[derive(Debug)]
pub struct Products {
    store: Store,
    operations: Operations,
}

impl Repeatable for Products {
    fn operations(&self) -> &Operations {
        &self.operations
    }
}

impl Service for Products {
    const NAME: &'static str = "products";
    const DESCRIPTION: &'static str = "The shop's catalogue";
    const PORT: u16 = 5001;
    type Settings = Settings;

    fn routes() -> Vec<Route<Self>> {
        http::routes()
    }

    async fn build(settings: Settings, context: &Context) -> anyhow::Result<Self> {
        let store = Store::open(context, settings.products_database_url.as_deref()).await?;
        let operations = Operations::in_sql(store.connection(), context);
        Ok(Self { store, operations })
    }

    fn grpc(self: &Arc<Self>) -> Option<tonic::service::Routes> {
        Some(grpc::routes(self))
    }

    async fn ready(&self) -> Result<(), Error> {
        self.store.ping().await
    }

    async fn close(&self) {
        self.store.close().await;
    }
}
