//! The variables of S2 work as they are written, on the real binary (S2-39 to S2-60, D20).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::Client;
use sea_orm::{ConnectionTrait as _, Database, DatabaseBackend, Statement};
use serde_json::{Value, json};
use testkit::{Process, process::free_port, stores};

use crate::helpers::PASSWORD;

fn start(variables: &[(&str, &str)]) -> Process {
    Process::start(env!("CARGO_BIN_EXE_users"), &["serve"], variables)
}

/// Registers somebody and logs in; the answer of the login.
async fn log_in(users: &Process) -> Value {
    let address = users.address();
    let body = json!({"username": "ada", "email": "ada@example.com", "password": PASSWORD});
    for (path, status) in [("register", 201), ("login", 200)] {
        let url = format!("http://{address}/{path}");
        let answer = Client::new().post(url).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
        if path == "login" {
            return answer.json().await.unwrap();
        }
    }
    Value::Null
}

fn header_of(token: &Value) -> Value {
    let header = token.as_str().unwrap().split('.').next().unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap()
}

#[tokio::test]
async fn s2_39_port_chooses_the_port() {
    let port = free_port();
    let users = start(&[("PORT", &port.to_string())]);
    assert_eq!(users.address().port(), port);
}

#[tokio::test]
async fn s2_66_to_s2_67_a_service_runs_alone_and_its_environment_is_all_it_needs() {
    let users = start(&[]);
    assert_eq!(log_in(&users).await["token_type"], "bearer");
    assert!(
        users.data().join("users.db").exists(),
        "SQLite in development"
    );
}

#[tokio::test]
async fn s2_41_jwt_secret_signs_where_the_algorithm_needs_one() {
    let own = [("JWT_ALG", "HS256"), ("JWT_SECRET", "one of our own")];
    let (ours, theirs) = (start(&own), start(&[("JWT_ALG", "HS256")]));
    let token = log_in(&ours).await["access_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let validate = async |users: &Process| {
        let url = format!("http://{}/auth/validate", users.address());
        let asked = Client::new().get(url).bearer_auth(&token).send().await;
        asked.unwrap().status().as_u16()
    };
    assert_eq!(validate(&ours).await, 200);
    assert_eq!(
        validate(&theirs).await,
        401,
        "another secret, another signature"
    );
}

#[tokio::test]
async fn s2_42_jwt_alg_chooses_the_algorithm() {
    let (plain, secret) = (start(&[]), start(&[("JWT_ALG", "HS256")]));
    assert_eq!(
        header_of(&log_in(&plain).await["access_token"])["alg"],
        "EdDSA"
    );
    assert_eq!(
        header_of(&log_in(&secret).await["access_token"])["alg"],
        "HS256"
    );
}

#[tokio::test]
async fn s2_43_jwt_expires_minutes_is_the_life_of_a_token() {
    let (default, short) = (start(&[]), start(&[("JWT_EXPIRES_MINUTES", "5")]));
    assert_eq!(log_in(&default).await["expires_in"], 3600);
    assert_eq!(log_in(&short).await["expires_in"], 300);
}

/// How many accounts a Postgres database has.
async fn accounts(url: &str) -> i64 {
    let database = Database::connect(url).await.unwrap();
    let count = "SELECT COUNT(*) AS accounts FROM users";
    let count = Statement::from_string(DatabaseBackend::Postgres, count);
    let row = database.query_one_raw(count).await.unwrap().unwrap();
    row.try_get("", "accounts").unwrap()
}

/// Host, port, user and database of a URL like `postgres://user@host:port/database`.
fn parts(url: &str) -> [&str; 4] {
    let (server, database) = url
        .trim_start_matches("postgres://")
        .split_once('/')
        .unwrap();
    let (user, server) = server.split_once('@').unwrap();
    let (host, port) = server.split_once(':').unwrap();
    [host, port, user, database]
}

#[tokio::test]
async fn s2_45_to_s2_48_a_database_is_given_in_parts() {
    let url = stores::postgres().await;
    let [host, port, user, database] = parts(&url);
    let users = start(&[
        ("DB_HOST", host),
        ("DB_PORT", port),
        ("DB_USER", user),
        ("DB_PASSWORD", "not asked for"),
        ("USERS_DB_NAME", database),
    ]);
    log_in(&users).await;
    assert_eq!(accounts(&url).await, 1);
    assert!(!users.data().join("users.db").exists());
}

#[tokio::test]
async fn s2_50_users_database_url_overrides_the_parts() {
    let url = stores::postgres().await;
    let nowhere = [("DB_HOST", "127.0.0.1"), ("DB_PORT", "1")];
    let users = start(&[nowhere[0], nowhere[1], ("USERS_DATABASE_URL", &url)]);
    log_in(&users).await;
    assert_eq!(accounts(&url).await, 1);
}

#[tokio::test]
async fn s2_53_to_s2_60_variables_that_mean_nothing_are_named_with_their_successor() {
    let replaced = [
        ("DYNAMODB_URL", "MONGODB_URL"),
        ("AWS_REGION", "MONGODB_URL"),
        ("AWS_ACCESS_KEY_ID", "MONGODB_URL"),
        ("AWS_SECRET_ACCESS_KEY", "MONGODB_URL"),
        ("DYNAMODB_POLLS_TABLE", "MONGODB_URL"),
        ("BEANSTALKD_HOST", "AMQP_URL"),
        ("BEANSTALKD_PORT", "AMQP_URL"),
    ];
    let users = start(&replaced.map(|(variable, _)| (variable, "canary")));
    for (variable, instead) in replaced {
        let warning = users.wait_for(variable, |line| line["variable"] == variable);
        assert_eq!(warning["instead"], instead);
        assert_eq!(warning["level"], "WARN");
        assert!(
            !warning.to_string().contains("canary"),
            "values may be secrets"
        );
    }
    users.address();
}
