//! Password hashes (D25): argon2id for new ones, bcrypt for those that were moved over.

use std::{sync::Arc, thread};

use argon2::{
    Algorithm, Argon2, Params, PasswordHash, PasswordHasher as _, PasswordVerifier as _, Version,
};
use chassis::Error;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Semaphore;

/// Hashes that may wait for their turn before more are refused.
const QUEUE: usize = 64;

/// What a check found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Another password.
    Wrong,
    /// The right one.
    Right,
    /// The right one, under a hash that shall be replaced by a new one.
    Outdated,
}

/// Hashes on a share of the cores, so that a flood of logins leaves the rest to everybody else.
#[derive(Debug, Clone)]
pub(crate) struct Hasher {
    turns: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// What is checked when there is no such account: it takes as long, and is never right.
    decoy: Arc<str>,
}

impl Hasher {
    pub(crate) fn new() -> Self {
        let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            turns: Arc::new(Semaphore::new((cores / 2).max(1))),
            waiting: Arc::new(Semaphore::new(QUEUE)),
            decoy: hash("decoy").unwrap_or_default().into(),
        }
    }

    /// A new hash, in PHC format.
    ///
    /// # Errors
    /// 503 when too many wait already.
    pub(crate) async fn hash(&self, password: &SecretString) -> Result<String, Error> {
        let password = password.clone();
        self.run(move || hash(password.expose_secret())).await?
    }

    /// Compares; `None` stands for an account that does not exist and is always wrong.
    ///
    /// # Errors
    /// 503 when too many wait already.
    pub(crate) async fn verify(
        &self,
        password: &SecretString,
        hash: Option<&str>,
    ) -> Result<Verdict, Error> {
        let exists = hash.is_some();
        let hash = hash.unwrap_or(&self.decoy).to_owned();
        let password = password.clone();
        let verdict = self
            .run(move || verify(password.expose_secret(), &hash))
            .await?;
        Ok(if exists { verdict } else { Verdict::Wrong })
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let busy = |_| Error::unavailable("Too many people are logging in; try again");
        let _waiting = self.waiting.try_acquire().map_err(busy)?;
        let turn = Arc::clone(&self.turns)
            .acquire_owned()
            .await
            .map_err(Error::internal)?;
        // The turn goes along: a client that leaves does not free the core before its hash is done.
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        done.await.map_err(Error::internal)
    }
}

/// 19 MiB, two passes, one lane (OWASP's first choice, and D25's).
fn argon2id() -> Argon2<'static> {
    let params = Params::new(19 * 1024, 2, 1, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn hash(password: &str) -> Result<String, Error> {
    let hash = argon2id().hash_password(password.as_bytes());
    hash.map(|hash| hash.to_string())
        .map_err(|error| Error::internal(std::io::Error::other(error.to_string())))
}

fn verify(password: &str, hash: &str) -> Verdict {
    if hash.starts_with("$2") {
        return match bcrypt::verify(password, hash) {
            Ok(true) => Verdict::Outdated,
            _ => Verdict::Wrong,
        };
    }
    match PasswordHash::new(hash) {
        Ok(parsed)
            if argon2id()
                .verify_password(password.as_bytes(), &parsed)
                .is_ok() =>
        {
            Verdict::Right
        }
        _ => Verdict::Wrong,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn s2_65_new_hashes_are_argon2id_with_the_agreed_cost() {
        let hasher = Hasher::new();
        let password = SecretString::from("correct horse");
        let hash = hasher.hash(&password).await.unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        assert_eq!(
            hasher.verify(&password, Some(&hash)).await.unwrap(),
            Verdict::Right
        );
        assert_eq!(
            hasher
                .verify(&"wrong horse".into(), Some(&hash))
                .await
                .unwrap(),
            Verdict::Wrong
        );
    }

    #[tokio::test]
    async fn s4_04_a_bcrypt_hash_is_accepted_and_marked_for_replacement() {
        let hash = bcrypt::hash("correct horse", 4).unwrap();
        let hasher = Hasher::new();
        assert_eq!(
            hasher
                .verify(&"correct horse".into(), Some(&hash))
                .await
                .unwrap(),
            Verdict::Outdated
        );
        assert_eq!(
            hasher
                .verify(&"wrong horse".into(), Some(&hash))
                .await
                .unwrap(),
            Verdict::Wrong
        );
    }

    #[tokio::test]
    async fn s17_an_unknown_account_costs_a_hash_and_is_never_right() {
        assert_eq!(
            Hasher::new().verify(&"decoy".into(), None).await.unwrap(),
            Verdict::Wrong
        );
    }

    #[tokio::test]
    async fn a_flood_is_refused_rather_than_queued_without_end() {
        let hasher = Hasher::new();
        let attempts: Vec<_> = (0..QUEUE * 3)
            .map(|_| {
                let hasher = hasher.clone();
                tokio::spawn(async move {
                    hasher
                        .run(|| thread::sleep(std::time::Duration::from_millis(1)))
                        .await
                })
            })
            .collect();
        let mut refused = 0;
        for attempt in attempts {
            refused += usize::from(attempt.await.unwrap().is_err());
        }
        assert!(refused >= QUEUE, "{refused}");
    }
}
