//! From settings to a running instance, and back down in order.

mod purpose;

use std::{collections::BTreeMap, net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use discovery::{Consul, Dns, Place, Registry, Remote, Unregistered};
use secrecy::ExposeSecret as _;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::purpose::Purpose;
use crate::{
    Context, Route, Service, Settings, Tokens, admin,
    announce::Announcement,
    follow,
    front::{self, Front},
    health,
    listen::Listener,
    rest::Rest,
    server::{self, Bounds},
    service::{calls, describe, follows_tokens},
    settings::{Registration, Roles},
    socket::Sockets,
};

/// Exit code for settings that cannot work (`EX_USAGE` of sysexits.h).
const BAD_SETTINGS: u8 = 64;
/// How often measurements become part of their histograms.
const TIDY_METRICS_EVERY: Duration = Duration::from_secs(10);

#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Every flag can be given by the variable named beside it."
)]
struct Cli<A: clap::Args> {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    own: A,
}

#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// Answers requests until told to end; what happens without a command
    Serve,
    /// Does background work alone, and answers no requests
    Work {
        /// Which of its roles; all without a name
        roles: Vec<String>,
    },
    /// Prints routes, calls, settings and the OpenAPI document as JSON
    Describe,
    /// Opens the stores, brings their schemas up to date, makes the queues, and ends
    Migrate,
    /// Does one thing that operators ask for, and ends
    Operate {
        /// What; without a name, what there is
        chore: Option<String>,
    },
    /// Ends with 0 if the process that serves on `ADMIN_ADDR` is ready
    Health,
}

/// The `main` of every service.
#[must_use]
pub fn main<S: Service>() -> ExitCode {
    let command = <Cli<S::Settings> as clap::CommandFactory>::command()
        .name(S::NAME)
        .about(S::DESCRIPTION);
    let parsed = command
        .try_get_matches()
        .and_then(|matches| <Cli<S::Settings> as clap::FromArgMatches>::from_arg_matches(&matches));
    let mut cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() {
                ExitCode::from(BAD_SETTINGS)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    if let Some(Command::Describe) = cli.command {
        use std::io::Write as _;
        let written = serde_json::to_string_pretty(&describe::<S>())
            .map(|text| writeln!(std::io::stdout(), "{text}"));
        return if matches!(written, Ok(Ok(()))) {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    }
    if let Some(Command::Health) = cli.command {
        return match health::ask(cli.settings.admin_addr) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{}: {error:#}", S::NAME);
                ExitCode::FAILURE
            }
        };
    }
    let (purpose, chore) = match purpose::of::<S>(cli.command, &mut cli.settings) {
        Ok(found) => found,
        Err(problem) => {
            eprintln!("{}: {problem}", S::NAME);
            return ExitCode::from(BAD_SETTINGS);
        }
    };
    match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime.block_on(run::<S>(purpose, chore, cli.settings, cli.own)),
        Err(_) => ExitCode::FAILURE,
    }
}

async fn run<S: Service>(
    purpose: Purpose,
    chore: Option<&'static str>,
    settings: Settings,
    own: S::Settings,
) -> ExitCode {
    let telemetry = telemetry::init(&telemetry::Settings {
        service: S::NAME,
        instance: instance::<S>(purpose, &settings),
        otlp_endpoint: settings.otlp_endpoint.clone(),
        filter: settings.rust_log.clone(),
    });
    let guard = match telemetry {
        Ok(guard) => guard,
        Err(error) => {
            eprintln!("{}: bad settings: {error:#}", S::NAME);
            return ExitCode::from(BAD_SETTINGS);
        }
    };
    for (variable, instead) in Settings::replaced() {
        tracing::warn!(
            variable,
            instead,
            "a variable means nothing here; set the other one instead"
        );
    }
    let shutdown = CancellationToken::new();
    tokio::spawn(cancel_on_signal(shutdown.clone()));
    let built = tokio::select! {
        () = shutdown.cancelled() => return ExitCode::SUCCESS,
        built = App::<S>::build_for(purpose, settings, own) => built,
    };
    let result = match built {
        Ok(app) if purpose == Purpose::Migrate => {
            app.service.close().await;
            Ok(())
        }
        Ok(app) if purpose == Purpose::Operate => {
            let done = app.service.operate(chore.unwrap_or_default()).await;
            app.context.shutdown.cancel();
            app.service.close().await;
            done
        }
        Ok(app) => app.run(shutdown).await,
        Err(error) => Err(error),
    };
    if let Err(error) = &result {
        tracing::error!(cause = format!("{error:#}"), "service ended");
    }
    drop(guard);
    if result.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn instance<S: Service>(purpose: Purpose, settings: &Settings) -> String {
    settings
        .instance
        .clone()
        .unwrap_or_else(|| format!("{}-1", purpose.name::<S>()))
}

/// First signal: shut down in order. Second: at once.
async fn cancel_on_signal(shutdown: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        return;
    };
    for round in 0..2 {
        tokio::select! { _ = term.recv() => {} _ = interrupt.recv() => {} }
        if round == 0 {
            shutdown.cancel();
        } else {
            std::process::exit(1);
        }
    }
}

/// A service that is built: its listeners are bound and its stores are open.
#[derive(Debug)]
pub struct App<S: Service> {
    service: Arc<S>,
    context: Context,
    purpose: Purpose,
    /// None where no requests are answered.
    http: Option<Listener>,
    admin: Listener,
    /// Where the admin listener is.
    admin_addr: SocketAddr,
}

impl<S: Service> App<S> {
    /// Binds the listeners and builds the service.
    ///
    /// # Errors
    /// When a port is taken, a setting is wrong or a store cannot be opened.
    pub async fn build(settings: Settings, own: S::Settings) -> anyhow::Result<Self> {
        Self::build_for(Purpose::Serve, settings, own).await
    }

    /// Builds a process that does background work alone.
    ///
    /// # Errors
    /// As [`App::build`].
    pub async fn build_worker(settings: Settings, own: S::Settings) -> anyhow::Result<Self> {
        Self::build_for(Purpose::Work, settings, own).await
    }

    async fn build_for(
        purpose: Purpose,
        settings: Settings,
        own: S::Settings,
    ) -> anyhow::Result<Self> {
        let tokens = Arc::new(Tokens::new(settings.scheme()?));
        let context = Context {
            instance: instance::<S>(purpose, &settings),
            roles: Roles::choose(S::ROLES, &settings.roles)?,
            dns: Dns::new(settings.consul_dns_addr)?,
            tokens,
            tasks: TaskTracker::new(),
            shutdown: CancellationToken::new(),
            settings,
        };
        let http = match purpose {
            Purpose::Serve => {
                let place = context.settings.listen(S::PORT)?;
                Some(Listener::bind(place, "HTTP_ADDR").await?)
            }
            Purpose::Work | Purpose::Migrate | Purpose::Operate => None,
        };
        let (admin, admin_addr) =
            Listener::on_port(context.settings.admin_addr, "ADMIN_ADDR").await?;
        if purpose == Purpose::Migrate {
            S::declare(&own, &context).await?;
        }
        let service = Arc::new(S::build(own, &context).await?);
        Ok(Self {
            service,
            context,
            purpose,
            http,
            admin,
            admin_addr,
        })
    }

    /// Where REST and gRPC are answered; of a worker, where operators are.
    pub fn place(&self) -> &Place {
        self.http.as_ref().unwrap_or(&self.admin).place()
    }

    /// Where `/livez`, `/readyz`, `/metrics` and `/docs` are.
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin_addr
    }

    /// What the service was built with.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The service itself.
    pub fn service(&self) -> &Arc<S> {
        &self.service
    }

    /// Serves until `shutdown`; then: not ready, leave Consul, drain, end tasks, close pools.
    ///
    /// # Errors
    /// When the instance cannot be started at all.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let announcement = self.announcement()?;
        let Self {
            service,
            context,
            http,
            admin,
            ..
        } = self;
        let bounds = Bounds {
            connections: context.settings.max_connections,
            headers: Duration::from_secs(context.settings.header_timeout_seconds),
            drain: Duration::from_secs(context.settings.drain_seconds),
        };
        let gate = announcement.gate.clone();
        let operators = tokio::spawn(operators(&service, &context, gate, admin, bounds));
        if announcement.tokens.is_some() {
            follow_tokens(&context)?;
        }
        context.spawn(tidy_metrics());
        let front = front(&service, &context);
        let clients = CancellationToken::new();
        let serving = http.map(|http| {
            let serving = server::serve(http, bounds, clients.clone(), move |request| {
                front.clone().handle(request)
            });
            tokio::spawn(serving)
        });
        tokio::select! {
            () = announcement.keep(service.as_ref()) => {}
            () = shutdown.cancelled() => {}
        }
        tracing::info!("service stops");
        announcement.leave().await;
        clients.cancel();
        if let Some(serving) = serving {
            let _ = serving.await;
        }
        context.shutdown.cancel();
        context.tasks.close();
        if tokio::time::timeout(bounds.drain, context.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!("background work was cut off: it did not end within the drain deadline");
        }
        service.close().await;
        let _ = operators.await;
        Ok(())
    }

    fn announcement(&self) -> anyhow::Result<Announcement> {
        let settings = &self.context.settings;
        let calls = calls::<S>();
        let registration = discovery::Registration {
            service: self.purpose.name::<S>(),
            id: self.context.instance.clone(),
            address: settings.advertised_place(self.place()),
            admin: settings.advertised(self.admin_addr),
            upstreams: settings.sockets(calls.iter().map(|call| call.service)),
            meta: BTreeMap::new(),
            ready: false,
        };
        // Whoever answers no requests has no tokens to check.
        let follows = follows_tokens::<S>() && self.purpose == Purpose::Serve;
        let tokens = follows.then(|| Arc::clone(&self.context.tokens));
        let gate = admin::Gate::default();
        Ok(Announcement {
            registry: registry(settings)?,
            registration,
            gate,
            tokens,
        })
    }
}

fn registry(settings: &Settings) -> anyhow::Result<Arc<dyn Registry>> {
    if settings.registration == Registration::Off {
        return Ok(Arc::new(Unregistered));
    }
    let Some(url) = &settings.registry_url else {
        let token = settings.consul_token()?;
        let consul = Consul::new(&settings.consul_http_addr, token.as_deref())?;
        return Ok(Arc::new(consul));
    };
    let remote = match (&settings.registry_token, &settings.registry_token_file) {
        (Some(token), _) => Remote::new(url, token.expose_secret()),
        (None, Some(file)) => Remote::with_token_file(url, file.clone()),
        (None, None) => {
            anyhow::bail!("REGISTRY_URL needs REGISTRY_TOKEN or REGISTRY_TOKEN_FILE beside it")
        }
    };
    Ok(Arc::new(remote.context("REGISTRY_URL")?))
}

/// Answers operators until the process ends.
fn operators<S: Service>(
    service: &Arc<S>,
    context: &Context,
    gate: admin::Gate,
    listener: Listener,
    bounds: Bounds,
) -> impl Future<Output = ()> + Send + use<S> {
    let docs = rest(service, context, Vec::new()).filter();
    let service = Arc::clone(service);
    let bounds = Bounds {
        connections: 64,
        drain: Duration::ZERO,
        ..bounds
    };
    server::serve(listener, bounds, context.shutdown.clone(), move |request| {
        admin::handle(Arc::clone(&service), gate.clone(), docs.clone(), request)
    })
}

fn front<S: Service>(service: &Arc<S>, context: &Context) -> Front {
    let routes = S::routes();
    routes.iter().for_each(front::announce);
    Front::new(
        rest(service, context, routes).filter(),
        service.grpc(),
        context.settings.max_in_flight,
    )
}

/// Answers these routes, and those of the documentation.
fn rest<S: Service>(service: &Arc<S>, context: &Context, routes: Vec<Route<S>>) -> Rest<S> {
    Rest {
        state: Arc::clone(service),
        tokens: Arc::clone(&context.tokens),
        routes: routes.into_iter().map(Arc::new).collect(),
        body_deadline: Duration::from_secs(context.settings.body_timeout_seconds),
        sockets: Arc::new(Sockets::new(context)),
    }
}

/// What was measured since the last scrape takes memory: without Prometheus, more and more.
async fn tidy_metrics() {
    loop {
        tokio::time::sleep(TIDY_METRICS_EVERY).await;
        telemetry::metrics::tidy();
    }
}

/// Keeps the copy of keys and logged-out tokens up to date.
fn follow_tokens(context: &Context) -> anyhow::Result<()> {
    let upstream = context.upstream(follow::CALLS[0].service)?;
    let tokens = Arc::clone(&context.tokens);
    let shutdown = context.shutdown.clone();
    context
        .tasks
        .spawn(follow::tokens(upstream, tokens, shutdown));
    Ok(())
}
