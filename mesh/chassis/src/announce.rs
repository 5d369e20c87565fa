//! How an instance comes into the mesh, stays in it, and leaves.

use std::{sync::Arc, time::Duration};

use discovery::{Registration, Registry};
use tokio::time::{Instant, sleep};

use crate::{Service, Tokens, admin};

/// How often the agent is asked whether it still knows this instance.
const REASSERT: Duration = Duration::from_secs(5);
/// How long a new instance waits for the first copy of keys and logged-out tokens.
const TOKENS_DEADLINE: Duration = Duration::from_secs(10);
/// What leaving Consul may take at shutdown.
const LEAVE_DEADLINE: Duration = Duration::from_secs(2);
/// Envoys learn within this time that the instance is gone: until then it still answers.
const FAREWELL: Duration = Duration::from_millis(500);

/// What is announced where, and the gate that readiness opens.
#[derive(Debug)]
pub(crate) struct Announcement {
    pub(crate) registry: Arc<dyn Registry>,
    pub(crate) registration: Registration,
    pub(crate) gate: admin::Gate,
    /// The copy that the chassis follows for this service, if it does.
    pub(crate) tokens: Option<Arc<Tokens>>,
}

impl Announcement {
    /// Waits for the stores, registers, opens the gate, and registers again whenever Consul
    /// forgot. Endless.
    pub(crate) async fn keep<S: Service>(&self, service: &S) {
        while let Err(error) = admin::ready(service).await {
            tracing::warn!(cause = %error, "service waits for its stores");
            sleep(Duration::from_millis(500)).await;
        }
        if let Some(tokens) = &self.tokens {
            // The sidecar comes with the registration, and tokens come through the sidecar.
            self.register(false).await;
            wait_for(tokens).await;
        }
        self.gate.open();
        loop {
            self.register(true).await;
            let Registration { address, admin, .. } = &self.registration;
            tracing::info!(%address, %admin, "service ready");
            // An agent that does not answer has not forgotten.
            while self
                .registry
                .is_registered(&self.registration.id)
                .await
                .unwrap_or(true)
            {
                sleep(REASSERT).await;
            }
        }
    }

    async fn register(&self, ready: bool) {
        let registration = Registration {
            ready,
            ..self.registration.clone()
        };
        while let Err(error) = self.registry.register(&registration).await {
            tracing::warn!(cause = %error, "registration failed");
            sleep(Duration::from_secs(1)).await;
        }
    }

    /// Not ready any more, and out of Consul.
    pub(crate) async fn leave(&self) {
        self.gate.close();
        let left = self.registry.deregister(&self.registration.id);
        match tokio::time::timeout(LEAVE_DEADLINE, left).await {
            Ok(Ok(())) => sleep(FAREWELL).await,
            Ok(Err(error)) => tracing::warn!(cause = %error, "could not leave consul"),
            Err(_) => tracing::warn!("consul did not answer at shutdown"),
        }
    }
}

/// Writing needs tokens, reading does not: without `users` an instance begins without them.
async fn wait_for(tokens: &Tokens) {
    let deadline = Instant::now() + TOKENS_DEADLINE;
    while !tokens.is_known() {
        if Instant::now() > deadline {
            tracing::warn!(
                "service starts without tokens: until users answers it can only be read"
            );
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
}
