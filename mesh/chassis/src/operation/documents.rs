//! Operations as documents, on stores that may have no atomic updates: everything that decides
//! something is an insert.
//!
//! The attempts at a key's operation are documents `<key>@<day>.<n>`, counted from 1 without a gap:
//! who goes on where another was, or takes over, inserts the next one. The day is the one on which
//! the key began to be known, so a key that is known is of today or yesterday. No id is used a
//! second time later on, and whoever forgets old ones can never meet a new one. The answer is a
//! document under the operation's number.

mod unscoped;

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use mongodb::bson::{Binary, Document, doc, spec::BinarySubtype};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{ABANDONED, Begun, Earlier, Failed, KEPT, Kept, PRUNING, Store};
use crate::{
    Error, clock,
    documents::{Claims, Collection, Database, numbers},
};
use unscoped::Unscoped;

/// By how much the clocks of two instances differ at most, and a good deal more.
const SKEW: i64 = 60_000;
/// A refusal that came within this time is certain that nobody has taken its key over.
const AT_ONCE: i64 = 5_000;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Attempt {
    #[serde(rename = "_id")]
    id: String,
    /// Of the request; none when the key is free again.
    fingerprint: Option<String>,
    /// The number of the operation.
    operation: String,
    /// When the key began to be known, in milliseconds since the epoch.
    started_at: i64,
    /// When this attempt began; 0 when nobody is at work any more.
    attempted_at: i64,
}

/// An attempt, and the how-manieth it is.
#[derive(Debug, Clone)]
struct Last {
    number: u64,
    attempt: Attempt,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Answer {
    #[serde(rename = "_id")]
    operation: String,
    status: i32,
    body: Binary,
    #[serde(default)]
    location: Option<String>,
    /// Milliseconds since the epoch.
    answered_at: i64,
}

/// The collections of a service.
#[derive(Debug, Clone)]
pub(super) struct Documents {
    attempts: Collection<Attempt>,
    answers: Collection<Answer>,
    unscoped: Unscoped,
    claims: Claims,
}

impl Attempt {
    fn is_known(&self, now: i64) -> bool {
        self.fingerprint.is_some() && self.started_at > now - in_millis(KEPT)
    }
}

#[async_trait]
impl Store for Documents {
    async fn begin(&self, id: &str, fingerprint: &str, new: Uuid) -> Result<Begun, Error> {
        let now = millis();
        let first = Attempt {
            id: String::new(),
            fingerprint: Some(fingerprint.to_owned()),
            operation: new.to_string(),
            started_at: now,
            attempted_at: now,
        };
        let (today, yesterday) = (key(id, day(now)), key(id, day(now) - 1));
        if let Some(last) = self.last(&yesterday).await?
            && last.attempt.is_known(now)
        {
            return self.go_on(&yesterday, last, first).await;
        }
        if self.append(&today, 1, &first).await? {
            return self.first(id, &today, 1, first).await;
        }
        let Some(last) = self.last(&today).await? else {
            // It was refused at this very moment: the next try is the first.
            return Ok(Begun::Running);
        };
        if last.attempt.is_known(now) {
            return self.go_on(&today, last, first).await;
        }
        let next = last.number + 1;
        if self.append(&today, next, &first).await? {
            self.first(id, &today, next, first).await
        } else {
            Ok(Begun::Running)
        }
    }

    async fn finish(&self, _id: &str, operation: Uuid, answer: &Kept) -> Result<(), Error> {
        let answer = Answer {
            operation: operation.to_string(),
            status: i32::from(answer.status),
            body: Binary {
                subtype: BinarySubtype::Generic,
                bytes: answer.body.clone(),
            },
            location: answer.location.clone(),
            answered_at: millis(),
        };
        self.answers.insert("operations.finish", &answer).await?;
        Ok(())
    }

    async fn abandon(&self, id: &str, operation: Uuid, failed: Failed) -> Result<(), Error> {
        let (now, operation) = (millis(), operation.to_string());
        for day in [day(now), day(now) - 1] {
            let key = key(id, day);
            let Some(last) = self.last(&key).await? else {
                continue;
            };
            if last.attempt.operation == operation && last.attempt.is_known(now) {
                return self.leave(&key, last, failed, now).await;
            }
        }
        Ok(())
    }

    async fn earlier(&self, id: &str, fingerprint: &str) -> Result<Earlier, Error> {
        self.unscoped.find(id, fingerprint).await
    }
}

impl Documents {
    pub(super) fn of(database: &Database) -> Self {
        Self {
            attempts: database.collection("keys"),
            answers: database.collection("key_answers"),
            unscoped: Unscoped::of(database),
            claims: Claims::of(database),
        }
    }

    /// An attempt that is the first of its operation is noted. Around midnight another instance
    /// may have done so on its own day at the same time: then neither goes on, or one does.
    async fn first(
        &self,
        id: &str,
        key_of_day: &str,
        number: u64,
        first: Attempt,
    ) -> Result<Begun, Error> {
        let operation = number_of(&first)?;
        let (day, now) = (day(first.started_at), millis());
        let length = in_millis(KEPT);
        let others = [
            (first.started_at < day * length + SKEW, day - 1),
            (now > (day + 1) * length - SKEW, day + 1),
        ];
        for (near, other) in others {
            if !near {
                continue;
            }
            let last = self.last(&key(id, other)).await?;
            if last.is_some_and(|last| last.attempt.is_known(now)) {
                let free = Attempt {
                    fingerprint: None,
                    ..first
                };
                self.append(key_of_day, number + 1, &free).await?;
                return Ok(Begun::Running);
            }
        }
        Ok(Begun::First(operation))
    }

    /// What a request means to a key that is known.
    async fn go_on(&self, key: &str, last: Last, request: Attempt) -> Result<Begun, Error> {
        let attempt = last.attempt;
        if attempt.fingerprint != request.fingerprint {
            return Ok(Begun::Other);
        }
        let answer = self
            .answers
            .find("operations.answer", &attempt.operation)
            .await?;
        if let Some(answer) = answer {
            return Ok(Begun::Answered(answer.into()));
        }
        if attempt.attempted_at > request.started_at - in_millis(ABANDONED) {
            return Ok(Begun::Running);
        }
        // Nobody works on it any more; of those who notice, one takes over.
        let operation = number_of(&attempt)?;
        let next = Attempt {
            attempted_at: request.started_at,
            ..attempt
        };
        Ok(if self.append(key, last.number + 1, &next).await? {
            Begun::First(operation)
        } else {
            Begun::Running
        })
    }

    /// Notes that nobody is at work on an operation.
    async fn leave(&self, key: &str, last: Last, failed: Failed, now: i64) -> Result<(), Error> {
        let attempt = last.attempt;
        let only = attempt.attempted_at == attempt.started_at && failed == Failed::Refused;
        if only && last.number == 1 && now - attempt.started_at < AT_ONCE {
            self.attempts
                .remove("operations.abandon", &attempt.id)
                .await?;
            return Ok(());
        }
        let left = Attempt {
            fingerprint: attempt.fingerprint.clone().filter(|_| !only),
            attempted_at: 0,
            ..attempt
        };
        // Where the number is taken somebody has taken over.
        self.append(key, last.number + 1, &left).await?;
        Ok(())
    }

    async fn append(&self, key: &str, number: u64, attempt: &Attempt) -> Result<bool, Error> {
        let attempt = Attempt {
            id: format!("{key}.{number}"),
            ..attempt.clone()
        };
        self.attempts.insert("operations.begin", &attempt).await
    }

    async fn last(&self, key: &str) -> Result<Option<Last>, Error> {
        let Some(attempt) = self.find(key, 1).await? else {
            return Ok(None);
        };
        let last = Mutex::new(Last { number: 1, attempt });
        let exists = |number| {
            let last = &last;
            async move {
                let Some(attempt) = self.find(key, number).await? else {
                    return Ok(false);
                };
                // Those that are there are asked for in rising order.
                *last.lock().unwrap_or_else(PoisonError::into_inner) = Last { number, attempt };
                Ok(true)
            }
        };
        numbers::last(1, exists).await?;
        Ok(Some(
            last.into_inner().unwrap_or_else(PoisonError::into_inner),
        ))
    }

    async fn find(&self, key: &str, number: u64) -> Result<Option<Attempt>, Error> {
        let id = format!("{key}.{number}");
        self.attempts.find("operations.read", &id).await
    }

    /// Forgets keys whose time is over. Endless.
    pub(super) async fn prune(self) {
        loop {
            let before = millis() - in_millis(KEPT);
            let pruned = async {
                // Nobody looks at those of the day before yesterday, and so none goes too early.
                let old = doc! { "started_at": { "$lt": before - in_millis(KEPT) } };
                prune(&self.attempts, old).await?;
                let old = doc! { "answered_at": { "$lt": before } };
                prune(&self.answers, old).await?;
                self.unscoped.forget(before).await?;
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

impl From<Answer> for Kept {
    fn from(answer: Answer) -> Self {
        Self {
            status: u16::try_from(answer.status).unwrap_or(500),
            body: answer.body.bytes,
            location: answer.location,
        }
    }
}

fn number_of(attempt: &Attempt) -> Result<Uuid, Error> {
    Uuid::try_parse(&attempt.operation).map_err(Error::internal)
}

fn key(id: &str, day: i64) -> String {
    format!("{id}@{day}")
}

/// The day of a time, as long as a key is known.
fn day(millis: i64) -> i64 {
    millis.div_euclid(in_millis(KEPT))
}

fn millis() -> i64 {
    clock::now().timestamp_millis()
}

fn in_millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
