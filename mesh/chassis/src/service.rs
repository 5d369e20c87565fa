//! What a service is to the chassis.

use std::{fmt::Debug, path::Path, sync::Arc};

use anyhow::Context as _;
use clap::Args as _;
use discovery::Dns;
use serde_json::{Value, json};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use topology::Subscription;

use crate::{
    Auth, Call, Error, Route, Settings, Tokens, Upstream, follow, openapi, settings::Roles,
};

/// How long a store may take to come up, and how often it is looked for meanwhile.
#[cfg(any(feature = "sql", feature = "documents"))]
const OPENING_DEADLINE: std::time::Duration = std::time::Duration::from_secs(30);
#[cfg(any(feature = "sql", feature = "documents"))]
const OPENING_PAUSE: std::time::Duration = std::time::Duration::from_millis(250);

/// Who keeps this service's copy of keys and logged-out tokens up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenSource {
    /// The chassis, by a stream from `users`.
    Stream,
    /// The service itself: it is `users`.
    Own,
}

/// A service: its name, its route table, what it calls, and how it is built.
///
/// `main` is `chassis::main::<S>()`; everything else follows from here.
pub trait Service: Debug + Send + Sync + Sized + 'static {
    /// The name in Consul, `users`.
    const NAME: &'static str;
    /// One sentence for `--help` and the OpenAPI document.
    const DESCRIPTION: &'static str;
    /// Where tokens are learnt from.
    const TOKENS: TokenSource = TokenSource::Stream;
    /// The port of its listener where no setting says another; 0 lets the system choose.
    const PORT: u16 = 0;
    /// The work it does behind requests, by name. `serve` does it too, unless `ROLES` says
    /// otherwise; `work` does it alone.
    const ROLES: &'static [&'static str] = &[];
    /// The services whose channels in Redis it listens to, beside its own.
    const HEARS: &'static [&'static str] = &[];
    /// Settings beside those that all services have.
    type Settings: clap::Args + Debug + Clone + Send + Sync;

    /// The route table.
    fn routes() -> Vec<Route<Self>>;

    /// The calls that its clients can make (`CALLS` of each [`peer!`](crate::peer)).
    fn calls() -> Vec<Call> {
        Vec::new()
    }

    /// The queues of its consumers: they are at the broker before anybody publishes.
    fn subscriptions() -> Vec<Subscription> {
        Vec::new()
    }

    /// Makes its queues at a broker that has loaded no definitions; `migrate` does it before anything else starts.
    fn declare(
        _settings: &Self::Settings,
        _context: &Context,
    ) -> impl Future<Output = anyhow::Result<()>> + Send {
        async { Ok(()) }
    }

    /// What operators may have done by `operate`: names, each with a sentence.
    const CHORES: &'static [(&'static str, &'static str)] = &[];

    /// Does one of [`Service::CHORES`], beside processes that serve.
    fn operate(&self, _chore: &str) -> impl Future<Output = anyhow::Result<()>> + Send {
        async { Ok(()) }
    }

    /// Opens stores and clients. An error ends the process, and the supervisor tries again.
    fn build(
        settings: Self::Settings,
        context: &Context,
    ) -> impl Future<Output = anyhow::Result<Self>> + Send;

    /// The gRPC side, if it has one.
    fn grpc(self: &Arc<Self>) -> Option<tonic::service::Routes> {
        None
    }

    /// Whether its stores answer.
    fn ready(&self) -> impl Future<Output = Result<(), Error>> + Send;

    /// Closes pools, after the last request.
    fn close(&self) -> impl Future<Output = ()> + Send {
        async {}
    }
}

/// What a service is built with.
#[derive(Debug, Clone)]
pub struct Context {
    /// The settings that all services have.
    pub settings: Settings,
    /// This instance's Consul service id.
    pub instance: String,
    /// The background work that this process does.
    pub roles: Roles,
    /// Consul DNS, for infrastructure.
    pub dns: Dns,
    /// The copy of keys and logged-out tokens.
    pub tokens: Arc<Tokens>,
    /// For background work: tracked, and told to end at shutdown.
    pub tasks: TaskTracker,
    /// Cancelled when the process shall end.
    pub shutdown: CancellationToken,
}

impl Context {
    /// Whether this process does the work of one of [`Service::ROLES`].
    pub fn works(&self, role: &str) -> bool {
        self.roles.contains(role)
    }

    /// The Consul agent, with this service's own token.
    ///
    /// # Errors
    /// When its address or the token cannot be read.
    pub fn consul(&self) -> anyhow::Result<discovery::Consul> {
        let token = self.settings.consul_token()?;
        let address = &self.settings.consul_http_addr;
        Ok(discovery::Consul::new(address, token.as_deref())?)
    }

    /// A connection to `peer` through the own sidecar.
    ///
    /// # Errors
    /// When neither `UPSTREAMS_DIR` nor `UPSTREAM_URLS` says where it is.
    pub fn upstream(&self, peer: &str) -> anyhow::Result<Upstream> {
        let address = self.settings.upstream(peer);
        Upstream::new(&address.with_context(|| {
            format!("no way to `{peer}`: set UPSTREAMS_DIR, or UPSTREAM_URLS={peer}=http://127.0.0.1:<port>")
        })?)
    }

    /// The path of a file in the data folder, which is made if it is missing.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn data_file(&self, name: &str) -> anyhow::Result<std::path::PathBuf> {
        let folder: &Path = &self.settings.data_dir;
        std::fs::create_dir_all(folder)
            .with_context(|| format!("DATA_DIR: cannot create {}", folder.display()))?;
        Ok(folder.join(name))
    }

    /// Opens a store that may be starting at this very moment: tries for half a minute.
    #[cfg(any(feature = "sql", feature = "documents"))]
    pub(crate) async fn patiently<T, R>(
        &self,
        store: &'static str,
        attempt: impl Fn() -> R,
    ) -> anyhow::Result<T>
    where
        R: Future<Output = anyhow::Result<T>>,
    {
        let deadline = tokio::time::Instant::now() + OPENING_DEADLINE;
        loop {
            match attempt().await {
                Err(error) if tokio::time::Instant::now() < deadline => {
                    tracing::info!(
                        store,
                        cause = format!("{error:#}"),
                        "service waits for its store"
                    );
                    tokio::time::sleep(OPENING_PAUSE).await;
                }
                done => return done.with_context(|| format!("cannot open the {store}")),
            }
        }
    }

    /// Starts background work that ends when the process does.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let shutdown = self.shutdown.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = work => {}
            }
        });
    }
}

/// All calls of a service, those of the chassis included.
pub(crate) fn calls<S: Service>() -> Vec<Call> {
    let mut calls = S::calls();
    if follows_tokens::<S>() {
        calls.extend_from_slice(follow::CALLS);
    }
    calls.sort_unstable();
    calls.dedup();
    calls
}

/// Whether the chassis has to follow the tokens for this service.
pub(crate) fn follows_tokens<S: Service>() -> bool {
    S::TOKENS == TokenSource::Stream && S::routes().iter().any(|route| route.auth != Auth::None)
}

/// What `describe` prints: all that files outside the code are generated from.
pub fn describe<S: Service>() -> Value {
    let routes = S::routes();
    json!({
        "name": S::NAME,
        "description": S::DESCRIPTION,
        "port": S::PORT,
        "settings": settings::<S>(),
        "roles": S::ROLES,
        "subscriptions": S::subscriptions(),
        "hears": S::HEARS,
        "routes": routes.iter().map(Route::info).collect::<Vec<_>>(),
        "calls": calls::<S>(),
        "openapi": openapi::document(S::NAME, S::DESCRIPTION, &routes),
    })
}

/// What can be set by variables: those of this service, then those that all services have.
fn settings<S: Service>() -> Vec<Value> {
    let own = S::Settings::augment_args(clap::Command::new(S::NAME));
    let shared = Settings::augment_args(clap::Command::new(S::NAME));
    let list = |command: &clap::Command, shared: bool| {
        let shown = command.get_arguments().filter(|arg| !arg.is_hide_set());
        shown
            .filter_map(|arg| setting(arg, shared))
            .collect::<Vec<_>>()
    };
    let mut settings = list(&own, false);
    settings.extend(list(&shared, true));
    settings
}

fn setting(arg: &clap::Arg, shared: bool) -> Option<Value> {
    let defaults = arg.get_default_values().iter();
    let default = defaults
        .map(|value| value.to_string_lossy())
        .collect::<Vec<_>>()
        .join(",");
    let hidden = arg.is_hide_default_value_set();
    let values = arg.get_possible_values();
    Some(json!({
        "variable": arg.get_env()?.to_string_lossy(),
        "help": arg.get_help().map(ToString::to_string),
        "default": (!default.is_empty() && !hidden).then_some(default),
        "values": values.iter().map(clap::builder::PossibleValue::get_name).collect::<Vec<_>>(),
        "secret": arg.is_hide_env_values_set(),
        "shared": shared,
    }))
}
