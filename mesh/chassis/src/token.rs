//! Bearer tokens (D2, D3): verified locally from a copy of the keys and of the logged-out list.
//!
//! The rules are those of RFC 8725: the algorithm follows from the key and never from the token,
//! `iss`, `aud` and `typ` are checked, and nothing that a token names is ever fetched.

mod watch;

use std::{
    collections::HashMap,
    sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use http::{HeaderMap, header};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use proto::users::TokenUpdate;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

pub use watch::{TokenEnd, TokenWatch};

use self::watch::Watchers;
use crate::{Auth, Code, Error, clock};

/// `iss` of every token.
pub const ISSUER: &str = "plaza";
/// `aud` of every token.
pub const AUDIENCE: &str = "plaza";
/// `typ` of an access token (RFC 9068).
const TYPE: &str = "at+jwt";
/// Clocks of two machines may differ by this much, in seconds.
const LEEWAY: u64 = 5;
/// No token of ours is longer, in bytes.
const MAX_LENGTH: usize = 2048;

/// How [`all_of`] begins.
const ALL_OF: &str = "user ";

/// Whether a token is no good any more: to the second as [`Tokens::verify`] has it, lest a
/// logged-out one is forgotten while it would still be let in.
fn has_expired(expires_at: i64, now: i64) -> bool {
    expires_at + LEEWAY.cast_signed() < now
}

/// What is revoked in place of a `jti` where all tokens of a person are: those of an account that is no more. No `jti` of
/// ours has a space.
pub fn all_of(user_id: i64) -> String {
    format!("{ALL_OF}{user_id}")
}

/// The claims of an access token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// User id, in decimal.
    pub sub: String,
    /// Username at the time of the login.
    pub username: String,
    /// Id of the token, for logging it out.
    pub jti: String,
    /// [`ISSUER`]
    pub iss: String,
    /// [`AUDIENCE`]
    pub aud: String,
    /// Seconds since the epoch.
    pub iat: i64,
    /// Seconds since the epoch.
    pub exp: i64,
}

/// Who a verified token belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// User id.
    pub user_id: i64,
    /// Username at the time of the login.
    pub username: String,
    /// Id of the token.
    pub jti: String,
    /// When the token ends, in seconds since the epoch.
    pub expires_at: i64,
    /// The key that signed it; none where all share a secret.
    key: Option<String>,
}

/// How tokens are signed.
#[derive(Debug, Clone)]
pub enum Scheme {
    /// Ed25519 with keys that `users` hands out and rotates.
    EdDsa,
    /// One secret that every service shares, for S2 deployments.
    Hs256(SecretString),
}

/// The copy of keys and logged-out tokens that a process verifies with.
///
/// Refusals are only ever added: neither a lost stream nor a snapshot that lacks an entry makes
/// a refused token good again. Entries leave when the tokens they speak of have expired. A key
/// leaves when its end is told, or when a snapshot does not name it: it was withdrawn meanwhile.
#[derive(Debug)]
pub struct Tokens {
    scheme: Scheme,
    keys: RwLock<HashMap<String, VerificationKey>>,
    /// `jti`, or [`all_of`] somebody, to expiry; `None` until the first snapshot.
    revoked: RwLock<Option<HashMap<String, i64>>>,
    watchers: Arc<Watchers>,
}

#[derive(Clone)]
struct VerificationKey {
    key: DecodingKey,
    expires_at: i64,
}

impl std::fmt::Debug for VerificationKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "VerificationKey(until {})", self.expires_at)
    }
}

impl Tokens {
    /// An empty copy, which refuses every token with 503 until [`Tokens::apply`] got a snapshot.
    pub fn new(scheme: Scheme) -> Self {
        Self {
            scheme,
            keys: RwLock::default(),
            revoked: RwLock::default(),
            watchers: Arc::default(),
        }
    }

    /// Takes in what `users` says.
    pub fn apply(&self, update: TokenUpdate) {
        let now = clock::now().timestamp();
        let keys_changed = update.snapshot || !update.keys.is_empty();
        let mut keys = write(&self.keys);
        keys.retain(|_, key| key.expires_at > now);
        if update.snapshot && !update.keys.is_empty() {
            keys.retain(|kid, _| update.keys.iter().any(|key| key.kid == *kid));
        }
        for key in update.keys {
            let expires_at = key.expires_at;
            keys.insert(
                key.kid,
                VerificationKey {
                    key: DecodingKey::from_ed_der(&key.public_key),
                    expires_at,
                },
            );
        }
        drop(keys);
        let mut revoked = write(&self.revoked);
        if update.snapshot && revoked.is_none() {
            *revoked = Some(HashMap::new());
        }
        if let Some(revoked) = revoked.as_mut() {
            revoked.retain(|_, expires_at| !has_expired(*expires_at, now));
            let new = update.revoked.iter();
            revoked.extend(new.map(|revocation| (revocation.jti.clone(), revocation.expires_at)));
        }
        drop(revoked);
        let ids = update.revoked.iter();
        self.watchers
            .log_out(ids.map(|revocation| revocation.jti.as_str()));
        if keys_changed {
            self.watchers
                .look(|identity| self.still_good(identity).is_ok());
        }
    }

    /// Whether tokens can be checked: a snapshot has arrived.
    pub(crate) fn is_known(&self) -> bool {
        read(&self.revoked).is_some()
    }

    /// Who the request comes from, as far as the route wants to know.
    ///
    /// # Errors
    /// 401 when a token is needed and missing, or sent and bad; 503 before the first snapshot.
    pub(crate) fn identify(
        &self,
        auth: Auth,
        headers: &HeaderMap,
    ) -> Result<Option<Identity>, Error> {
        if auth == Auth::None {
            return Ok(None);
        }
        match headers.get(header::AUTHORIZATION) {
            None if auth == Auth::Optional => Ok(None),
            None => Err(Error::unauthenticated(
                "A Bearer token is needed: log in first",
            )),
            Some(value) => self
                .verify(bearer(value.to_str().unwrap_or_default())?)
                .map(Some),
        }
    }

    /// Refuses a bad token of somebody who would need none. One that cannot be checked yet is let
    /// be: reading does not depend on `users`.
    ///
    /// # Errors
    /// 401 when a token is sent and bad.
    pub(crate) fn refuse_bad(&self, headers: &HeaderMap) -> Result<(), Error> {
        match self.identify(Auth::Optional, headers) {
            Err(error) if error.code() == Code::Unauthenticated => Err(error),
            _ => Ok(()),
        }
    }

    /// Checks one token.
    ///
    /// # Errors
    /// 401 with the reason that helps an honest client; 503 before the first snapshot.
    pub fn verify(&self, token: &str) -> Result<Identity, Error> {
        let invalid = || Error::unauthenticated("The token is not valid");
        // Clients that know the header write its scheme elsewhere, too.
        let token = bearer(token).unwrap_or(token);
        if token.len() > MAX_LENGTH {
            return Err(invalid());
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| invalid())?;
        // Whatever else is signed with the same key is no access token (RFC 8725, 3.11 and 3.12).
        if header.typ.as_deref() != Some(TYPE) || header.crit.is_some() {
            return Err(invalid());
        }
        let (claims, key) = match &self.scheme {
            Scheme::Hs256(secret) => {
                let key = DecodingKey::from_secret(secret.expose_secret().as_bytes());
                (decode(token, &key, Algorithm::HS256)?, None)
            }
            Scheme::EdDsa => self.verify_with_key(token, header.kid.as_deref())?,
        };
        if !self.is_known() {
            return Err(Error::unavailable(
                "Tokens cannot be checked yet; try again",
            ));
        }
        let identity = Identity {
            user_id: claims.sub.parse().map_err(|_| invalid())?,
            username: claims.username,
            jti: claims.jti,
            expires_at: claims.exp,
            key,
        };
        if self.is_revoked(&identity) {
            return Err(Error::unauthenticated("The token was logged out"));
        }
        Ok(identity)
    }

    /// Whether a token that was good still is, for those who talk longer than a request takes.
    ///
    /// # Errors
    /// 401 when it expired or was logged out, or its key was withdrawn.
    pub fn still_good(&self, identity: &Identity) -> Result<(), Error> {
        if has_expired(identity.expires_at, clock::now().timestamp()) {
            return Err(Error::unauthenticated("The token has expired"));
        }
        if self.is_revoked(identity) {
            return Err(Error::unauthenticated("The token was logged out"));
        }
        if let Some(kid) = &identity.key {
            let now = clock::now().timestamp();
            let end = read(&self.keys).get(kid).map(|key| key.expires_at);
            if end.is_none_or(|end| end <= now) {
                return Err(Error::unauthenticated("The token is not valid any more"));
            }
        }
        Ok(())
    }

    fn is_revoked(&self, identity: &Identity) -> bool {
        let revoked = read(&self.revoked);
        revoked.as_ref().is_some_and(|revoked| {
            revoked.contains_key(&identity.jti) || revoked.contains_key(&all_of(identity.user_id))
        })
    }

    fn verify_with_key(
        &self,
        token: &str,
        kid: Option<&str>,
    ) -> Result<(Claims, Option<String>), Error> {
        let keys = read(&self.keys);
        if keys.is_empty() {
            return Err(Error::unavailable(
                "Tokens cannot be checked yet; try again",
            ));
        }
        let known = kid.and_then(|kid| keys.get(kid));
        let known = known.filter(|key| key.expires_at > clock::now().timestamp());
        let key = known.map(|known| known.key.clone());
        drop(keys);
        let key = key.ok_or_else(|| Error::unauthenticated("The token is not valid"))?;
        let claims = decode(token, &key, Algorithm::EdDSA)?;
        Ok((claims, kid.map(str::to_owned)))
    }
}

/// Signs tokens: the half that only `users` has.
pub fn sign(
    claims: &Claims,
    key: &EncodingKey,
    algorithm: Algorithm,
    kid: Option<&str>,
) -> Result<String, Error> {
    let mut header = Header::new(algorithm);
    header.typ = Some(TYPE.to_owned());
    header.kid = kid.map(str::to_owned);
    jsonwebtoken::encode(&header, claims, key).map_err(Error::internal)
}

fn decode(token: &str, key: &DecodingKey, algorithm: Algorithm) -> Result<Claims, Error> {
    let mut validation = Validation::new(algorithm);
    validation.leeway = LEEWAY;
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.validate_nbf = true;
    let decoded = jsonwebtoken::decode::<Claims>(token, key, &validation);
    decoded
        .map(|token| token.claims)
        .map_err(|error| match error.kind() {
            jsonwebtoken::errors::ErrorKind::ExpiredSignature => {
                Error::unauthenticated("The token has expired")
            }
            _ => Error::unauthenticated("The token is not valid"),
        })
}

/// The token of an `Authorization` value (RFC 6750); the scheme is compared without case.
fn bearer(value: &str) -> Result<&str, Error> {
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        _ => Err(Error::unauthenticated(
            "The Authorization header must be `Bearer <token>`",
        )),
    }
}

// A poisoned lock only means that another thread panicked between two complete map operations.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
