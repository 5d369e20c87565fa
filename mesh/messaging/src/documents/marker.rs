//! Markers: events that wait for their document, or for the broker.

use std::sync::Arc;

use chassis::{
    Error,
    documents::{Collection, Database},
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use mongodb::bson::{Document, doc};
use serde::{Deserialize, Serialize};

use super::MEMBER;
use crate::Envelope;

/// Point deletions at once.
const DELETIONS: usize = 8;

/// An event that the broker does not have yet, as far as we know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Marker {
    /// The event's id: later ones of one process are greater.
    #[serde(rename = "_id")]
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) traceparent: Option<String>,
    pub(super) body: String,
    /// When it happened, in milliseconds since the epoch.
    pub(super) created_at: i64,
    /// Where the document is that commits it, and which.
    collection: String,
    document: String,
}

impl Marker {
    pub(super) fn new(collection: &str, document: &str, event: Envelope) -> anyhow::Result<Self> {
        Ok(Self {
            body: event.to_json()?,
            id: event.id,
            kind: event.kind,
            traceparent: event.traceparent,
            created_at: event.time.timestamp_millis(),
            collection: collection.to_owned(),
            document: document.to_owned(),
        })
    }
}

/// What waits, for the metrics.
#[derive(Debug, Deserialize)]
pub(super) struct Waiting {
    pub(super) created_at: i64,
}

/// The collection of markers. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Markers {
    database: Database,
    markers: Collection<Marker>,
}

impl Markers {
    pub(super) fn new(database: &Database) -> Self {
        Self {
            markers: database.collection("outbox"),
            database: database.clone(),
        }
    }

    pub(super) async fn insert(&self, marker: &Marker) -> Result<(), Error> {
        if self.markers.insert("outbox.insert", marker).await? {
            Ok(())
        } else {
            let twice = anyhow::anyhow!("event id {} was given twice", marker.id);
            Err(Error::internal(twice))
        }
    }

    pub(super) async fn remove(&self, id: &str) -> Result<(), Error> {
        self.markers.remove("outbox.remove", &id).await?;
        Ok(())
    }

    /// Removes those that are published. Somebody finds what stays, and publishes it once more.
    pub(super) async fn remove_all(&self, published: Vec<Arc<Marker>>) {
        let removals = stream::iter(published).map(|marker| {
            let markers = self.clone();
            async move { markers.remove(&marker.id).await }
        });
        let mut removals = removals.buffer_unordered(DELETIONS);
        while let Some(removed) = removals.next().await {
            if let Err(error) = removed {
                tracing::warn!(cause = %error, "a published event stays in the outbox");
            }
        }
    }

    /// Some that wait, the oldest of them first. A walk, over a collection that is mostly empty.
    pub(super) async fn list(&self, limit: usize) -> Result<Vec<Arc<Marker>>, Error> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let list = |markers: mongodb::Collection<Marker>| async move {
            let found = markers.find(doc! {}).limit(limit).await?;
            found.try_collect::<Vec<Marker>>().await
        };
        let mut found = self.markers.run("outbox.list", list).await?;
        found.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(found.into_iter().map(Arc::new).collect())
    }

    /// Since when those wait that do, up to `limit` of them.
    pub(super) async fn waiting(&self, limit: i64) -> Result<Vec<Waiting>, Error> {
        let markers = self.markers.with_type::<Waiting>();
        let list = |markers: mongodb::Collection<Waiting>| async move {
            let find = markers.find(doc! {}).limit(limit);
            let find = find.projection(doc! { "created_at": 1 });
            find.await?.try_collect().await
        };
        markers.run("outbox.count", list).await
    }

    /// Whether the document of a marker is there, and made by its event.
    pub(super) async fn is_committed(&self, marker: &Marker) -> Result<bool, Error> {
        let collection = self.database.collection::<Document>(&marker.collection);
        let document = collection.find("outbox.look", &marker.document).await?;
        let event = document
            .as_ref()
            .and_then(|found| found.get_str(MEMBER).ok());
        Ok(event == Some(marker.id.as_str()))
    }
}
