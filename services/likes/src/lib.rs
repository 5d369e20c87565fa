//! `likes` owns who likes which post of the microblog, and from that the counts and the ranking.
//!
//! Its contract is S2-26 to S2-30, S2-36, S2-37 and S2-68 with decisions D17, D18 and D28. SQL is
//! the truth; Redis answers most reads and may be emptied or away at any time
//! (`docs/adr/0011-likes-counters.md`).

mod cache;
mod clients;
mod events;
mod http;
mod ledger;
pub mod model;
mod notify;
mod store;

use std::time::Duration;

use chassis::{Call, Context, Error, Route, Service};
use messaging::{Broker, Subscription, farewell};

use crate::{
    cache::Cache,
    clients::{Timelines, Users},
    ledger::Ledger,
    store::Store,
};

/// The work that checks whether liked posts exist (S2-36).
const VALIDATION: &str = "validation";
/// The work that tells authors of likes (S2-37).
const NOTIFICATION: &str = "notification";

/// Settings of this service alone.
#[derive(Debug, Clone, clap::Args)]
pub struct Settings {
    /// URL of the relational store [default: SQLite, `likes.db` in `DATA_DIR`]
    #[arg(long, env = "LIKES_DATABASE_URL", hide_env_values = true)]
    pub likes_database_url: Option<String>,
    /// Seconds for which new likes of a post are collected before its author is told of them
    #[arg(long, env = "LIKES_NOTICE_SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(0..=86_400))]
    pub likes_notice_seconds: u32,
    /// Posts that the ranking in Redis holds; SQL answers for those below
    #[arg(long, env = "LIKES_RANKED_POSTS", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub likes_ranked_posts: u32,
    /// Where counters and the ranking are.
    #[command(flatten)]
    pub redis: chassis::redis::Settings,
    /// Where events go to and come from.
    #[command(flatten)]
    pub messaging: messaging::Settings,
}

/// The service.
#[derive(Debug)]
pub struct Likes {
    ledger: Ledger,
    users: Users,
}

impl Service for Likes {
    const NAME: &'static str = "likes";
    const DESCRIPTION: &'static str = "Likes of microblog posts, and which posts are popular";
    const PORT: u16 = 8004;
    const ROLES: &'static [&'static str] = &[VALIDATION, NOTIFICATION];
    type Settings = Settings;

    fn routes() -> Vec<Route<Self>> {
        http::routes()
    }

    fn calls() -> Vec<Call> {
        [Timelines::CALLS, Users::CALLS].concat()
    }

    fn subscriptions() -> Vec<Subscription> {
        vec![events::CHECKED, events::COLLECTED, farewell::DELETED]
    }

    async fn declare(settings: &Settings, context: &Context) -> anyhow::Result<()> {
        let broker = Broker::new(Self::NAME, &settings.messaging, context)?;
        messaging::declare(&broker, &Self::subscriptions()).await
    }

    async fn build(settings: Settings, context: &Context) -> anyhow::Result<Self> {
        let users = Users::connect(context)?;
        let timelines = Timelines::connect(context)?;
        let broker = Broker::new(Self::NAME, &settings.messaging, context)?;
        let store = Store::open(context, settings.likes_database_url.as_deref(), &broker).await?;
        let cache = Cache::connect(&settings.redis, settings.likes_ranked_posts, context).await;
        let ledger = Ledger::new(store.clone(), cache);
        context.spawn(ledger.clone().keep_current());
        context.spawn(store.clone().forget_old());
        if context.works(VALIDATION) {
            let checking = events::validation(ledger.clone(), timelines.clone());
            checking.start(&broker, context).await;
        }
        if context.works(NOTIFICATION) {
            let window = Duration::from_secs(settings.likes_notice_seconds.into());
            let collecting = events::notification(store.clone(), timelines, window);
            collecting.start(&broker, context).await;
            context.spawn(notify::tell_when_due(store));
        }
        let own = ledger.clone();
        farewell::listen(&broker, context, move |gone| {
            let ledger = own.clone();
            async move { ledger.forget(&gone).await }
        });
        Ok(Self { ledger, users })
    }

    async fn ready(&self) -> Result<(), Error> {
        self.ledger.store().ping().await
    }

    async fn close(&self) {
        self.ledger.store().close().await;
    }
}

impl Likes {
    /// What is answered, from Redis or from SQL.
    fn ledger(&self) -> &Ledger {
        &self.ledger
    }
}
