//! Tokens: forged, ended, rotated; over several instances.

use chassis::token::{self, Scheme};
use jsonwebtoken::{Algorithm, EncodingKey};
use reqwest::Method;
use sea_orm::{ConnectionTrait as _, Database, Statement};
use serde_json::{Value, json};
use testkit::{Signer, TestService, eventually};
use users::Users;

use crate::helpers::{
    Backend, NOBODY, PASSWORD, get, log_in, person, post, start, store_flags, store_url,
};

crate::on_each_store![
    s3_09_logs_out,
    d3_a_logout_holds_on_every_instance_and_after_a_restart,
    d2_keys_rotate_without_logging_anyone_out,
    d2_instances_that_rotate_at_once_agree,
    a_withdrawn_key_ends_its_tokens_on_every_instance,
    s6_a_token_of_another_key_is_refused,
    d2_hs256_stays_possible,
    s6_an_expired_token_of_our_own_key_is_refused,
];

async fn s3_09_logs_out(backend: Backend) {
    let users = start(backend).await;
    let person = person(&users).await;
    let out = users
        .call(
            Method::POST,
            "/api/auth/logout",
            &person.token,
            &Value::Null,
        )
        .await;
    assert_eq!(out.expect(200), &json!({"message": "User logged out"}));
    assert_eq!(
        get(&users, "/api/users/me", &person.token)
            .await
            .problem(401),
        "The token was logged out"
    );
    users
        .call(
            Method::POST,
            "/api/auth/logout",
            &person.token,
            &Value::Null,
        )
        .await
        .problem(401);
    users
        .call(Method::POST, "/api/auth/logout", "", &Value::Null)
        .await
        .problem(401);
    let again = log_in(&users, &person.username).await;
    get(&users, "/api/users/me", &again).await.expect(200);
}

/// Two instances over one store, as in production.
async fn pair(backend: Backend) -> (TestService<Users>, TestService<Users>) {
    let store = store_flags(backend).await;
    let mut flags = vec!["--upstream-urls", NOBODY];
    flags.extend(store.iter().map(String::as_str));
    let first = TestService::start(&flags).await;
    let second = TestService::start_in(first.data(), &flags).await;
    (first, second)
}

async fn d3_a_logout_holds_on_every_instance_and_after_a_restart(backend: Backend) {
    let (first, second) = pair(backend).await;
    let person = person(&first).await;
    eventually("the key reaches the second instance", || async {
        match get(&second, "/auth/validate", &person.token).await.status {
            200 => Ok(()),
            status => Err(status.to_string()),
        }
    })
    .await;
    first
        .call(
            Method::POST,
            "/api/auth/logout",
            &person.token,
            &Value::Null,
        )
        .await
        .expect(200);
    eventually("the refusal", || async {
        match get(&second, "/auth/validate", &person.token).await.status {
            401 => Ok(()),
            status => Err(status.to_string()),
        }
    })
    .await;
    let (data, url) = (first.data(), second.service.clone());
    drop(url);
    first.stop().await;
    let third = match backend {
        Backend::Sqlite => TestService::<Users>::start_in(data, &["--upstream-urls", NOBODY]).await,
        Backend::Postgres => second,
    };
    get(&third, "/auth/validate", &person.token)
        .await
        .problem(401);
}

async fn d2_keys_rotate_without_logging_anyone_out(backend: Backend) {
    let users = start(backend).await;
    let person = person(&users).await;
    let before = get(&users, "/.well-known/jwks.json", "").await.json;
    users.service.sessions().rotate().await.unwrap();
    let after = get(&users, "/.well-known/jwks.json", "").await.json;
    assert_eq!(before["keys"].as_array().unwrap().len(), 1);
    assert_eq!(after["keys"].as_array().unwrap().len(), 2);
    let key = &after["keys"][0];
    assert_eq!(
        (&key["kty"], &key["crv"], &key["alg"], &key["use"]),
        (
            &json!("OKP"),
            &json!("Ed25519"),
            &json!("EdDSA"),
            &json!("sig")
        )
    );
    assert!(key.get("d").is_none(), "the private half stays here");
    get(&users, "/api/users/me", &person.token)
        .await
        .expect(200);
    let kid = |token: &str| chassis_kid(token);
    let old = kid(&person.token);
    eventually("the new key signs", || async {
        let token = log_in(&users, &person.username).await;
        get(&users, "/api/users/me", &token).await.expect(200);
        if kid(&token) == old {
            Err("still the old one".into())
        } else {
            Ok(())
        }
    })
    .await;
}

fn chassis_kid(token: &str) -> String {
    use base64::Engine as _;
    let header = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(token.split('.').next().unwrap())
        .unwrap();
    serde_json::from_slice::<Value>(&header).unwrap()["kid"]
        .as_str()
        .unwrap()
        .to_owned()
}

async fn a_withdrawn_key_ends_its_tokens_on_every_instance(backend: Backend) {
    let (first, second) = pair(backend).await;
    let person = person(&first).await;
    let status = async |users: &TestService<Users>, token: &str| {
        get(users, "/auth/validate", token).await.status
    };
    eventually("the key reaches the second instance", || async {
        match status(&second, &person.token).await {
            200 => Ok(()),
            other => Err(other.to_string()),
        }
    })
    .await;

    first.service.sessions().withdraw().await.unwrap();

    assert_eq!(status(&first, &person.token).await, 401);
    eventually("the second instance has heard of it", || async {
        match status(&second, &person.token).await {
            401 => Ok(()),
            other => Err(other.to_string()),
        }
    })
    .await;
    for users in [&first, &second] {
        let token = log_in(users, &person.username).await;
        assert_ne!(chassis_kid(&token), chassis_kid(&person.token));
        let keys = get(users, "/.well-known/jwks.json", "").await.json;
        assert_eq!(keys["keys"].as_array().unwrap().len(), 1, "{keys}");
    }
}

async fn d2_instances_that_rotate_at_once_agree(backend: Backend) {
    let (first, second) = pair(backend).await;
    let (a, b) = tokio::join!(
        first.service.sessions().rotate(),
        second.service.sessions().rotate()
    );
    a.unwrap();
    b.unwrap();
    eventually("both show the same keys", || async {
        let (a, b) = (
            get(&first, "/.well-known/jwks.json", "").await,
            get(&second, "/.well-known/jwks.json", "").await,
        );
        let sorted = |reply: testkit::Reply| {
            let mut kids: Vec<String> = reply.json["keys"]
                .as_array()
                .unwrap()
                .iter()
                .map(|key| key["kid"].to_string())
                .collect();
            kids.sort();
            kids
        };
        let (a, b) = (sorted(a), sorted(b));
        if a == b && a.len() >= 2 {
            Ok(())
        } else {
            Err(format!("{a:?} {b:?}"))
        }
    })
    .await;
}

async fn s6_a_token_of_another_key_is_refused(backend: Backend) {
    let users = start(backend).await;
    let person = person(&users).await;
    let forged = Signer::new(&chassis_kid(&person.token)).token(person.id, &person.username);
    get(&users, "/api/users/me", &forged).await.problem(401);
}

async fn d2_hs256_stays_possible(backend: Backend) {
    let flags = ["--jwt-alg", "HS256", "--jwt-secret", "a secret of our own"];
    let users = crate::helpers::start_with(backend, &flags).await;
    assert!(matches!(
        users.context.settings.scheme().unwrap(),
        Scheme::Hs256(_)
    ));
    let person = person(&users).await;
    get(&users, "/api/users/me", &person.token)
        .await
        .expect(200);
    users
        .call(
            Method::POST,
            "/api/auth/logout",
            &person.token,
            &Value::Null,
        )
        .await
        .expect(200);
    get(&users, "/api/users/me", &person.token)
        .await
        .problem(401);
    post(
        &users,
        "/login",
        &json!({"username": person.username, "password": PASSWORD}),
    )
    .await
    .expect(200);
}

async fn s6_an_expired_token_of_our_own_key_is_refused(backend: Backend) {
    let store = store_flags(backend).await;
    let mut flags = vec!["--upstream-urls", NOBODY];
    flags.extend(store.iter().map(String::as_str));
    let users = TestService::<Users>::start(&flags).await;
    let person = person(&users).await;
    let rows = Database::connect(store_url(&users, &store)).await.unwrap();
    let query = Statement::from_string(
        rows.get_database_backend(),
        "SELECT kid, pkcs8 FROM signing_keys",
    );
    let key = rows.query_one_raw(query).await.unwrap().unwrap();
    let kid: String = key.try_get("", "kid").unwrap();
    let pkcs8: Vec<u8> = key.try_get("", "pkcs8").unwrap();
    let sign = |age: i64| {
        let mut claims = Signer::claims(person.id, &person.username);
        claims.iat -= age;
        claims.exp -= age;
        let key = EncodingKey::from_ed_der(&pkcs8);
        token::sign(&claims, &key, Algorithm::EdDSA, Some(&kid)).unwrap()
    };
    get(&users, "/api/users/me", &sign(0)).await.expect(200);
    let refused = get(&users, "/api/users/me", &sign(3600)).await;
    assert_eq!(refused.problem(401), "The token has expired");
}
