//! The document store: MongoDB, or the embedded one that speaks its protocol.

mod chain;
mod claims;
mod collection;
mod failure;
mod gone;
pub mod numbers;

use std::time::Duration;

use mongodb::{
    Client,
    bson::{Document, doc},
    error::ErrorKind,
    event::{EventHandler, cmap::CmapEvent},
    options::ClientOptions,
};
use tokio::sync::{Mutex, MutexGuard};

use crate::{Context, Error, stores};

pub use chain::{Chains, Latest, Link};
pub use claims::Claims;
pub use collection::{Collection, Database};
pub use gone::{Gone, Part, Place};

use collection::{OPERATION_DEADLINE, POOL_LIMIT};

/// A store that is not found within this time is away: the answer is 503.
const SELECTION_TIMEOUT: Duration = Duration::from_secs(1);

/// Opens database `name` at `url` (`mongodb://…`). Hosts in Consul's zone are looked up.
///
/// # Errors
/// When the URL is none or no server answers.
pub async fn connect(context: &Context, url: &str, name: &str) -> anyhow::Result<Database> {
    context
        .patiently("document store", || open(context, url, name))
        .await
}

/// Reads a URL; the driver's own refusal says back what it took for a host or a port, which may be a password.
async fn parse(url: &str) -> anyhow::Result<ClientOptions> {
    let refused = |error: mongodb::error::Error| match *error.kind {
        ErrorKind::InvalidArgument { .. } => {
            anyhow::anyhow!("MONGODB_URL must be mongodb://user:password@host/, percent-encoded")
        }
        _ => anyhow::Error::new(error).context("MONGODB_URL"),
    };
    ClientOptions::parse(url).await.map_err(refused)
}

async fn open(context: &Context, url: &str, name: &str) -> anyhow::Result<Database> {
    let url = context.dns.resolve_url(url).await?;
    let mut options = parse(&url).await?;
    options.app_name = Some(context.instance.clone());
    options.server_selection_timeout = Some(SELECTION_TIMEOUT);
    options.connect_timeout = Some(SELECTION_TIMEOUT);
    options.max_pool_size = Some(POOL_LIMIT);
    options.cmap_event_handler = Some(pool_watcher());
    // The embedded store has no sessions to retry in; our writes carry ids and are safe to repeat.
    options.retry_writes = Some(false);
    let database = Client::with_options(options)?.database(name);
    let database = Database::new(database, &context.tasks);
    database.ping().await?;
    Ok(database)
}

fn pool_watcher() -> EventHandler<CmapEvent> {
    let pool = stores::Pool::new("documents", POOL_LIMIT);
    EventHandler::callback(move |event| match event {
        CmapEvent::ConnectionCreated(_) => pool.connections.increment(1.0),
        CmapEvent::ConnectionClosed(_) => pool.connections.decrement(1.0),
        CmapEvent::ConnectionCheckedOut(_) => pool.in_use.increment(1.0),
        CmapEvent::ConnectionCheckedIn(_) => pool.in_use.decrement(1.0),
        _ => {}
    })
}

/// The filter for one document: the only one that every store answers quickly, for ids that are
/// text.
pub fn by_id(id: &impl ToString) -> Document {
    doc! { "_id": id.to_string() }
}

/// Waits until nobody else of this process does what `mutex` guards.
///
/// # Errors
/// 503 when that takes too long: behind a store that hangs, requests fail together rather than
/// one after the other.
pub async fn turn<T>(mutex: &Mutex<T>) -> Result<MutexGuard<'_, T>, Error> {
    let turn = tokio::time::timeout(OPERATION_DEADLINE, mutex.lock()).await;
    turn.map_err(|_| too_slow("turn"))
}

fn too_slow(operation: &str) -> Error {
    Error::unavailable("The store is too slow; try again")
        .caused_by(anyhow::anyhow!("{operation}: no answer in time"))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[tokio::test]
    async fn a_url_that_is_none_is_refused_without_its_password() {
        for bad in [
            "mongodb://u:canary/x@127.0.0.1/",
            "mongodb://u:canary@canary@127.0.0.1/",
            "canary",
        ] {
            let refused = parse(bad).await.unwrap_err();
            assert!(!format!("{refused:#}").contains("canary"), "{refused:#}");
        }
    }
}
