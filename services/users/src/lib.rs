//! `users` owns accounts, profiles, follows and tokens, for all five products (D1, D2).
//!
//! Its contract is S0-01 to S0-05, S1-01, S1-02, S2-14 to S2-19, S3-01 to S3-09 and S4-01 to
//! S4-04; every door of a source leads to the same account.

mod clients;
mod door;
mod farewells;
mod grpc;
pub mod guard;
mod hashing;
mod http;
mod keys;
pub mod model;
mod password;
mod sessions;
mod store;
mod throttle;

use std::{sync::Arc, time::Duration};

use chassis::{Call, Context, Error, Route, Service, TokenSource, sql};
use messaging::{Broker, Subscription, farewell};

pub use sessions::Sessions;

use crate::{clients::Discussions, door::Door, store::Store, throttle::Throttle};

/// Settings of this service alone.
#[derive(Debug, Clone, clap::Args)]
pub struct Settings {
    /// URL of the relational store [default: SQLite, `users.db` in `DATA_DIR`]
    #[arg(long, env = "USERS_DATABASE_URL", hide_env_values = true)]
    pub users_database_url: Option<String>,
    /// Name of the database, where the store is given by `DB_HOST`
    #[arg(long, env = "USERS_DB_NAME", default_value = "microblog_users")]
    pub users_db_name: String,
    /// The store in parts.
    #[command(flatten)]
    pub server: sql::Server,
    /// Minutes that a token lives
    #[arg(long, env = "JWT_EXPIRES_MINUTES", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=43_200))]
    pub jwt_expires_minutes: u32,
    /// Hours after which tokens are signed with a new key
    #[arg(long, env = "JWT_ROTATE_HOURS", default_value_t = 168, value_parser = clap::value_parser!(u32).range(1..=8_760))]
    pub jwt_rotate_hours: u32,
    /// Seconds after which services are told a second time that an account was deleted: longer than a request, or an event, may be on its way
    #[arg(long, env = "DELETION_SWEEP_SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub deletion_sweep_seconds: u32,
    /// What may be tried how often.
    #[command(flatten)]
    pub guard: guard::Settings,
    /// Where events go and come from.
    #[command(flatten)]
    pub messaging: messaging::Settings,
}

/// The service.
#[derive(Debug)]
pub struct Users {
    store: Store,
    /// Where people log in.
    logins: Door,
    /// Where they register.
    registrations: Door,
    throttle: Arc<Throttle>,
    sessions: Arc<Sessions>,
    discussions: Discussions,
}

impl Users {
    /// What issues, ends and rotates.
    pub fn sessions(&self) -> &Arc<Sessions> {
        &self.sessions
    }
}

impl Service for Users {
    const NAME: &'static str = "users";
    const DESCRIPTION: &'static str = "Accounts, profiles, follows and tokens";
    const TOKENS: TokenSource = TokenSource::Own;
    const PORT: u16 = 5100;
    const CHORES: &'static [(&'static str, &'static str)] = &[
        (
            "withdraw-keys",
            "makes a new signing key and ends all others: everybody has to log in again",
        ),
        (
            "deletions",
            "says which services have not answered yet that they have forgotten a deleted account",
        ),
    ];
    type Settings = Settings;

    fn routes() -> Vec<Route<Self>> {
        http::routes()
    }

    fn calls() -> Vec<Call> {
        Discussions::CALLS.to_vec()
    }

    fn subscriptions() -> Vec<Subscription> {
        vec![farewell::ANSWERED]
    }

    async fn declare(settings: &Settings, context: &Context) -> anyhow::Result<()> {
        let broker = Broker::new(Self::NAME, &settings.messaging, context)?;
        messaging::declare(&broker, &Self::subscriptions()).await
    }

    async fn operate(&self, chore: &str) -> anyhow::Result<()> {
        match chore {
            "withdraw-keys" => self.sessions.withdraw().await,
            "deletions" => Ok(self.report_deletions().await?),
            other => anyhow::bail!("`{other}` is not known"),
        }
    }

    async fn build(settings: Settings, context: &Context) -> anyhow::Result<Self> {
        let broker = Broker::new(Self::NAME, &settings.messaging, context)?;
        let url = settings.users_database_url.as_deref();
        let url = settings.server.url(url, &settings.users_db_name);
        let store = Store::open(context, url.as_deref(), &broker).await?;
        let sessions = Sessions::open(store.clone(), context, &settings).await?;
        context.spawn(Arc::clone(&sessions).keep_current());
        farewells::collect(&store, &broker, context);
        let sweep = Duration::from_secs(settings.deletion_sweep_seconds.into());
        context.spawn(farewells::keep_house(store.clone(), sweep));
        let guard = &settings.guard;
        let limits = guard.limits(context.settings.plaza_env);
        let throttle = Arc::new(Throttle::new(store.clone(), limits));
        context.spawn(Arc::clone(&throttle).keep_house());
        Ok(Self {
            store,
            logins: guard.logins()?,
            registrations: guard.registrations()?,
            throttle,
            sessions,
            discussions: Discussions::connect(context)?,
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
