//! A service in process, on ports that the system chose.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use chassis::{App, Context, Place, Service, Settings, TokenSource};
use clap::Parser;
use reqwest::{Client, Method, RequestBuilder};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{Reply, Signer, eventually, send};

// What a test says wins over what every test needs, and over its helpers.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, args_override_self = true)]
struct Flags<A: clap::Args> {
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    own: A,
}

/// A running service with a data folder of its own, and a client for it.
#[derive(Debug)]
pub struct TestService<S: Service> {
    /// The service itself.
    pub service: Arc<S>,
    /// What it was built with.
    pub context: Context,
    /// Where REST and gRPC are answered.
    pub place: Place,
    /// Its port; of one without, that of operators.
    pub address: SocketAddr,
    /// Where `/readyz` and `/metrics` are.
    pub admin: SocketAddr,
    client: Client,
    signer: Signer,
    shutdown: CancellationToken,
    running: Option<JoinHandle<()>>,
    data: Arc<TempDir>,
}

impl<S: Service> TestService<S> {
    /// Starts a service with these flags beside those that every test needs.
    ///
    /// # Panics
    /// When it does not start or does not become ready.
    pub async fn start(flags: &[&str]) -> Self {
        let data = Arc::new(tempfile::tempdir().expect("a temporary folder"));
        Self::start_in(data, flags).await
    }

    /// Starts a service over the data folder of another one, which has stopped or runs beside it.
    ///
    /// # Panics
    /// As [`TestService::start`].
    pub async fn start_in(data: Arc<TempDir>, flags: &[&str]) -> Self {
        Self::run(build::<S>(&data, flags, false).await, data).await
    }

    /// Starts a process of the service that does background work alone (`work`), over the data
    /// folder of another one.
    ///
    /// # Panics
    /// As [`TestService::start`].
    pub async fn start_worker_in(data: Arc<TempDir>, flags: &[&str]) -> Self {
        Self::run(build::<S>(&data, flags, true).await, data).await
    }

    async fn run(app: App<S>, data: Arc<TempDir>) -> Self {
        telemetry::metrics::install().expect("no other recorder is installed");
        let signer = Signer::new("testkit");
        if S::TOKENS == TokenSource::Stream {
            app.context().tokens.apply(signer.snapshot());
        }
        let (place, admin) = (app.place().clone(), app.admin_addr());
        let mut client = Client::builder().timeout(Duration::from_secs(20));
        if let Some(socket) = place.socket() {
            client = client.unix_socket(socket);
        }
        let shutdown = CancellationToken::new();
        let mut started = Self {
            service: Arc::clone(app.service()),
            context: app.context().clone(),
            address: place.port().unwrap_or(admin),
            place,
            admin,
            client: client.build().expect("a client can be made"),
            signer,
            shutdown: shutdown.clone(),
            running: None,
            data,
        };
        started.running = Some(tokio::spawn(async move {
            let ended = app.run(shutdown).await;
            ended.unwrap_or_else(|error| panic!("{error:#}"));
        }));
        started.wait_until_ready().await;
        started
    }

    async fn wait_until_ready(&self) {
        eventually("readiness", || async {
            let ended = self.running.as_ref().is_some_and(JoinHandle::is_finished);
            assert!(!ended, "the service ended at once");
            self.readiness().await
        })
        .await;
    }

    /// What `/readyz` says: nothing, or why it is not.
    ///
    /// # Errors
    /// When it is not ready.
    pub async fn readiness(&self) -> Result<(), String> {
        // Not by the client of the application, which may know a socket alone.
        let asked = Client::new().get(format!("http://{}/readyz", self.admin));
        match asked.timeout(Duration::from_secs(20)).send().await {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(answer.text().await.unwrap_or_default()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The data folder, for a second instance over the same data.
    pub fn data(&self) -> Arc<TempDir> {
        Arc::clone(&self.data)
    }

    /// A good token of a person, for services that do not issue tokens themselves.
    pub fn token(&self, user_id: i64, username: &str) -> String {
        self.signer.token(user_id, username)
    }

    /// The key that the service trusts.
    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    /// A request to the service, not sent yet.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("http://{}{path}", self.address))
    }

    /// `GET path`, as nobody in particular.
    pub async fn get(&self, path: &str) -> Reply {
        send(self.request(Method::GET, path)).await
    }

    /// `method path` with a token and, if not `null`, a JSON body.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: &serde_json::Value,
    ) -> Reply {
        let mut request = self.request(method, path);
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if !body.is_null() {
            request = request.json(body);
        }
        send(request).await
    }

    /// Shuts the service down in order.
    ///
    /// # Panics
    /// When the service did.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        if let Some(running) = self.running.take() {
            running.await.expect("the service ends in order");
        }
    }
}

async fn build<S: Service>(data: &TempDir, flags: &[&str], worker: bool) -> App<S> {
    let data_dir = data.path().display().to_string();
    let fixed = [
        "--registration=off",
        "--http-addr=127.0.0.1:0",
        "--admin-addr=127.0.0.1:0",
        "--drain-seconds=2",
        // On a machine that builds and tests at once, a second is not much for thirty writes.
        "--sql-timeout-millis=30000",
        // Port 1 is never ours: nobody answers, unless the test says who.
        "--upstream-urls=users=http://127.0.0.1:1",
        "--data-dir",
        &data_dir,
    ];
    let parsed = Flags::<S::Settings>::try_parse_from(fixed.iter().chain(flags));
    let parsed = parsed.unwrap_or_else(|error| panic!("{error}"));
    let built = if worker {
        App::<S>::build_worker(parsed.settings, parsed.own).await
    } else {
        App::<S>::build(parsed.settings, parsed.own).await
    };
    built.unwrap_or_else(|error| panic!("{error:#}"))
}

impl<S: Service> Drop for TestService<S> {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}
