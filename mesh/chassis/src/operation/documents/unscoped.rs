//! What the version before this one noted, under keys without service and route.

use mongodb::bson::{Binary, doc};
use serde::{Deserialize, Serialize};

use super::{ABANDONED, Begun, Earlier, KEPT, Kept, in_millis, millis, prune};
use crate::{
    Error,
    documents::{Collection, Database},
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
}

/// Its collections.
#[derive(Debug, Clone)]
pub(super) struct Unscoped {
    operations: Collection<Operation>,
    answers: Collection<Answer>,
}

impl Unscoped {
    pub(super) fn of(database: &Database) -> Self {
        Self {
            operations: database.collection("operations"),
            answers: database.collection("operation_answers"),
        }
    }

    pub(super) async fn find(&self, id: &str, fingerprint: &str) -> Result<Earlier, Error> {
        let now = millis();
        let known = self.operations.find("operations.earlier", &id).await?;
        let same = known.filter(|known| {
            known.fingerprint == fingerprint && known.started_at > now - in_millis(KEPT)
        });
        let Some(known) = same else {
            return Ok(Earlier::None);
        };
        if let Some(answer) = self.answers.find("operations.answer", &id).await? {
            return Ok(Earlier::Begun(Begun::Answered(Kept {
                status: u16::try_from(answer.status).unwrap_or(500),
                body: answer.body.bytes,
                location: answer.location,
            })));
        }
        Ok(if known.started_at > now - in_millis(ABANDONED) {
            Earlier::Begun(Begun::Running)
        } else {
            Earlier::LeftBehind
        })
    }

    pub(super) async fn forget(&self, before: i64) -> Result<(), Error> {
        let old = || doc! { "started_at": { "$lt": before } };
        prune(&self.operations, old()).await?;
        prune(&self.answers, old()).await
    }
}
