//! Guessing passwords: how many are tried, of whom, from where; and who is not kept out by it.

use std::sync::Arc;

use futures_util::future::join_all;
use reqwest::Method;
use sea_orm::{
    ConnectionTrait as _, Database, DatabaseConnection, Statement, TransactionTrait as _,
};
use serde_json::json;
use testkit::{Reply, TestService, eventually, send};
use users::Users;

use crate::helpers::{
    Backend, NOBODY, PASSWORD, Person, start, start_with, store_flags, store_url,
};

crate::on_each_store![
    of_forty_guesses_at_once_ten_are_tried,
    an_account_has_one_count_by_whatever_name_and_door,
    two_instances_count_together_and_a_restart_forgets_nothing,
    strangers_do_not_keep_the_owner_out,
    strangers_of_many_networks_share_a_limit,
    names_that_nobody_has_are_answered_like_those_of_people,
    right_passwords_count_for_nothing_however_many_come_at_once,
    all_addresses_of_a_64_are_one,
    a_network_has_a_limit_for_all_accounts,
    a_refusal_says_when_it_ends,
    an_instance_counts_alone_while_the_store_does_not,
    what_is_over_is_forgotten,
    an_account_knows_the_networks_used_last,
];

const HOME: &str = "203.0.113.1";
const WRONG: &str = "wrong password";

/// A login from an address, as the ingress tells it.
async fn log_in(users: &TestService<Users>, from: &str, name: &str, password: &str) -> Reply {
    let body = json!({"username": name, "password": password});
    let request = users.request(Method::POST, "/login");
    // What stands before the last entry is the client's own invention.
    let forwarded = format!("198.51.100.1, {from}");
    send(request.header("x-forwarded-for", forwarded).json(&body)).await
}

/// So many guesses at once; how many of them were tried, the others being 429.
async fn guess(users: &TestService<Users>, from: &str, name: &str, guesses: usize) -> usize {
    let guesses = (0..guesses).map(|_| log_in(users, from, name, WRONG));
    let statuses: Vec<u16> = join_all(guesses).await.iter().map(|r| r.status).collect();
    assert!(
        statuses.iter().all(|status| [401, 429].contains(status)),
        "{statuses:?}"
    );
    statuses.iter().filter(|status| **status == 401).count()
}

/// Registers from an address, and does not log in.
async fn person_from(users: &TestService<Users>, from: &str) -> Person {
    let username = testkit::unique("p");
    let email = format!("{username}@example.com");
    let body = json!({"username": username, "email": email, "password": PASSWORD});
    let request = users.request(Method::POST, "/users/register");
    let registered = send(request.header("x-forwarded-for", from).json(&body)).await;
    Person {
        id: registered.expect(201)["user"]["id"].as_i64().unwrap(),
        username,
        email,
        token: String::new(),
    }
}

async fn of_forty_guesses_at_once_ten_are_tried(backend: Backend) {
    let users = start(backend).await;
    let ada = person_from(&users, HOME).await;
    assert_eq!(guess(&users, "192.0.2.1", &ada.username, 40).await, 10);
    assert_eq!(guess(&users, "192.0.2.1", &ada.email, 5).await, 0);
}

async fn an_account_has_one_count_by_whatever_name_and_door(backend: Backend) {
    let users = start_with(backend, &["--login-failures-per-account", "7"]).await;
    let ada = person_from(&users, HOME).await;
    let names = [
        ada.username.clone(),
        ada.username.to_uppercase(),
        format!(" {} ", ada.username),
        ada.email.clone(),
        ada.email.to_uppercase(),
    ];
    let doors = [
        "/api/users/login",
        "/users/login",
        "/login",
        "/api/auth/login",
        "/auth/login",
    ];
    let attempt = async |door: &str, key: &str, name: &str| {
        let body = json!({key: name, "password": WRONG});
        let request = users.request(Method::POST, door);
        let request = request.header("x-forwarded-for", "192.0.2.1");
        send(request.json(&body)).await.status
    };
    let mut statuses = Vec::new();
    for (door, name) in doors.iter().zip(&names) {
        for key in ["email", "username"] {
            statuses.push(attempt(door, key, name).await);
        }
    }
    assert_eq!(statuses, [[401; 7].as_slice(), &[429; 3]].concat());
}

async fn two_instances_count_together_and_a_restart_forgets_nothing(backend: Backend) {
    let store = store_flags(backend).await;
    let mut flags = vec!["--upstream-urls", NOBODY];
    flags.extend(store.iter().map(String::as_str));
    let one = TestService::<Users>::start(&flags).await;
    let other = TestService::<Users>::start_in(one.data(), &flags).await;
    let ada = person_from(&one, HOME).await;
    let guesses = [
        guess(&one, "192.0.2.1", &ada.username, 20),
        guess(&other, "192.0.2.1", &ada.email, 20),
    ];
    let tried: usize = join_all(guesses).await.into_iter().sum();
    assert_eq!(tried, 10);
    let data = one.data();
    one.stop().await;
    other.stop().await;
    let again = TestService::<Users>::start_in(data, &flags).await;
    assert_eq!(guess(&again, "192.0.2.1", &ada.username, 3).await, 0);
}

async fn strangers_do_not_keep_the_owner_out(backend: Backend) {
    let limits = [
        "--login-failures-per-account",
        "3",
        "--login-failures-from-strangers",
        "6",
    ];
    let users = start_with(backend, &limits).await;
    let ada = person_from(&users, HOME).await;
    assert_eq!(guess(&users, "192.0.2.1", &ada.username, 5).await, 3);
    let away = log_in(&users, "198.51.100.7", &ada.username, PASSWORD).await;
    assert_eq!(away.status, 200, "one stranger: {}", away.text);
    for stranger in ["192.0.2.2", "192.0.2.3"] {
        guess(&users, stranger, &ada.username, 5).await;
    }
    log_in(&users, "198.51.100.8", &ada.username, PASSWORD)
        .await
        .problem(429);
    for known in [HOME, "198.51.100.7"] {
        let owner = log_in(&users, known, &ada.username, PASSWORD).await;
        assert_eq!(owner.status, 200, "{known}: {}", owner.text);
    }
    // What is guessed from the owner's own network counts there.
    assert_eq!(guess(&users, HOME, &ada.username, 5).await, 3);
}

async fn strangers_of_many_networks_share_a_limit(backend: Backend) {
    let limits = [
        "--login-failures-per-account",
        "5",
        "--login-failures-from-strangers",
        "12",
    ];
    let users = start_with(backend, &limits).await;
    let ada = person_from(&users, HOME).await;
    let networks: Vec<String> = (1..9).map(|last| format!("192.0.2.{last}")).collect();
    let guesses = networks
        .iter()
        .map(|network| guess(&users, network, &ada.username, 6));
    let tried: usize = join_all(guesses).await.into_iter().sum();
    assert_eq!(tried, 12);
}

async fn names_that_nobody_has_are_answered_like_those_of_people(backend: Backend) {
    let users = start_with(backend, &["--login-failures-per-account", "3"]).await;
    let ada = person_from(&users, HOME).await;
    let mut told = Vec::new();
    for name in [&ada.username, "nobody-of-this-name", "nobody@example.com"] {
        let (mut answers, mut waits) = (Vec::new(), Vec::new());
        for _ in 0..5 {
            let answer = log_in(&users, "192.0.2.1", name, WRONG).await;
            answers.push((answer.status, answer.json["message"].clone()));
            waits.push(!answer.header("retry-after").is_empty());
        }
        told.push((answers, waits));
    }
    let statuses: Vec<u16> = told[0].0.iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [401, 401, 401, 429, 429]);
    assert_eq!((&told[0], &told[0]), (&told[1], &told[2]));
    let spelled = log_in(&users, "192.0.2.1", " NOBODY-of-this-name ", WRONG).await;
    spelled.problem(429);
}

async fn right_passwords_count_for_nothing_however_many_come_at_once(backend: Backend) {
    let users = start_with(backend, &["--login-failures-per-account", "3"]).await;
    let ada = person_from(&users, HOME).await;
    for from in [HOME, "192.0.2.1"] {
        let logins = (0..20).map(|_| log_in(&users, from, &ada.username, PASSWORD));
        for login in join_all(logins).await {
            login.expect(200);
        }
    }
    assert_eq!(guess(&users, HOME, &ada.username, 5).await, 3);
}

async fn all_addresses_of_a_64_are_one(backend: Backend) {
    let users = start_with(backend, &["--login-failures-per-account", "3"]).await;
    let ada = person_from(&users, "2001:db8:1:1::1").await;
    let mut tried = 0;
    for last in 0..6 {
        let address = format!("2001:db8:2:2:{last:x}::{last:x}");
        tried += guess(&users, &address, &ada.username, 1).await;
    }
    assert_eq!(tried, 3);
    // Another address of the network that the account was registered from is a known one.
    assert_eq!(
        guess(&users, "2001:db8:3:3::1", &ada.username, 5).await,
        3,
        "another network"
    );
    let home = log_in(&users, "2001:db8:1:1:ffff::9", &ada.username, PASSWORD).await;
    home.expect(200);
}

async fn a_network_has_a_limit_for_all_accounts(backend: Backend) {
    let users = start_with(backend, &["--login-failures-per-address", "4"]).await;
    let ada = person_from(&users, HOME).await;
    let mut tried = 0;
    for name in ["nobody-1", "nobody-2", "nobody-3", &ada.username] {
        tried += guess(&users, "192.0.2.1", name, 2).await;
    }
    assert_eq!(tried, 4);
    log_in(&users, "192.0.2.2", &ada.username, PASSWORD)
        .await
        .expect(200);
}

/// The service, a connection to its store, and somebody who has used up their failures.
async fn refused(backend: Backend) -> (Arc<TestService<Users>>, DatabaseConnection, Person) {
    let store = store_flags(backend).await;
    let mut flags = vec!["--upstream-urls", NOBODY];
    flags.extend(store.iter().map(String::as_str));
    flags.extend(["--login-failures-per-account", "3"]);
    let users = TestService::<Users>::start(&flags).await;
    let rows = Database::connect(store_url(&users, &store)).await.unwrap();
    let ada = person_from(&users, HOME).await;
    assert_eq!(guess(&users, "192.0.2.1", &ada.username, 5).await, 3);
    (Arc::new(users), rows, ada)
}

async fn number(rows: &DatabaseConnection, query: &str) -> i64 {
    let query = Statement::from_string(rows.get_database_backend(), query);
    let row = rows.query_one_raw(query).await.unwrap().unwrap();
    row.try_get("", "number").unwrap()
}

async fn a_refusal_says_when_it_ends(backend: Backend) {
    let (users, rows, ada) = refused(backend).await;
    let refusal = log_in(&users, "192.0.2.1", &ada.username, PASSWORD).await;
    refusal.problem(429);
    let wait: u64 = refusal.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    // The rest of the minute passes.
    let sooner = format!("UPDATE attempts SET ends_at = ends_at - {wait} * 1000 + 1500");
    rows.execute_unprepared(&sooner).await.unwrap();
    let refusal = log_in(&users, "192.0.2.1", &ada.username, PASSWORD).await;
    if refusal.status == 429 {
        let wait: u64 = refusal.header("retry-after").parse().unwrap();
        assert!((1..=2).contains(&wait), "{wait}");
    }
    eventually("the account may log in again", || async {
        let login = log_in(&users, "192.0.2.1", &ada.username, PASSWORD).await;
        (login.status == 200).then_some(()).ok_or(login.text)
    })
    .await;
}

async fn an_instance_counts_alone_while_the_store_does_not(backend: Backend) {
    let (users, rows, ada) = refused(backend).await;
    let away = "ALTER TABLE attempts RENAME TO attempts_away";
    rows.execute_unprepared(away).await.unwrap();
    assert_eq!(guess(&users, "192.0.2.1", &ada.username, 9).await, 3);
    log_in(&users, HOME, &ada.username, PASSWORD)
        .await
        .expect(200);
    let back = "ALTER TABLE attempts_away RENAME TO attempts";
    rows.execute_unprepared(back).await.unwrap();
    log_in(&users, "192.0.2.1", &ada.username, PASSWORD)
        .await
        .problem(429);
}

async fn what_is_over_is_forgotten(backend: Backend) {
    let store = store_flags(backend).await;
    let mut flags = vec!["--upstream-urls", NOBODY];
    flags.extend(store.iter().map(String::as_str));
    let users = TestService::<Users>::start(&flags).await;
    let rows = Database::connect(store_url(&users, &store)).await.unwrap();
    let ada = person_from(&users, HOME).await;
    guess(&users, "192.0.2.1", &ada.username, 2).await;
    let attempts = "SELECT COUNT(*) AS number FROM attempts";
    let networks = "SELECT COUNT(*) AS number FROM known_networks";
    assert!(number(&rows, attempts).await > 0);
    assert_eq!(number(&rows, networks).await, 1);
    for over in [
        "UPDATE attempts SET ends_at = ends_at - 60000",
        "UPDATE known_networks SET used_at = used_at - 61 * 24 * 3600 * 1000",
    ] {
        // The numbers of milliseconds are too many for the four bytes of a literal.
        let over = over.replace("61 * 24 * 3600 * 1000", "5270400000");
        rows.execute_unprepared(&over).await.unwrap();
    }
    // An instance cleans up when it starts, and each minute.
    let _next = TestService::<Users>::start_in(users.data(), &flags).await;
    eventually("nothing is left", || async {
        let left = number(&rows, attempts).await + number(&rows, networks).await;
        (left == 0).then_some(()).ok_or(left.to_string())
    })
    .await;
}

/// Logins hold rows and wait for others, so who tidies up must not hold some and wait for theirs.
#[tokio::test]
async fn who_forgets_waits_for_no_row_that_is_in_use() {
    let store = store_flags(Backend::Postgres).await;
    let mut flags = vec!["--upstream-urls", NOBODY];
    flags.extend(store.iter().map(String::as_str));
    let users = TestService::<Users>::start(&flags).await;
    let rows = Database::connect(store_url(&users, &store)).await.unwrap();
    let old = "INSERT INTO attempts (scope, made, ends_at) VALUES ('used', 1, 1), ('unused', 1, 1)";
    rows.execute_unprepared(old).await.unwrap();
    let user = rows.begin().await.unwrap();
    let using = "UPDATE attempts SET made = 2 WHERE scope = 'used'";
    user.execute_unprepared(using).await.unwrap();
    let _next = TestService::<Users>::start_in(users.data(), &flags).await;
    let left = "SELECT COUNT(*) AS number FROM attempts";
    eventually("the row that nobody uses is gone", || async {
        let left = number(&rows, left).await;
        (left == 1).then_some(()).ok_or(left.to_string())
    })
    .await;
    user.rollback().await.unwrap();
}

async fn an_account_knows_the_networks_used_last(backend: Backend) {
    let store = store_flags(backend).await;
    let mut flags = vec!["--upstream-urls", NOBODY];
    flags.extend(store.iter().map(String::as_str));
    let users = TestService::<Users>::start(&flags).await;
    let rows = Database::connect(store_url(&users, &store)).await.unwrap();
    let ada = person_from(&users, HOME).await;
    for last in 1..=24 {
        let from = format!("198.51.100.{last}");
        log_in(&users, &from, &ada.username, PASSWORD)
            .await
            .expect(200);
    }
    let known = "SELECT COUNT(*) AS number FROM known_networks";
    assert_eq!(number(&rows, known).await, 20);
    let last = format!("{known} WHERE network = '198.51.100.24'");
    assert_eq!(number(&rows, &last).await, 1);
    let first = format!("{known} WHERE network = '{HOME}'");
    assert_eq!(number(&rows, &first).await, 0);
}
