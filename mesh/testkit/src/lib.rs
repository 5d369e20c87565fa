//! What tests share: a service in process on ports of its own, tokens for it, stores of its
//! own, and waiting by polling with a deadline.

mod client;
pub mod mesh;
mod service;
pub mod signer;
pub mod stores;

pub use client::{Reply, send};
pub use mesh::Mesh;
pub use service::TestService;
pub use signer::Signer;

use std::time::Duration;

/// How long [`eventually`] waits by default: far more than anything here should take.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Polls `attempt` until it gives a value.
///
/// # Panics
/// After [`PATIENCE`], with `what` and the last reason.
pub async fn eventually<T, F, R>(what: &str, mut attempt: F) -> T
where
    F: FnMut() -> R,
    R: Future<Output = Result<T, String>>,
{
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let reason = match attempt().await {
            Ok(value) => return value,
            Err(reason) => reason,
        };
        assert!(
            tokio::time::Instant::now() < deadline,
            "{what} did not happen within {PATIENCE:?}: {reason}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A name that no other test uses: `prefix` and some random characters.
pub fn unique(prefix: &str) -> String {
    let id = uuid::Uuid::now_v7().simple().to_string();
    format!("{prefix}{}", &id[20..])
}
