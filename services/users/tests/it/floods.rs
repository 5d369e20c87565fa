//! Floods: what one brings down is not what it is for, and the memory that it takes has an end.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use reqwest::{Client, Method};
use serde_json::json;
use testkit::{Process, TestService, send, unique};
use tokio::task::JoinSet;
use users::Users;

use crate::helpers::{Backend, NOBODY, PASSWORD, start_with, store_flags};

crate::on_each_store![
    a_network_registers_so_many_a_minute_at_all_instances,
    one_network_registers_so_many_at_once,
];

/// What the chart gives a container, in KiB (`resources.limits.memory` of `values.yaml`).
const CONTAINER: u64 = 256 * 1024;
/// Clients of a flood: more than are let in at once.
const CLIENTS: usize = 80;
/// Requests of each.
const EACH: usize = 3;

async fn register(users: &TestService<Users>, from: &str) -> testkit::Reply {
    let name = unique("p");
    let email = format!("{name}@example.com");
    let body = json!({"username": name, "email": email, "password": PASSWORD});
    let request = users.request(Method::POST, "/users/register");
    send(request.header("x-forwarded-for", from).json(&body)).await
}

async fn a_network_registers_so_many_a_minute_at_all_instances(backend: Backend) {
    let store = store_flags(backend).await;
    let mut flags = vec!["--upstream-urls", NOBODY, "--registrations-per-address=3"];
    flags.extend(store.iter().map(String::as_str));
    let one = TestService::<Users>::start(&flags).await;
    let other = TestService::<Users>::start_in(one.data(), &flags).await;
    let asked = (0..8u8).map(|last| {
        let users = if last % 2 == 0 { &one } else { &other };
        async move { register(users, &format!("2001:db8:1:1::{last:x}")).await }
    });
    let answers = join_all(asked).await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(made, 3);
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        answer.problem(429);
        let wait: u64 = answer.header("retry-after").parse().unwrap();
        assert!((1..=60).contains(&wait), "{wait}");
    }
    register(&one, "2001:db8:1:2::1").await.expect(201);
}

async fn one_network_registers_so_many_at_once(backend: Backend) {
    let users = start_with(backend, &["--registrations-at-once-per-address=2"]).await;
    let asked = join_all((0..12).map(|_| register(&users, "203.0.113.1")));
    let (answers, other) = tokio::join!(asked, register(&users, "203.0.113.2"));
    other.expect(201);
    let refused = answers.iter().filter(|answer| answer.status == 429);
    let refused: Vec<_> = refused.collect();
    assert!(!refused.is_empty(), "all twelve at once were taken");
    for answer in refused {
        assert_eq!(answer.header("retry-after"), "1");
    }
    register(&users, "203.0.113.1").await.expect(201);
}

/// A process of `users` under a flood.
struct Flooded {
    process: Process,
    client: Client,
}

impl Flooded {
    fn start() -> Arc<Self> {
        let process = Process::start(
            env!("CARGO_BIN_EXE_users"),
            &["serve"],
            &[("SQL_TIMEOUT_MILLIS", "30000")],
        );
        process.address();
        let client = Client::builder().timeout(Duration::from_mins(1)).build();
        Arc::new(Self {
            process,
            client: client.unwrap(),
        })
    }

    async fn post(&self, path: &str, from: &str, body: &serde_json::Value) -> u16 {
        let url = format!("http://{}{path}", self.process.address());
        let request = self.client.request(Method::POST, url).json(body);
        let sent = request.header("x-forwarded-for", from).send().await;
        sent.unwrap().status().as_u16()
    }

    async fn register(&self, name: &str, from: &str) -> u16 {
        let email = format!("{name}@example.com");
        let body = json!({"username": name, "email": email, "password": PASSWORD});
        self.post("/register", from, &body).await
    }

    async fn log_in(&self, name: &str, password: &str, from: &str) -> u16 {
        let body = json!({"username": name, "password": password});
        self.post("/login", from, &body).await
    }

    /// The most memory that the process ever had, in KiB.
    fn most_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()));
        let status = status.unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        line.unwrap()
            .split_whitespace()
            .nth(1)
            .unwrap()
            .parse()
            .unwrap()
    }
}

/// Eighty clients of as many networks, three requests each; what they are answered in the end.
fn flood<F>(users: &Arc<Flooded>, one: fn(Arc<Flooded>, String) -> F) -> JoinSet<Vec<u16>>
where
    F: Future<Output = u16> + Send + 'static,
{
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let users = Arc::clone(users);
        clients.spawn(async move {
            let mut answers = Vec::new();
            for _ in 0..EACH {
                let from = format!("198.51.{}.{}", client / 100, client % 100);
                answers.push(one(Arc::clone(&users), from).await);
            }
            answers
        });
    }
    clients
}

/// What `one` is answered again and again until a flood is over, and what the flood was.
async fn meanwhile(
    mut flood: JoinSet<Vec<u16>>,
    one: impl AsyncFn() -> u16,
) -> (Vec<u16>, Vec<u16>) {
    let (mut answers, mut flooded) = (Vec::new(), Vec::new());
    while !flood.is_empty() {
        answers.push(one().await);
        while let Some(client) = flood.try_join_next() {
            flooded.extend(client.unwrap());
        }
    }
    (answers, flooded)
}

fn count(statuses: &[u16], wanted: u16) -> usize {
    statuses.iter().filter(|status| **status == wanted).count()
}

#[tokio::test]
async fn a_flood_of_registrations_keeps_nobody_from_logging_in_and_has_an_end_of_memory() {
    let users = Flooded::start();
    assert_eq!(users.register("ada", "203.0.113.1").await, 201);
    let registering = flood(&users, |users, from| async move {
        users.register(&unique("p"), &from).await
    });
    let login = async || users.log_in("ada", PASSWORD, "203.0.113.1").await;
    let (logins, flooded) = meanwhile(registering, login).await;
    assert_eq!(count(&logins, 200), logins.len(), "{logins:?}");
    assert!(logins.len() >= 5, "it was no flood: {logins:?}");
    assert!(
        count(&flooded, 201) >= CLIENTS && count(&flooded, 503) > 0,
        "the queue has an end: {flooded:?}"
    );
    let most = users.most_memory();
    assert!(most < CONTAINER, "{most} KiB");
}

#[tokio::test]
async fn a_flood_of_logins_keeps_nobody_from_registering_and_has_an_end_of_memory() {
    let users = Flooded::start();
    let guessing = flood(&users, |users, from| async move {
        users
            .log_in(&unique("nobody"), "wrong password", &from)
            .await
    });
    let register = async || users.register(&unique("p"), "203.0.113.1").await;
    let (registered, flooded) = meanwhile(guessing, register).await;
    assert_eq!(count(&registered, 201), registered.len(), "{registered:?}");
    assert!(registered.len() >= 5, "it was no flood: {registered:?}");
    assert!(
        count(&flooded, 401) >= CLIENTS / 2 && count(&flooded, 503) > 0,
        "the queue has an end: {flooded:?}"
    );
    let most = users.most_memory();
    assert!(most < CONTAINER, "{most} KiB");
}
