//! Tokens: issued, ended, and their keys rotated; and what other services are told of it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration as StdDuration,
};

use chassis::{
    Claims, Context, Error, Identity, Tokens, clock,
    token::{self, Scheme},
};
use chrono::{DateTime, Duration, Utc};
use jsonwebtoken::{Algorithm, EncodingKey};
use metrics::counter;
use proto::users::{Revocation, TokenUpdate};
use secrecy::ExposeSecret as _;
use tokio::sync::broadcast;
use uuid::Uuid;

use crate::{
    Settings,
    keys::{self, JwkSet, SigningKey},
    model::User,
    store::Store,
};

/// How often another instance's logouts and keys are looked for in the store (D3: one second).
const REFRESH: StdDuration = StdDuration::from_millis(250);
/// Rows that were committed later than they are dated are still found by then.
const OVERLAP: Duration = Duration::seconds(10);
/// How long keys are remembered after their end.
const KEPT: Duration = Duration::minutes(1);
/// How often rotation and cleaning up are thought of.
const HOUSEKEEPING: StdDuration = StdDuration::from_mins(1);
/// How long a login may be under way, and longer.
const UNDER_WAY: Duration = Duration::minutes(10);
/// Updates that a slow listener may be behind before it has to start again.
const BACKLOG: usize = 1024;

/// A token, as a login door hands it out.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The signed token.
    pub token: String,
    /// Seconds that it lives.
    pub expires_in: i64,
}

/// Issues and ends tokens.
#[derive(Debug)]
pub struct Sessions {
    store: Store,
    scheme: Scheme,
    /// What this very process verifies with.
    tokens: Arc<Tokens>,
    lifetime: Duration,
    rotate_after: Duration,
    known: Mutex<Known>,
    updates: broadcast::Sender<TokenUpdate>,
}

/// What listeners have been told.
#[derive(Debug, Default)]
struct Known {
    keys: Vec<SigningKey>,
    revoked: HashMap<String, i64>,
    refreshed_at: Option<DateTime<Utc>>,
}

impl Sessions {
    pub(crate) async fn open(
        store: Store,
        context: &Context,
        settings: &Settings,
    ) -> anyhow::Result<Arc<Self>> {
        let sessions = Self {
            store,
            scheme: context.settings.scheme()?,
            tokens: Arc::clone(&context.tokens),
            lifetime: Duration::minutes(i64::from(settings.jwt_expires_minutes)),
            rotate_after: Duration::hours(i64::from(settings.jwt_rotate_hours)),
            known: Mutex::default(),
            updates: broadcast::Sender::new(BACKLOG),
        };
        sessions.keep_house().await?;
        sessions.refresh().await?;
        Ok(Arc::new(sessions))
    }

    /// A token for somebody who proved who they are.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub(crate) fn issue(&self, user: &User) -> Result<Issued, Error> {
        let now = clock::now();
        let claims = Claims {
            sub: user.id.to_string(),
            username: user.username.clone(),
            jti: Uuid::now_v7().simple().to_string(),
            iss: token::ISSUER.into(),
            aud: token::AUDIENCE.into(),
            iat: now.timestamp(),
            exp: (now + self.lifetime).timestamp(),
        };
        let token = match &self.scheme {
            Scheme::Hs256(secret) => {
                let key = EncodingKey::from_secret(secret.expose_secret().as_bytes());
                token::sign(&claims, &key, Algorithm::HS256, None)?
            }
            Scheme::EdDsa => {
                let key = self.signing_key(now)?;
                token::sign(
                    &claims,
                    &EncodingKey::from_ed_der(&key.pkcs8),
                    Algorithm::EdDSA,
                    Some(&key.kid),
                )?
            }
        };
        Ok(Issued {
            token,
            expires_in: self.lifetime.num_seconds(),
        })
    }

    /// Whose token this is.
    ///
    /// # Errors
    /// As [`Tokens::verify`].
    pub(crate) fn verify(&self, token: &str) -> Result<Identity, Error> {
        self.tokens.verify(token)
    }

    /// Ends a token, everywhere (D3). It is in the store before this returns.
    ///
    /// # Errors
    /// When the store does not answer: the token is then still good.
    pub(crate) async fn revoke(&self, identity: &Identity) -> Result<(), Error> {
        self.store
            .insert_revocation(&identity.jti, identity.expires_at)
            .await?;
        self.tell(
            Vec::new(),
            vec![Revocation {
                jti: identity.jti.clone(),
                expires_at: identity.expires_at,
            }],
        );
        counter!("tokens_revoked_total").increment(1);
        Ok(())
    }

    /// When the last token ends that somebody may have, in seconds since the epoch: one may be issued at this very moment.
    pub(crate) fn last_end(&self) -> i64 {
        (clock::now() + self.lifetime + UNDER_WAY).timestamp()
    }

    /// Tells that all tokens of somebody are ended, which the store knows already.
    pub(crate) fn ended_all(&self, user_id: i64, expires_at: i64) {
        let jti = token::all_of(user_id);
        self.tell(Vec::new(), vec![Revocation { jti, expires_at }]);
        counter!("tokens_revoked_total").increment(1);
    }

    /// Makes a new key, unless another instance just did; the old one is accepted until the
    /// last token that it signed has ended.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn rotate(&self) -> Result<(), Error> {
        let newest = self
            .store
            .newest_key()
            .await?
            .map_or(0, |key| key.generation);
        let key = SigningKey::generate(newest + 1)?;
        // The old key signs until the new one does, and that is well within a minute.
        let old_ends = clock::now() + self.lifetime + Duration::minutes(1);
        if self.store.insert_key(&key, old_ends).await? {
            tracing::info!(
                key.id = key.kid,
                key.generation = key.generation,
                "signing key made"
            );
        }
        self.refresh().await
    }

    /// Makes a new key and ends all others at once, with every token that they signed: for a key that somebody else may have.
    ///
    /// # Errors
    /// When the store does not answer, or tokens are signed with a secret. Done again, it ends what is left.
    pub async fn withdraw(&self) -> anyhow::Result<()> {
        if let Scheme::Hs256(_) = self.scheme {
            anyhow::bail!("tokens are signed with JWT_SECRET: give all services another one");
        }
        self.rotate().await?;
        // Until the new key signs, the old one has to: nobody is kept from logging in.
        tokio::time::sleep(keys::HEAD_START_AND_MORE).await;
        let ended = self.store.end_older_keys(clock::now()).await?;
        tracing::warn!(keys = ended, "signing keys withdrawn");
        Ok(self.refresh().await?)
    }

    /// The public keys.
    pub(crate) fn jwks(&self) -> JwkSet {
        let now = clock::now();
        let known = self.known();
        let current = known
            .keys
            .iter()
            .filter(|key| key.expires_at.is_none_or(|end| end > now));
        JwkSet {
            keys: current.map(SigningKey::to_jwk).collect(),
        }
    }

    /// Everything there is to know, and from then on every change, without a gap between.
    pub(crate) fn watch(&self) -> (TokenUpdate, broadcast::Receiver<TokenUpdate>) {
        let known = self.known();
        let changes = self.updates.subscribe();
        let revoked = known.revoked.iter();
        let snapshot = TokenUpdate {
            snapshot: true,
            keys: known.keys.iter().map(SigningKey::to_proto).collect(),
            revoked: revoked
                .map(|(jti, expires_at)| Revocation {
                    jti: jti.clone(),
                    expires_at: *expires_at,
                })
                .collect(),
        };
        (snapshot, changes)
    }

    /// Follows the store, for what other instances write to it. Endless.
    pub(crate) async fn keep_current(self: Arc<Self>) {
        let mut refresh = tokio::time::interval(REFRESH);
        let mut house = tokio::time::interval(HOUSEKEEPING);
        loop {
            let done = tokio::select! {
                _ = refresh.tick() => self.refresh().await,
                _ = house.tick() => self.keep_house().await,
            };
            if let Err(error) = done {
                counter!("sessions_refresh_failures_total").increment(1);
                tracing::warn!(cause = %error, "sessions could not be refreshed");
                // The ticks that were missed meanwhile need not be made up for.
                refresh.reset();
            }
        }
    }

    async fn keep_house(&self) -> Result<(), Error> {
        let now = clock::now();
        if matches!(self.scheme, Scheme::EdDsa) {
            let newest = self.store.newest_key().await?;
            if newest.is_none_or(|key| key.created_at + self.rotate_after <= now) {
                self.rotate().await?;
            }
        }
        self.store.remove_expired(now - KEPT).await
    }

    /// Reads what is new in the store and passes it on.
    async fn refresh(&self) -> Result<(), Error> {
        let now = clock::now();
        let since = self.known().refreshed_at.map(|time| time - OVERLAP);
        // A key that was withdrawn has an end that nobody was told yet.
        let keys = self.store.keys(now - KEPT).await?;
        let revoked = self.store.revocations(now, since).await?;
        self.tell(keys, revoked);
        self.known().refreshed_at = Some(now);
        Ok(())
    }

    /// Adds what is new to what is known, and sends that on: to this process and to listeners.
    fn tell(&self, keys: Vec<SigningKey>, revoked: Vec<Revocation>) {
        let now = clock::now().timestamp();
        let mut known = self.known();
        let first = known.refreshed_at.is_none();
        let unknown = |key: &&SigningKey| {
            !known
                .keys
                .iter()
                .any(|old| old.kid == key.kid && old.expires_at == key.expires_at)
        };
        let new_keys: Vec<_> = keys
            .iter()
            .filter(unknown)
            .map(SigningKey::to_proto)
            .collect();
        let new_revoked: Vec<_> = revoked
            .into_iter()
            .filter(|revocation| !known.revoked.contains_key(&revocation.jti))
            .collect();
        if !keys.is_empty() {
            known.keys = keys;
        }
        known.revoked.retain(|_, expires_at| *expires_at + 60 > now);
        known.revoked.extend(
            new_revoked
                .iter()
                .map(|new| (new.jti.clone(), new.expires_at)),
        );
        if first || !new_keys.is_empty() || !new_revoked.is_empty() {
            let update = TokenUpdate {
                snapshot: first,
                keys: new_keys,
                revoked: new_revoked,
            };
            self.tokens.apply(update.clone());
            // Nobody may be listening; a listener sent a snapshot under this very lock.
            let _ = self.updates.send(update);
        }
    }

    fn signing_key(&self, now: DateTime<Utc>) -> Result<SigningKey, Error> {
        let known = self.known();
        let usable = known.keys.iter().filter(|key| key.signs(now));
        let usable = usable.filter(|key| key.expires_at.is_none_or(|end| end > now));
        usable
            .max_by_key(|key| key.generation)
            .cloned()
            .ok_or_else(|| Error::unavailable("Tokens cannot be signed yet; try again"))
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
