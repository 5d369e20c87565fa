//! Claim: instances follow the load within a minute, up and down again, and nobody notices: no
//! request fails, sockets are told to connect again, the number does not flap, and without data
//! no instance is taken away.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use futures_util::StreamExt as _;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Mesh, eventually_within, mesh::Person, send};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tokio_tungstenite::{connect_async, tungstenite::Message};

use crate::ONE_AT_A_TIME;

/// What is claimed, for each instance that comes or goes.
const FOLLOWS_WITHIN: Duration = Duration::from_mins(1);
/// Requests that one instance of `timelines` shall have under way here, and sockets one of `live`.
const REQUESTS: usize = 4;
const SOCKETS: usize = 10;
/// How long a request is under way: its client sends the second half of its body so much later.
const SLOWNESS: Duration = Duration::from_millis(1500);
const DOWN_AFTER: u64 = 15;

/// The autoscaler's plan, changed for a test and put back afterwards.
struct Plan {
    path: PathBuf,
    before: Vec<u8>,
    content: Value,
}

impl Plan {
    /// Small targets and short windows, so that a test lasts minutes and a small load is enough.
    fn small() -> Self {
        let path = Mesh::current().state.join("autoscaler.json");
        let before = fs::read(&path).unwrap();
        let mut plan: Value = serde_json::from_slice(&before).unwrap();
        plan["act"] = json!(true);
        plan["every_seconds"] = json!(1);
        let policies = plan["policies"].as_array_mut().unwrap();
        policies.retain(|policy| policy["identity"] == "timelines" || policy["identity"] == "live");
        for policy in policies {
            policy["down_after_seconds"] = json!(DOWN_AFTER);
            let metrics = policy["metrics"].as_array_mut().unwrap();
            metrics.retain(|metric| metric["name"] != "queue_age");
            for metric in metrics {
                let target = if metric["name"] == "sockets" {
                    SOCKETS
                } else {
                    REQUESTS
                };
                metric["target"] = json!(target);
                let query = metric["query"].as_str().unwrap().replace("[30s]", "[15s]");
                metric["query"] = json!(query);
            }
        }
        Self {
            path,
            before,
            content: plan,
        }
    }

    fn write(&self, plan: &Value) {
        put(&self.path, plan.to_string().as_bytes());
    }
}

impl Drop for Plan {
    fn drop(&mut self) {
        put(&self.path, &self.before);
    }
}

/// Whole or not at all: it is read all the time.
fn put(path: &std::path::Path, content: &[u8]) {
    let draft = path.with_extension("test");
    fs::write(&draft, content).unwrap();
    fs::rename(&draft, path).unwrap();
}

/// A figure of the autoscaler for a service.
async fn figure(metric: &str, service: &str) -> f64 {
    let page = Mesh::current().address("autoscaler");
    let request = testkit::mesh::client().get(format!("{page}/metrics"));
    let text = send(request).await.text;
    let label = format!("service=\"{service}\"");
    let series = text
        .lines()
        .filter(|line| line.starts_with(metric) && line.contains(&label));
    series
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

async fn replicas(service: &str) -> usize {
    let number = figure("autoscaler_replicas{", service).await;
    format!("{number}").parse().unwrap()
}

/// Requests and sockets, as many as are wanted.
struct Load {
    wanted: watch::Sender<(usize, usize)>,
    failures: Arc<Mutex<Vec<String>>>,
    open: Arc<AtomicUsize>,
    tasks: JoinSet<()>,
}

impl Load {
    /// Begins with none.
    fn new(person: &Person, most: (usize, usize), post: i64, car: &str) -> Self {
        let (wanted, wish) = watch::channel((0, 0));
        let failures: Arc<Mutex<Vec<String>>> = Arc::default();
        let (open, mut tasks) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
        for place in 0..most.0 {
            let (mut wish, token, failures) =
                (wish.clone(), person.token.clone(), Arc::clone(&failures));
            tasks.spawn(async move {
                while wish
                    .wait_for(|(requests, _)| *requests > place)
                    .await
                    .is_ok()
                {
                    if let Err(problem) = slow_post(&token).await {
                        failures.lock().unwrap().push(problem);
                    }
                }
            });
        }
        for place in 0..most.1 {
            let (wish, failures, open) = (wish.clone(), Arc::clone(&failures), Arc::clone(&open));
            let path = format!("/ws/posts/{car}/comments");
            tasks.spawn(hold_socket(path, place, wish, failures, open));
        }
        let (mut wish, seen) = (wish, Arc::clone(&failures));
        tasks.spawn(async move {
            let mut next = Instant::now();
            while wish.has_changed().is_ok() {
                wish.mark_unchanged();
                let reply = Mesh::current().get(&format!("/posts/id/{post}")).await;
                if reply.status != 200 {
                    let problem = format!("a read: {} {}", reply.status, reply.text);
                    seen.lock().unwrap().push(problem);
                }
                next += Duration::from_millis(50);
                sleep_until(next).await;
            }
        });
        Self {
            wanted,
            failures,
            open,
            tasks,
        }
    }

    fn is(&self, requests: usize, sockets: usize) {
        self.wanted.send_replace((requests, sockets));
    }

    #[track_caller]
    fn nothing_failed(&self) {
        let failures = self.failures.lock().unwrap();
        assert!(failures.is_empty(), "{failures:#?}");
    }

    async fn end(mut self) {
        self.is(0, 0);
        self.tasks.abort_all();
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Writes a post whose body takes its time.
async fn slow_post(token: &str) -> Result<(), String> {
    let broken = |error: std::io::Error| format!("a slow request: {error}");
    let address = Mesh::current().address("ingress").replace("http://", "");
    let mut stream = TcpStream::connect(&address).await.map_err(broken)?;
    let body = json!({"text": "Slowly"}).to_string();
    let (first, second) = body.split_at(body.len() / 2);
    let head = format!(
        "POST /posts HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{first}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.map_err(broken)?;
    sleep_until(Instant::now() + SLOWNESS).await;
    stream.write_all(second.as_bytes()).await.map_err(broken)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.map_err(broken)?;
    if answer.starts_with("HTTP/1.1 201") {
        Ok(())
    } else {
        Err(format!("a slow request is answered {answer}"))
    }
}

/// Keeps a socket open while it is wanted; one that is told to connect again does.
async fn hold_socket(
    path: String,
    place: usize,
    mut wish: watch::Receiver<(usize, usize)>,
    failures: Arc<Mutex<Vec<String>>>,
    open: Arc<AtomicUsize>,
) {
    let url = Mesh::current().address("ingress").replacen("http", "ws", 1) + &path;
    while wish.wait_for(|(_, sockets)| *sockets > place).await.is_ok() {
        let mut socket = match connect_async(&url).await {
            Ok((socket, _)) => socket,
            Err(error) => {
                failures
                    .lock()
                    .unwrap()
                    .push(format!("a socket does not open: {error}"));
                continue;
            }
        };
        open.fetch_add(1, SeqCst);
        loop {
            let message = tokio::select! {
                message = socket.next() => message,
                // What it waits for is borrowed, and may not be held across the next step.
                () = async { drop(wish.wait_for(|(_, sockets)| *sockets <= place).await) } => {
                    let _ = socket.close(None).await;
                    break;
                }
            };
            match message {
                Some(Ok(Message::Close(Some(frame)))) if u16::from(frame.code) == 1012 => break,
                Some(Ok(Message::Text(_) | Message::Ping(_) | Message::Pong(_))) => {}
                other => {
                    let problem = format!("a socket ends without a word: {other:?}");
                    failures.lock().unwrap().push(problem);
                    break;
                }
            }
        }
        open.fetch_sub(1, SeqCst);
    }
}

/// Every number of instances that was seen, in order.
#[derive(Default)]
struct Seen(Vec<(usize, usize)>);

impl Seen {
    /// Waits until so many instances of both run and Consul calls them healthy.
    async fn follow(&mut self, timelines: usize, live: usize) {
        let what = format!("{timelines} instances of timelines and {live} of live");
        let (of_timelines, of_live) = (replicas("timelines").await, replicas("live").await);
        // Of one service they go one after the other.
        let steps = of_timelines.abs_diff(timelines).max(of_live.abs_diff(live));
        let patience = FOLLOWS_WITHIN * u32::try_from(steps.max(1)).unwrap();
        let seen = Mutex::new(&mut self.0);
        eventually_within(patience, &what, || async {
            let now = (replicas("timelines").await, replicas("live").await);
            {
                let mut seen = seen.lock().unwrap();
                if seen.last() != Some(&now) {
                    seen.push(now);
                }
            }
            let healthy = (healthy("timelines").await, healthy("live").await);
            if now == (timelines, live) && healthy == now {
                Ok(())
            } else {
                Err(format!("{now:?} run, {healthy:?} are healthy"))
            }
        })
        .await;
    }

    /// Up and down again, and never to and fro.
    #[track_caller]
    fn never_flapped(&self) {
        for numbers in [
            self.0.iter().map(|seen| seen.0).collect::<Vec<_>>(),
            self.0.iter().map(|seen| seen.1).collect::<Vec<_>>(),
        ] {
            let peak = numbers.iter().max().unwrap();
            let top = numbers.iter().position(|number| number == peak).unwrap();
            let (up, down) = numbers.split_at(top);
            assert!(up.is_sorted(), "{:?}", self.0);
            assert!(down.is_sorted_by(|one, next| one >= next), "{:?}", self.0);
        }
    }
}

async fn healthy(service: &str) -> usize {
    let path = format!("health/connect/{service}?passing=true");
    let found = Mesh::current().consul_get(&path).await;
    found.as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn s0_23_instances_follow_the_load_and_nobody_notices() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let mesh = Mesh::current();
    let person = mesh.person().await;
    let body = json!({"text": "Read all the time"});
    let written = mesh
        .call(Method::POST, "/posts", &person.token, &body)
        .await;
    let post = written.expect(201)["post_id"].as_i64().unwrap();
    let body = json!({"title": "Quiet", "content": "And quick", "car_model": "Zoe"});
    let written = mesh
        .call(Method::POST, "/api/posts", &person.token, &body)
        .await;
    let car = written.expect(201)["post_id"].as_str().unwrap().to_owned();

    let plan = Plan::small();
    let load = Load::new(&person, (3 * REQUESTS, 4 * SOCKETS), post, &car);
    plan.write(&plan.content);
    let mut seen = Seen::default();
    load.is(REQUESTS, SOCKETS);
    seen.follow(1, 2).await;
    load.is(2 * REQUESTS, 2 * SOCKETS);
    seen.follow(2, 2).await;
    load.is(3 * REQUESTS, 4 * SOCKETS);
    seen.follow(3, 4).await;
    load.nothing_failed();

    // Prometheus is not there where the plan says: the load goes, and everything stays.
    let mut blind = plan.content.clone();
    blind["prometheus"] = json!(1);
    plan.write(&blind);
    load.is(1, 5);
    let failures = figure("autoscaler_scrape_failures_total", "timelines").await;
    eventually_within(FOLLOWS_WITHIN, "rounds without data", || async {
        let rounds = figure("autoscaler_scrape_failures_total", "timelines").await - failures;
        if rounds > 25.0 {
            Ok(())
        } else {
            Err(format!("{rounds} rounds"))
        }
    })
    .await;
    seen.follow(3, 4).await;

    // It is back: one after the other goes, and its sockets move.
    plan.write(&plan.content);
    seen.follow(1, 2).await;
    seen.never_flapped();
    load.nothing_failed();
    eventually_within(FOLLOWS_WITHIN, "sockets are open again", || async {
        match load.open.load(SeqCst) {
            5 => Ok(()),
            other => Err(other.to_string()),
        }
    })
    .await;
    load.end().await;
}
