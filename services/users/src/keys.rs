//! Signing keys: Ed25519, made here, kept in SQL, served as JWKS.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chassis::{Error, clock};
use chrono::{DateTime, Duration, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// A new key signs only after this time, when every service has surely heard of it.
const HEAD_START: Duration = Duration::seconds(3);

/// When a new key signs at every instance: each has heard of it, and its head start is over.
pub(crate) const HEAD_START_AND_MORE: std::time::Duration = std::time::Duration::from_secs(5);

/// A key pair, as it is stored.
#[derive(Clone)]
pub(crate) struct SigningKey {
    /// Names the key in tokens.
    pub(crate) kid: String,
    /// 1 for the first key, then 2, …: two instances that rotate at once make one key.
    pub(crate) generation: i64,
    /// PKCS#8, the private half.
    pub(crate) pkcs8: Vec<u8>,
    /// The 32 bytes of the public half.
    pub(crate) public: Vec<u8>,
    /// When it was made.
    pub(crate) created_at: DateTime<Utc>,
    /// When the last token that it signed ends; `None` while it is the newest.
    pub(crate) expires_at: Option<DateTime<Utc>>,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "SigningKey({}, generation {})",
            self.kid, self.generation
        )
    }
}

impl SigningKey {
    /// A new pair.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub(crate) fn generate(generation: i64) -> Result<Self, Error> {
        let failed = |_| Error::internal(std::io::Error::other("no key could be made"));
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(failed)?;
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).map_err(Error::internal)?;
        Ok(Self {
            kid: Uuid::now_v7().simple().to_string(),
            generation,
            pkcs8: pkcs8.as_ref().to_vec(),
            public: pair.public_key().as_ref().to_vec(),
            created_at: clock::now(),
            expires_at: None,
        })
    }

    /// Whether tokens may be signed with it: the very first key has nobody to wait for.
    pub(crate) fn signs(&self, now: DateTime<Utc>) -> bool {
        self.generation == 1 || self.created_at + HEAD_START <= now
    }

    /// As other services get it.
    pub(crate) fn to_proto(&self) -> proto::users::Key {
        proto::users::Key {
            kid: self.kid.clone(),
            public_key: self.public.clone(),
            expires_at: self.expires_at.map_or(i64::MAX, |time| time.timestamp()),
        }
    }

    /// As anybody gets it (RFC 8037).
    pub(crate) fn to_jwk(&self) -> Jwk {
        Jwk {
            kty: "OKP",
            crv: "Ed25519",
            r#use: "sig",
            alg: "EdDSA",
            kid: self.kid.clone(),
            x: URL_SAFE_NO_PAD.encode(&self.public),
        }
    }
}

/// A public key (RFC 7517, RFC 8037).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Jwk {
    kty: &'static str,
    crv: &'static str,
    r#use: &'static str,
    alg: &'static str,
    kid: String,
    x: String,
}

/// The public keys that tokens may be signed with (RFC 7517).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct JwkSet {
    pub(crate) keys: Vec<Jwk>,
}
