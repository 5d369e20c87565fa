//! `timelines` owns the posts of the microblog, the home timelines and the jobs that make posts.
//!
//! Its contract is S2-20 to S2-25, S2-35 and S2-73 with decisions D7, D17, D19 and D28. Posts,
//! jobs and a copy of the follow graph are in SQL; home timelines are in Redis, which may lose
//! them at any time (`docs/adr/0010`).

mod clients;
mod grpc;
mod home;
mod http;
mod metrics;
pub mod model;
mod store;
mod workers;

use std::sync::Arc;

use chassis::{
    Call, Context, Error, Operations, Repeatable, Route, Service, redis, redis::Redis, sql,
};
use messaging::{Broker, Subscription, farewell};

use crate::{clients::People, home::Homes, store::Store};

/// Settings of this service alone.
#[derive(Debug, Clone, clap::Args)]
pub struct Settings {
    /// URL of the relational store; overrides its parts [default: SQLite, `timelines.db` in `DATA_DIR`]
    #[arg(long, env = "TIMELINES_DATABASE_URL", hide_env_values = true)]
    pub timelines_database_url: Option<String>,
    /// Name of the database on the server that is given in parts
    #[arg(long, env = "TIMELINES_DB_NAME", default_value = "microblog_timelines")]
    pub timelines_db_name: String,
    /// Where the relational store is, in parts.
    #[command(flatten)]
    pub server: sql::Server,
    /// Where home timelines are.
    #[command(flatten)]
    pub redis: redis::Settings,
    /// Posts that Redis keeps of a home timeline; older ones come from SQL
    #[arg(long, env = "TIMELINES_HOME_SIZE", default_value_t = 800, value_parser = clap::value_parser!(u16).range(1..=5_000))]
    pub home_size: u16,
    /// Followers above which an author's posts are merged when a home timeline is read, rather than written into each
    #[arg(long, env = "TIMELINES_FAN_OUT_LIMIT", default_value_t = 5_000)]
    pub fan_out_limit: u32,
    /// Where events go and come from.
    #[command(flatten)]
    pub messaging: messaging::Settings,
}

/// The service.
#[derive(Debug)]
pub struct Timelines {
    store: Store,
    homes: Arc<Homes>,
    people: People,
    operations: Operations,
}

impl Repeatable for Timelines {
    fn operations(&self) -> &Operations {
        &self.operations
    }
}

impl Service for Timelines {
    const NAME: &'static str = "timelines";
    const DESCRIPTION: &'static str = "Microblog posts, home timelines and post jobs";
    const PORT: u16 = 5200;
    const ROLES: &'static [&'static str] = workers::ROLES;
    type Settings = Settings;

    fn routes() -> Vec<Route<Self>> {
        http::routes()
    }

    fn calls() -> Vec<Call> {
        People::CALLS.to_vec()
    }

    fn subscriptions() -> Vec<Subscription> {
        [workers::SUBSCRIPTIONS, &[farewell::DELETED]].concat()
    }

    async fn declare(settings: &Settings, context: &Context) -> anyhow::Result<()> {
        let broker = Broker::new(Self::NAME, &settings.messaging, context)?;
        messaging::declare(&broker, &Self::subscriptions()).await
    }

    async fn build(settings: Settings, context: &Context) -> anyhow::Result<Self> {
        let broker = Broker::new(Self::NAME, &settings.messaging, context)?;
        let url = settings.timelines_database_url.as_deref();
        let url = settings.server.url(url, &settings.timelines_db_name);
        let store = Store::open(context, url.as_deref(), &broker).await?;
        let redis = Redis::connect(&settings.redis, context).await;
        let homes = Homes::new(
            store.clone(),
            redis,
            settings.home_size,
            settings.fan_out_limit,
        );
        let homes = Arc::new(homes);
        workers::start(&store, &homes, &broker, context).await;
        let own = store.clone();
        farewell::listen(&broker, context, move |gone| {
            let store = own.clone();
            async move { store.forget(gone.user_id).await }
        });
        Ok(Self {
            operations: store.operations(context),
            store,
            homes,
            people: People::connect(context)?,
        })
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
