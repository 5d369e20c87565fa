//! What tests share: a service in process on ports of its own, tokens for it, stores of its
//! own, and waiting by polling with a deadline.

mod agent;
pub mod browser;
mod client;
pub mod cursors;
pub mod disk;
pub mod documents;
mod farewell;
pub mod ledger;
pub mod mesh;
pub mod process;
mod prometheus;
pub mod redis;
mod service;
pub mod signal;
pub mod signer;
mod socketio;
pub mod stores;
mod users;

pub use agent::Agent;
pub use browser::Browser;
pub use client::{Reply, attempt, send};
pub use farewell::Farewell;
pub use mesh::Mesh;
pub use process::Process;
pub use prometheus::Prometheus;
pub use service::TestService;
pub use signal::{Frozen, Signal};
pub use signer::Signer;
pub use socketio::SocketIo;
pub use users::{FakeUsers, Mood};

use std::time::Duration;

/// How long [`eventually`] waits by default: far more than anything here should take, on a machine
/// that builds and tests at once.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Polls `attempt` until it gives a value.
///
/// # Panics
/// After [`PATIENCE`], with `what` and the last reason.
pub async fn eventually<T, F, R>(what: &str, attempt: F) -> T
where
    F: FnMut() -> R,
    R: Future<Output = Result<T, String>>,
{
    eventually_within(PATIENCE, what, attempt).await
}

/// As [`eventually`], for what takes longer or must be faster.
///
/// # Panics
/// After `patience`, with `what` and the last reason.
pub async fn eventually_within<T, F, R>(patience: Duration, what: &str, mut attempt: F) -> T
where
    F: FnMut() -> R,
    R: Future<Output = Result<T, String>>,
{
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        let reason = match attempt().await {
            Ok(value) => return value,
            Err(reason) => reason,
        };
        assert!(
            tokio::time::Instant::now() < deadline,
            "{what} did not happen within {patience:?}: {reason}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A name that no other test uses: `prefix` and some random characters.
pub fn unique(prefix: &str) -> String {
    let id = uuid::Uuid::now_v7().simple().to_string();
    format!("{prefix}{}", &id[20..])
}
