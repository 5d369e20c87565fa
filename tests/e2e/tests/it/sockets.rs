//! Claim: nothing on the way of a socket has too little room for it, or cuts it for being quiet.

use std::{fs, path::Path, time::Duration};

use futures_util::StreamExt as _;
use serde_json::Value;
use testkit::Mesh;
use tokio_tungstenite::{connect_async, tungstenite::Message};

/// How often `live` pings, in seconds; some may come late.
const PING: f64 = 20.0;
const LATE: f64 = 3.0;

/// What the admin interface of an Envoy answers.
async fn admin(instance: &str, path: &str) -> String {
    let run = Path::new(Mesh::current().address("process_compose")).parent();
    let socket = run.unwrap().join(instance).join("admin.sock");
    let client = reqwest::Client::builder().unix_socket(socket).build();
    let asked = client.unwrap().get(format!("http://envoy{path}")).send();
    asked.await.unwrap().text().await.unwrap()
}

/// How many sockets an instance is told to hold.
fn sockets(instance: &str) -> u64 {
    let pid = Mesh::current().process(instance).unwrap();
    let environment = fs::read_to_string(format!("/proc/{pid}/environ")).unwrap();
    let variable = environment
        .split('\0')
        .find_map(|variable| variable.strip_prefix("LIVE_SOCKETS="));
    variable.unwrap().parse().unwrap()
}

#[tokio::test]
async fn s0_23_every_proxy_has_room_for_the_sockets_of_the_service() {
    let instances = &Mesh::current().services["live"].instances;
    let mut all = 0;
    for instance in instances {
        let own = sockets(instance);
        has_room(instance, "local_app::", own).await;
        all += own;
    }
    has_room("ingress", "live.default.", all).await;
}

async fn has_room(instance: &str, cluster: &str, sockets: u64) {
    let clusters = admin(instance, "/clusters").await;
    for limit in ["max_connections", "max_pending_requests", "max_requests"] {
        let limit = format!("::default_priority::{limit}::");
        let mut lines = clusters.lines().filter(|line| line.starts_with(cluster));
        let found = lines.find_map(|line| line.split_once(&limit)?.1.parse::<u64>().ok());
        assert!(found >= Some(sockets), "{instance} {limit} {found:?}");
    }
}

/// Every value under a name, wherever it is.
fn values<'a>(document: &'a Value, name: &str, found: &mut Vec<&'a Value>) {
    match document {
        Value::Object(members) => {
            found.extend(members.get(name));
            members
                .values()
                .for_each(|value| values(value, name, found));
        }
        Value::Array(items) => items.iter().for_each(|value| values(value, name, found)),
        _ => {}
    }
}

#[tokio::test]
async fn s0_11_a_quiet_socket_is_pinged_more_often_than_any_proxy_cuts_it() {
    let ingress = Mesh::current().address("ingress").replacen("http", "ws", 1);
    let (mut quiet, _) = connect_async(format!("{ingress}/ws/reviews"))
        .await
        .unwrap();
    for instance in ["ingress", "live-1", "live-2"] {
        let config = admin(instance, "/config_dump").await;
        let config: Value = serde_json::from_str(&config).unwrap();
        for never in ["max_stream_duration", "max_connection_duration"] {
            let mut found = Vec::new();
            values(&config, never, &mut found);
            assert!(found.is_empty(), "{instance}: {never} {found:?}");
        }
        // Envoy's own is five minutes.
        let mut found = Vec::new();
        values(&config, "stream_idle_timeout", &mut found);
        for timeout in found {
            let seconds = timeout.as_str().unwrap().trim_end_matches('s');
            let seconds: f64 = seconds.parse().unwrap();
            assert!(seconds >= PING * LATE, "{instance}: {timeout}");
        }
    }
    let pinged = async {
        loop {
            let message = quiet.next().await.unwrap().unwrap();
            if matches!(message, Message::Ping(_)) {
                return;
            }
        }
    };
    let patience = Duration::from_mins(2);
    tokio::time::timeout(patience, pinged).await.unwrap();
}
