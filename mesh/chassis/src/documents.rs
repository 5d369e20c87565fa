//! The document store: MongoDB, or the embedded one that speaks its protocol.

use std::time::Duration;

use anyhow::Context as _;
use mongodb::{Client, Database, bson::doc, error::ErrorKind, options::ClientOptions};

use crate::{Context, Error};

/// A store that is not found within this time is away: the answer is 503.
const SELECTION_TIMEOUT: Duration = Duration::from_secs(1);

/// Opens database `name` at `url` (`mongodb://…`). Hosts in Consul's zone are looked up.
///
/// # Errors
/// When the URL is none or no server answers.
pub async fn connect(context: &Context, url: &str, name: &str) -> anyhow::Result<Database> {
    let url = context.dns.resolve_url(url).await?;
    let mut options = ClientOptions::parse(&url).await.context("MONGODB_URL")?;
    options.app_name = Some(context.instance.clone());
    options.server_selection_timeout = Some(SELECTION_TIMEOUT);
    options.connect_timeout = Some(SELECTION_TIMEOUT);
    options.max_pool_size = Some(16);
    // The embedded store has no sessions to retry in; our writes carry ids and are safe to repeat.
    options.retry_writes = Some(false);
    let database = Client::with_options(options)?.database(name);
    ping(&database)
        .await
        .context("cannot open the document store")?;
    Ok(database)
}

/// Whether the store answers.
///
/// # Errors
/// 503 when it does not.
pub async fn ping(database: &Database) -> Result<(), Error> {
    database.run_command(doc! { "ping": 1 }).await?;
    Ok(())
}

/// What a failure of the store means to the caller: 503 when the store is away, else 500.
impl From<mongodb::error::Error> for Error {
    fn from(error: mongodb::error::Error) -> Self {
        let away = matches!(
            *error.kind,
            ErrorKind::ServerSelection { .. }
                | ErrorKind::Io(_)
                | ErrorKind::ConnectionPoolCleared { .. }
        );
        if away {
            Self::unavailable("The store does not answer; try again").caused_by(error)
        } else {
            Self::internal(error)
        }
    }
}
