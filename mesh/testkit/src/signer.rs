//! Tokens for services under test, signed like those of `users`.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use chassis::{Claims, clock, token};
use jsonwebtoken::{Algorithm, EncodingKey};
use proto::users::{Key, TokenUpdate};

/// A key of its own, which the service under test is told of.
pub struct Signer {
    kid: String,
    key: EncodingKey,
    public: Vec<u8>,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Signer({})", self.kid)
    }
}

impl Signer {
    /// A new key.
    ///
    /// # Panics
    /// When the system has no randomness.
    pub fn new(kid: &str) -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&aws_lc_rs::rand::SystemRandom::new())
            .expect("randomness");
        Self::from_pkcs8(kid, pkcs8.as_ref())
    }

    /// A key that there is already.
    ///
    /// # Panics
    /// When it is none.
    pub fn from_pkcs8(kid: &str, pkcs8: &[u8]) -> Self {
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8).expect("the key is sound");
        Self {
            kid: kid.into(),
            key: EncodingKey::from_ed_der(pkcs8),
            public: pair.public_key().as_ref().to_vec(),
        }
    }

    /// Good claims for a person, for ten minutes.
    pub fn claims(user_id: i64, username: &str) -> Claims {
        let now = clock::now().timestamp();
        Claims {
            sub: user_id.to_string(),
            username: username.into(),
            jti: crate::unique("jti-"),
            iss: token::ISSUER.into(),
            aud: token::AUDIENCE.into(),
            iat: now,
            exp: now + 600,
        }
    }

    /// Signs claims, good or bad.
    ///
    /// # Panics
    /// Never: every claim can be signed.
    pub fn sign(&self, claims: &Claims) -> String {
        token::sign(claims, &self.key, Algorithm::EdDSA, Some(&self.kid))
            .expect("claims can be signed")
    }

    /// A good token of a person.
    pub fn token(&self, user_id: i64, username: &str) -> String {
        self.sign(&Self::claims(user_id, username))
    }

    /// What `users` would send a service to make it trust this key.
    pub fn snapshot(&self) -> TokenUpdate {
        let expires_at = clock::now().timestamp() + 3600;
        let key = Key {
            kid: self.kid.clone(),
            public_key: self.public.clone(),
            expires_at,
        };
        TokenUpdate {
            snapshot: true,
            keys: vec![key],
            revoked: Vec::new(),
        }
    }
}
