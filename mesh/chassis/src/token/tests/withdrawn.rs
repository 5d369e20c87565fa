//! Keys that others may have.

use proto::users::{Key, TokenUpdate};

use super::{Signer, claims, signer, token};
use crate::{
    Code, clock,
    token::{Scheme, Tokens},
};

fn told(snapshot: bool, keys: Vec<Key>) -> TokenUpdate {
    TokenUpdate {
        snapshot,
        keys,
        revoked: Vec::new(),
    }
}

fn key(signer: &Signer, expires_at: i64) -> Key {
    Key {
        kid: signer.kid.into(),
        public_key: signer.public.clone(),
        expires_at,
    }
}

#[test]
fn a_withdrawn_key_ends_its_tokens_and_what_was_let_in_by_them() {
    let (old, new) = (signer("old"), signer("new"));
    let withdrawn = clock::now().timestamp();
    let ends: [(&str, TokenUpdate); 2] = [
        ("its end is told", told(false, vec![key(&old, withdrawn)])),
        (
            "it ended while nobody listened",
            told(true, vec![key(&new, i64::MAX)]),
        ),
    ];
    for (name, update) in ends {
        let tokens = Tokens::new(Scheme::EdDsa);
        tokens.apply(told(true, vec![key(&old, i64::MAX), key(&new, i64::MAX)]));
        let identity = tokens.verify(&token(&old, &claims("1"))).unwrap();
        tokens.still_good(&identity).unwrap();

        tokens.apply(update);

        let refused = tokens.verify(&token(&old, &claims("1"))).unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{name}");
        let refused = tokens.still_good(&identity).unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{name}");
        assert!(tokens.verify(&token(&new, &claims("2"))).is_ok(), "{name}");
    }
}
