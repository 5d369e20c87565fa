//! The outbox of a document store, which has no transactions: the document is the commit.
//!
//! ```ignore
//! if !outbox.insert("posts.insert", &posts, &post, &Posted { post_id }).await? {
//!     // … the id is taken: nothing happened, and nothing is told …
//! }
//! ```
//!
//! An event waits in a document of its own, the marker, which is inserted before the document of
//! the change. That one then says in its member [`MEMBER`] which event it made, and so commits
//! change and event by one insert. The relay publishes the event of a marker only where it finds
//! that member; a marker whose document never came is dropped. See `docs/adr/0017`.
//!
//! **A document that is replaced must keep the member** as long as it may be unpublished: give its
//! type a field `event_id: Option<String>`. One that is deleted before its event is published
//! takes the event with it.
//!
//! **Order.** Events that one process inserts one after the other are published in that order, but
//! for those that a crash left to others. Instances do not wait for each other.

mod marker;
mod relay;

use std::{sync::Arc, time::Duration};

use chassis::{
    Error,
    documents::{Collection, Database},
};
use mongodb::bson::{self, Document};
use serde::Serialize;
use tokio::sync::mpsc;

use crate::{Broker, Envelope, Event};
use marker::{Marker, Markers};
use relay::Relay;

/// The member of a document that names the event of its insertion.
pub const MEMBER: &str = "event_id";
/// At [`failpoint`](crate::failpoint): the marker is there, the document not yet.
pub const BEFORE_INSERT: &str = "before-insert";
/// How long a marker may wait for its document. An insert that fails by then never happens.
const GRACE: Duration = Duration::from_mins(10);
/// Events that the relay is handed before it has to look for the rest.
const HANDED: usize = 4096;

/// The outbox of one service. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Outbox {
    broker: Broker,
    markers: Markers,
    relay: mpsc::Sender<Arc<Marker>>,
}

impl Outbox {
    /// Opens the outbox in `database` and starts the relay that empties it.
    pub fn start(broker: &Broker, database: &Database, context: &chassis::Context) -> Self {
        Self::with_grace(broker, database, context, GRACE)
    }

    /// As [`Outbox::start`], with another time that a marker waits for its document.
    pub fn with_grace(
        broker: &Broker,
        database: &Database,
        context: &chassis::Context,
        grace: Duration,
    ) -> Self {
        let (relay, handed) = mpsc::channel(HANDED);
        let markers = Markers::new(database);
        let running = Relay::new(broker.clone(), markers.clone(), handed, grace);
        context.tasks.spawn(running.run(context.shutdown.clone()));
        Self {
            broker: broker.clone(),
            markers,
            relay,
        }
    }

    /// Inserts a document whose `_id` is a text, with its event; `false`, and no event, when the
    /// id is taken. `name` is that of the operation, as for [`Collection::insert`].
    ///
    /// # Errors
    /// When the store fails. Whether the document is there is then as unknown as ever; the event
    /// is published if it is.
    pub async fn insert<T: Serialize + Send + Sync, E: Event>(
        &self,
        name: &'static str,
        collection: &Collection<T>,
        document: &T,
        event: &E,
    ) -> Result<bool, Error> {
        let envelope = Envelope::new(self.broker.service(), event).map_err(Error::internal)?;
        let mut document = bson::serialize_to_document(document).map_err(Error::internal)?;
        document.insert(MEMBER, envelope.id.as_str());
        let id = document.get_str("_id").map_err(Error::internal)?;
        let marker = Marker::new(collection.name(), id, envelope).map_err(Error::internal)?;
        self.markers.insert(&marker).await?;
        self.broker.failpoints().reach(BEFORE_INSERT).await;
        let collection = collection.with_type::<Document>();
        let inserted = collection.insert(name, &document).await?;
        if inserted {
            // A relay that is behind finds it by itself.
            let _ = self.relay.try_send(Arc::new(marker));
        } else if let Err(error) = self.markers.remove(&marker.id).await {
            // The relay drops it, later.
            tracing::debug!(cause = %error, "a marker stays for now");
        }
        Ok(inserted)
    }
}
