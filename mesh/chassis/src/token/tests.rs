mod withdrawn;

use super::*;
use crate::Code;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use proto::users::{Key, Revocation};

struct Signer {
    kid: &'static str,
    key: EncodingKey,
    public: Vec<u8>,
}

fn signer(kid: &'static str) -> Signer {
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&aws_lc_rs::rand::SystemRandom::new()).unwrap();
    let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
    Signer {
        kid,
        key: EncodingKey::from_ed_der(pkcs8.as_ref()),
        public: pair.public_key().as_ref().to_vec(),
    }
}

fn claims(jti: &str) -> Claims {
    let now = clock::now().timestamp();
    Claims {
        sub: "7".into(),
        username: "ada".into(),
        jti: jti.into(),
        iss: ISSUER.into(),
        aud: AUDIENCE.into(),
        iat: now,
        exp: now + 60,
    }
}

fn snapshot(signer: &Signer) -> TokenUpdate {
    let expires_at = clock::now().timestamp() + 600;
    let key = Key {
        kid: signer.kid.into(),
        public_key: signer.public.clone(),
        expires_at,
    };
    TokenUpdate {
        snapshot: true,
        keys: vec![key],
        revoked: vec![],
    }
}

fn token(signer: &Signer, claims: &Claims) -> String {
    sign(claims, &signer.key, Algorithm::EdDSA, Some(signer.kid)).unwrap()
}

#[test]
fn d2_a_good_token_names_its_owner() {
    let (signer, tokens) = (signer("a"), Tokens::new(Scheme::EdDsa));
    let good = token(&signer, &claims("1"));
    assert_eq!(
        tokens.verify(&good).unwrap_err().code(),
        Code::Unavailable,
        "no keys yet"
    );
    tokens.apply(snapshot(&signer));
    assert_eq!(tokens.verify(&good).unwrap().user_id, 7);
}

/// A good token's parts under another header.
fn with_header(good: &str, header: &str) -> String {
    let (_, rest) = good.split_once('.').unwrap();
    format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header))
}

#[test]
fn s6_every_forged_header_is_refused() {
    let (ours, theirs) = (signer("a"), signer("a"));
    let tokens = Tokens::new(Scheme::EdDsa);
    tokens.apply(snapshot(&ours));
    let good = token(&ours, &claims("1"));
    let secret = EncodingKey::from_secret(&ours.public);
    let unsigned = with_header(&good, r#"{"alg":"none","typ":"at+jwt","kid":"a"}"#);
    let without_signature = unsigned.rsplit_once('.').unwrap().0.to_owned() + ".";
    let forged = [
        ("alg none", unsigned),
        ("alg none, no signature", without_signature),
        (
            "public key as secret",
            sign(&claims("1"), &secret, Algorithm::HS256, Some("a")).unwrap(),
        ),
        ("another key", token(&theirs, &claims("1"))),
        (
            "path as kid",
            with_header(&good, r#"{"alg":"EdDSA","typ":"at+jwt","kid":"../x"}"#),
        ),
        (
            "no kid",
            with_header(&good, r#"{"alg":"EdDSA","typ":"at+jwt"}"#),
        ),
        (
            "other typ",
            with_header(&good, r#"{"alg":"EdDSA","typ":"JWT","kid":"a"}"#),
        ),
        (
            "critical",
            with_header(
                &good,
                r#"{"alg":"EdDSA","typ":"at+jwt","kid":"a","crit":["x"],"x":1}"#,
            ),
        ),
        (
            "jku",
            with_header(
                &good,
                r#"{"alg":"EdDSA","typ":"at+jwt","kid":"a","jku":"http://x/"}"#,
            ),
        ),
        ("huge", "x".repeat(1 << 20)),
        ("empty", String::new()),
    ];
    for (name, forged) in forged {
        let refused = tokens.verify(&forged).unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{name}");
    }
    assert!(tokens.verify(&good).is_ok());
}

type Change = fn(&mut Claims);

type HeaderChange = fn(&mut Header);

/// What is signed with the shared secret, under a header.
fn with_secret(claims: &Claims, change: HeaderChange) -> String {
    let mut header = Header::new(Algorithm::HS256);
    header.typ = Some(TYPE.to_owned());
    change(&mut header);
    let key = EncodingKey::from_secret(b"a secret of all services");
    jsonwebtoken::encode(&header, claims, &key).unwrap()
}

#[test]
fn a_shared_secret_opens_for_access_tokens_alone() {
    let secret = SecretString::from("a secret of all services");
    let tokens = Tokens::new(Scheme::Hs256(secret));
    tokens.apply(snapshot(&signer("a")));
    let good = with_secret(&claims("1"), |_| {});
    assert_eq!(tokens.verify(&good).unwrap().user_id, 7);
    let others: [(&str, HeaderChange); 6] = [
        ("plain", |header| header.typ = Some("JWT".to_owned())),
        ("refresh", |header| header.typ = Some("rt+jwt".to_owned())),
        ("no kind", |header| header.typ = None),
        ("longer", |header| header.alg = Algorithm::HS512),
        ("critical", |header| {
            header.crit = Some(vec!["exp".to_owned()]);
        }),
        ("empty", |header| header.typ = Some(String::new())),
    ];
    for (name, change) in others {
        let refused = tokens.verify(&with_secret(&claims("1"), change));
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{name}");
    }
    for (name, change) in WRONG_CLAIMS {
        let mut wrong = claims("1");
        change(&mut wrong);
        let refused = tokens.verify(&with_secret(&wrong, |_| {})).unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{name}");
    }
}

const WRONG_CLAIMS: [(&str, Change); 4] = [
    ("expired", |claims| claims.exp -= 120),
    ("issuer", |claims| claims.iss = "other".into()),
    ("audience", |claims| claims.aud = "other".into()),
    ("subject", |claims| claims.sub = "7; drop table".into()),
];

#[test]
fn s6_every_wrong_claim_is_refused() {
    let (ours, tokens) = (signer("a"), Tokens::new(Scheme::EdDsa));
    tokens.apply(snapshot(&ours));
    for (name, change) in WRONG_CLAIMS {
        let mut wrong = claims("1");
        change(&mut wrong);
        let refused = tokens.verify(&token(&ours, &wrong)).unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{name}");
    }
}

#[test]
fn d3_a_later_snapshot_never_makes_a_refused_token_good_again() {
    let (signer, tokens) = (signer("a"), Tokens::new(Scheme::EdDsa));
    tokens.apply(snapshot(&signer));
    let out = token(&signer, &claims("out"));
    assert!(tokens.verify(&out).is_ok());
    let revocation = Revocation {
        jti: "out".into(),
        expires_at: clock::now().timestamp() + 60,
    };
    tokens.apply(TokenUpdate {
        snapshot: false,
        keys: vec![],
        revoked: vec![revocation],
    });
    assert_eq!(
        tokens.verify(&out).unwrap_err().message(),
        "The token was logged out"
    );
    tokens.apply(snapshot(&signer));
    assert_eq!(
        tokens.verify(&out).unwrap_err().code(),
        Code::Unauthenticated
    );
}

#[test]
fn d2_a_rotated_key_logs_nobody_out() {
    let (old, new, tokens) = (signer("old"), signer("new"), Tokens::new(Scheme::EdDsa));
    tokens.apply(snapshot(&old));
    tokens.apply(TokenUpdate {
        snapshot: false,
        ..snapshot(&new)
    });
    assert!(tokens.verify(&token(&old, &claims("1"))).is_ok());
    assert!(tokens.verify(&token(&new, &claims("2"))).is_ok());
}
