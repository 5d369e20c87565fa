//! `movies` owns movies, TV shows and their reviews.
//!
//! Its contract is S3-03, S3-04, S3-10 to S3-18 and D22. Lists that are asked for again and
//! again are cached in Redis, and never shown after what they show has changed (ADR 16).

mod cache;
mod http;
mod latest;
mod metrics;
pub mod model;
mod store;

use chassis::{Context, Error, Operations, Repeatable, Route, Service, redis, redis::Redis};
use messaging::{Broker, Subscription, farewell};

use crate::{cache::Cache, store::Store};

/// Settings of this service alone.
#[derive(Debug, Clone, clap::Args)]
pub struct Settings {
    /// URL of the relational store [default: SQLite, `movies.db` in `DATA_DIR`]
    #[arg(long, env = "MOVIES_DATABASE_URL", hide_env_values = true)]
    pub movies_database_url: Option<String>,
    /// Where lists are cached.
    #[command(flatten)]
    pub redis: redis::Settings,
    /// Where events go and come from.
    #[command(flatten)]
    pub messaging: messaging::Settings,
}

/// The service.
#[derive(Debug)]
pub struct Movies {
    store: Store,
    cache: Cache,
    operations: Operations,
}

impl Repeatable for Movies {
    fn operations(&self) -> &Operations {
        &self.operations
    }
}

impl Movies {
    /// How many lists this instance has asked the store for, since they were in no cache.
    pub fn loads(&self) -> u64 {
        self.cache.loads()
    }
}

impl Service for Movies {
    const NAME: &'static str = "movies";
    const DESCRIPTION: &'static str = "Movies, TV shows and their reviews";
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
        let store = Store::open(context, settings.movies_database_url.as_deref(), &broker).await?;
        let redis = Redis::connect(&settings.redis, context).await;
        let cache = Cache::new(redis, store.id());
        let own = store.clone();
        farewell::listen(&broker, context, move |gone| {
            let store = own.clone();
            async move { store.forget_reviews_of(gone.user_id).await }
        });
        Ok(Self {
            operations: store.operations(context),
            store,
            cache,
        })
    }

    /// Redis is not asked: without it, lists come from the store.
    async fn ready(&self) -> Result<(), Error> {
        self.store.ping().await
    }

    async fn close(&self) {
        self.store.close().await;
    }
}
