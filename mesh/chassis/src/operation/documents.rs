//! Operations as documents. The embedded store has no atomic updates, so an operation is inserted
//! under its id when it begins, and its answer is a second document.

use std::time::Duration;

use async_trait::async_trait;
use mongodb::bson::{Binary, Document, doc, spec::BinarySubtype};
use serde::{Deserialize, Serialize};

use super::{ABANDONED, Begun, KEPT, Kept, PRUNING, Store};
use crate::{
    Error, clock,
    documents::{Claims, Collection, Database},
};

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Operation {
    #[serde(rename = "_id")]
    id: String,
    fingerprint: String,
    /// Milliseconds since the epoch.
    started_at: i64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Answer {
    #[serde(rename = "_id")]
    id: String,
    status: i32,
    body: Binary,
    #[serde(default)]
    location: Option<String>,
    /// Milliseconds since the epoch.
    started_at: i64,
}

/// The collections of a service.
#[derive(Debug, Clone)]
pub(super) struct Documents {
    operations: Collection<Operation>,
    answers: Collection<Answer>,
    claims: Claims,
}

impl Documents {
    pub(super) fn of(database: &Database) -> Self {
        Self {
            operations: database.collection("operations"),
            answers: database.collection("operation_answers"),
            claims: Claims::of(database),
        }
    }

    async fn note(&self, operation: &Operation) -> Result<bool, Error> {
        self.operations.insert("operations.begin", operation).await
    }

    /// Forgets old answers. Endless.
    pub(super) async fn prune(self) {
        loop {
            let before = millis() - in_millis(KEPT);
            let old = || doc! { "started_at": { "$lt": before } };
            let pruned = async {
                prune(&self.operations, old()).await?;
                prune(&self.answers, old()).await?;
                self.claims.forget(before).await
            };
            if let Err(error) = pruned.await {
                tracing::warn!(cause = %error, "operations not pruned");
            }
            tokio::time::sleep(PRUNING).await;
        }
    }
}

async fn prune<T: Send + Sync + 'static>(
    collection: &Collection<T>,
    old: Document,
) -> Result<(), Error> {
    let prune = |documents: mongodb::Collection<T>| async move { documents.delete_many(old).await };
    collection.run("operations.prune", prune).await?;
    Ok(())
}

#[async_trait]
impl Store for Documents {
    async fn begin(&self, id: &str, fingerprint: &str) -> Result<Begun, Error> {
        let operation = Operation {
            id: id.to_owned(),
            fingerprint: fingerprint.to_owned(),
            started_at: millis(),
        };
        if self.note(&operation).await? {
            return Ok(Begun::First);
        }
        let Some(known) = self.operations.find("operations.read", &id).await? else {
            // It failed at this very moment: the next try is the first.
            return Ok(Begun::Running);
        };
        if known.fingerprint != fingerprint {
            return Ok(Begun::Other);
        }
        if let Some(answer) = self.answers.find("operations.answer", &id).await? {
            let status = u16::try_from(answer.status).unwrap_or(500);
            let body = answer.body.bytes;
            let location = answer.location;
            return Ok(Begun::Answered(Kept {
                status,
                body,
                location,
            }));
        }
        if known.started_at > millis() - in_millis(ABANDONED) {
            return Ok(Begun::Running);
        }
        // Nobody works on it any more; of those who notice, one takes over.
        self.operations.remove("operations.take", &id).await?;
        Ok(if self.note(&operation).await? {
            Begun::First
        } else {
            Begun::Running
        })
    }

    async fn finish(&self, id: &str, answer: &Kept) -> Result<(), Error> {
        let answer = Answer {
            id: id.to_owned(),
            status: i32::from(answer.status),
            body: Binary {
                subtype: BinarySubtype::Generic,
                bytes: answer.body.clone(),
            },
            location: answer.location.clone(),
            started_at: millis(),
        };
        self.answers.insert("operations.finish", &answer).await?;
        Ok(())
    }

    async fn abandon(&self, id: &str) -> Result<(), Error> {
        self.operations.remove("operations.abandon", &id).await?;
        Ok(())
    }
}

fn millis() -> i64 {
    clock::now().timestamp_millis()
}

fn in_millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
