//! From settings to a running instance, and back down in order.

use std::{collections::BTreeMap, net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use discovery::{Consul, Dns, Registry, Unregistered};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Context, Service, Settings, Tokens, admin,
    announce::Announcement,
    follow,
    front::Front,
    rest::Rest,
    server::{self, Bounds},
    service::{calls, describe, follows_tokens},
    settings::Registration,
};

/// Exit code for settings that cannot work (`EX_USAGE` of sysexits.h).
const BAD_SETTINGS: u8 = 64;

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

#[derive(Debug, Clone, Copy, Subcommand)]
enum Command {
    /// Answers requests until told to end; what happens without a command
    Serve,
    /// Prints routes, calls and the OpenAPI document as JSON
    Describe,
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
    let cli = match parsed {
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
    match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime.block_on(serve::<S>(cli.settings, cli.own)),
        Err(_) => ExitCode::FAILURE,
    }
}

async fn serve<S: Service>(settings: Settings, own: S::Settings) -> ExitCode {
    let telemetry = telemetry::init(&telemetry::Settings {
        service: S::NAME,
        instance: instance::<S>(&settings),
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
    let shutdown = CancellationToken::new();
    tokio::spawn(cancel_on_signal(shutdown.clone()));
    let built = tokio::select! {
        () = shutdown.cancelled() => return ExitCode::SUCCESS,
        built = App::<S>::build(settings, own) => built,
    };
    let result = match built {
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

fn instance<S: Service>(settings: &Settings) -> String {
    settings
        .instance
        .clone()
        .unwrap_or_else(|| format!("{}-1", S::NAME))
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
    http: TcpListener,
    admin: TcpListener,
}

impl<S: Service> App<S> {
    /// Binds the listeners and builds the service.
    ///
    /// # Errors
    /// When a port is taken, a setting is wrong or a store cannot be opened.
    pub async fn build(settings: Settings, own: S::Settings) -> anyhow::Result<Self> {
        let tokens = Arc::new(Tokens::new(settings.scheme()?));
        let context = Context {
            instance: instance::<S>(&settings),
            dns: Dns::new(settings.consul_dns_addr)?,
            tokens,
            tasks: TaskTracker::new(),
            shutdown: CancellationToken::new(),
            settings,
        };
        let http = bind(context.settings.listen(), "HTTP_ADDR").await?;
        let admin = bind(context.settings.admin_addr, "ADMIN_ADDR").await?;
        let service = Arc::new(S::build(own, &context).await?);
        Ok(Self {
            service,
            context,
            http,
            admin,
        })
    }

    /// Where REST and gRPC are answered.
    pub fn http_addr(&self) -> std::io::Result<SocketAddr> {
        self.http.local_addr()
    }

    /// Where `/livez`, `/readyz` and `/metrics` are.
    pub fn admin_addr(&self) -> std::io::Result<SocketAddr> {
        self.admin.local_addr()
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
        } = self;
        let bounds = Bounds {
            connections: context.settings.max_connections,
            headers: Duration::from_secs(context.settings.header_timeout_seconds),
            drain: Duration::from_secs(context.settings.drain_seconds),
        };
        let (admin_service, admin_gate) = (Arc::clone(&service), announcement.gate.clone());
        let operators = tokio::spawn(server::serve(
            admin,
            Bounds {
                connections: 64,
                drain: Duration::ZERO,
                ..bounds
            },
            context.shutdown.clone(),
            move |request| admin::handle(Arc::clone(&admin_service), admin_gate.clone(), request),
        ));
        follow_tokens::<S>(&context)?;
        let front = front(&service, &context);
        let clients = CancellationToken::new();
        let serving = server::serve(http, bounds, clients.clone(), move |request| {
            front.clone().handle(request)
        });
        let serving = tokio::spawn(serving);
        tokio::select! {
            () = announcement.keep(service.as_ref()) => {}
            () = shutdown.cancelled() => {}
        }
        tracing::info!("service stops");
        announcement.leave().await;
        clients.cancel();
        let _ = serving.await;
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
            service: S::NAME.to_owned(),
            id: self.context.instance.clone(),
            address: self.http_addr()?,
            admin: self.admin_addr()?,
            upstreams: settings.sockets(calls.iter().map(|call| call.service)),
            meta: BTreeMap::new(),
            ready: false,
        };
        let tokens = follows_tokens::<S>().then(|| Arc::clone(&self.context.tokens));
        let gate = admin::Gate::default();
        Ok(Announcement {
            registry: registry(settings)?,
            registration,
            gate,
            tokens,
        })
    }
}

async fn bind(address: SocketAddr, variable: &str) -> anyhow::Result<TcpListener> {
    let bound = TcpListener::bind(address).await;
    bound.with_context(|| format!("{variable}: cannot listen on {address}; is the port taken?"))
}

fn registry(settings: &Settings) -> anyhow::Result<Arc<dyn Registry>> {
    Ok(match settings.registration {
        Registration::Off => Arc::new(Unregistered),
        Registration::On => Arc::new(Consul::new(
            &settings.consul_http_addr,
            settings.consul_token()?.as_deref(),
        )?),
    })
}

fn front<S: Service>(service: &Arc<S>, context: &Context) -> Front {
    let rest = Rest {
        state: Arc::clone(service),
        tokens: Arc::clone(&context.tokens),
        routes: S::routes().into_iter().map(Arc::new).collect(),
        body_deadline: Duration::from_secs(context.settings.body_timeout_seconds),
    };
    Front::new(
        rest.filter(),
        service.grpc(),
        context.settings.max_in_flight,
    )
}

/// Keeps the copy of keys and logged-out tokens, where the service needs one and has no other.
fn follow_tokens<S: Service>(context: &Context) -> anyhow::Result<()> {
    if follows_tokens::<S>() {
        let upstream = context.upstream(follow::CALLS[0].service)?;
        let tokens = Arc::clone(&context.tokens);
        let shutdown = context.shutdown.clone();
        context
            .tasks
            .spawn(follow::tokens(upstream, tokens, shutdown));
    }
    Ok(())
}
