//! What a request that may be repeated found or chose at first, for its repetitions to go by.

use mongodb::bson::doc;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{Collection, Database};
use crate::{Error, clock};

#[derive(Debug, Serialize, Deserialize)]
struct Claim<T> {
    #[serde(rename = "_id")]
    id: String,
    value: T,
    /// Milliseconds since the epoch.
    claimed_at: i64,
}

/// Values that the first of several requests decides for all of them. A collection `claims`, from
/// which they go with the operations that made them ([`Operations`](crate::Operations)).
#[derive(Debug, Clone)]
pub struct Claims(Collection<()>);

impl Claims {
    /// Those of a service.
    pub fn of(database: &Database) -> Self {
        Self(database.collection("claims"))
    }

    /// `value`, or what an earlier request said under the same `id`.
    ///
    /// # Errors
    /// As [`Collection::run`].
    pub async fn claim<T>(&self, id: String, value: T) -> Result<T, Error>
    where
        T: Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        let claims = self.0.with_type::<Claim<T>>();
        let claimed_at = clock::now().timestamp_millis();
        let claim = Claim {
            id,
            value,
            claimed_at,
        };
        if claims.insert("claims.insert", &claim).await? {
            return Ok(claim.value);
        }
        let earlier = claims.find("claims.find", &claim.id).await?;
        // A day old, and forgotten at this very moment: the next try is the first.
        let gone = || Error::unavailable("The first request is forgotten; try again");
        Ok(earlier.ok_or_else(gone)?.value)
    }

    /// What a request said under this `id`, if one did.
    ///
    /// # Errors
    /// As [`Collection::run`].
    pub async fn find<T>(&self, id: &str) -> Result<Option<T>, Error>
    where
        T: Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        let claims = self.0.with_type::<Claim<T>>();
        let found = claims.find("claims.find", &id).await?;
        Ok(found.map(|claim| claim.value))
    }

    /// Forgets what was said under all ids that begin so: with what they are about, their text goes.
    ///
    /// # Errors
    /// As [`Collection::run`].
    pub async fn forget_all(&self, prefix: &str) -> Result<(), Error> {
        // U+FFFF comes after whatever an id goes on with.
        let all = doc! { "_id": { "$gte": prefix, "$lt": format!("{prefix}\u{ffff}") } };
        let forget = |claims: mongodb::Collection<()>| async move { claims.delete_many(all).await };
        self.0.run("claims.forget", forget).await?;
        Ok(())
    }

    /// Forgets those that were made before a time, in milliseconds since the epoch.
    pub(crate) async fn forget(&self, before: i64) -> Result<(), Error> {
        let old = doc! { "claimed_at": { "$lt": before } };
        let prune = |claims: mongodb::Collection<()>| async move { claims.delete_many(old).await };
        self.0.run("claims.prune", prune).await?;
        Ok(())
    }
}
