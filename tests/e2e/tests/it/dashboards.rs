//! Claim: what operators look at shows something, and what calls them arrives. Every query of
//! every panel is asked of the mesh's own Prometheus after some load.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use futures_util::future::try_join_all;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Mesh, attempt, eventually_within, mesh, send};
use tokio::{sync::Mutex, time::interval};

use crate::{identity::client_of, intentions::sidecar, live};

/// Scrapes, rules and mails have their own pace.
const PATIENCE: Duration = Duration::from_mins(4);
/// Figures that Envoy tells once there is something to tell, which nobody should have to wish for.
const RARE: &[&str] = &["envoy_cluster_upstream_cx_connect_fail"];
/// Words of a query that are no figures.
const WORDS: &[&str] = &["and", "or", "unless", "bool", "inf"];

fn checkout() -> PathBuf {
    let package = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    Path::new(&package).join("../..")
}

async fn prometheus(path: &str, query: &[(&str, &str)]) -> Result<Value, String> {
    let url = format!("{}/api/v1/{path}", Mesh::current().address("prometheus"));
    let mut reply = attempt(mesh::client().get(url).query(query)).await?;
    match reply.status {
        200 => Ok(reply.json["data"].take()),
        status => Err(format!("{query:?}: {status} {}", reply.text)),
    }
}

/// Title of dashboard and panel, and a query of it, as Grafana would send it.
fn queries() -> Vec<(String, String)> {
    let folder = checkout().join("observability/grafana/dashboards");
    let mut found = Vec::new();
    for file in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        let dashboard: Value = serde_json::from_str(&text).unwrap();
        for panel in dashboard["panels"].as_array().unwrap() {
            let title = format!("{} / {}", dashboard["title"], panel["title"]);
            for target in panel["targets"].as_array().unwrap() {
                let query = target["expr"].as_str().unwrap();
                let query = query.replace("$__rate_interval", "1m");
                found.push((title.clone(), query.replace("$service", ".+")));
            }
        }
    }
    assert!(found.len() > 60, "{} queries", found.len());
    found
}

/// A little of everything: each store, events, mails, sockets, calls, and one that is refused.
async fn use_everything() {
    let mesh = Mesh::current();
    let person = mesh.person().await;
    let text = json!({ "text": "Seen by those who run it" });
    let post = mesh
        .call(Method::POST, "/posts", &person.token, &text)
        .await;
    let id = post.expect(201)["post_id"].clone();
    let like = format!("/likes/{id}");
    mesh.call(Method::POST, &like, &person.token, &Value::Null)
        .await;
    let socket = live::open("/ws/reviews", &live::bearer(&person)).await;
    for path in [
        "/posts",
        "/api/posts",
        "/item",
        "/products/",
        "/likes/popular",
        "/api/movies",
        &format!("/posts/home/{}", person.username),
    ] {
        mesh.call(Method::GET, path, &person.token, &Value::Null)
            .await;
    }
    drop(socket);
    // `portal` has no business with `orders`.
    let (client, callee) = (client_of("portal").await, sidecar("orders").await);
    let refused = client.post(format!("https://{callee}/plaza.orders.v1.Orders/Get"));
    assert_eq!(send(refused).await.status, 403);
}

/// Uses everything once a second, until what comes of it is seen.
async fn eventually_in_use(what: &str, seen: impl AsyncFn() -> Result<(), String>) {
    let pace = Mutex::new(interval(Duration::from_secs(1)));
    eventually_within(PATIENCE, what, || async {
        pace.lock().await.tick().await;
        // One request that fails is not what is tested here.
        let used = tokio::spawn(use_everything()).await;
        used.map_err(|error| error.to_string())?;
        seen().await
    })
    .await;
}

/// Whether a query finds a number now.
async fn has_a_number(query: &str) -> Result<bool, String> {
    let found = prometheus("query", &[("query", query)]).await?["result"].take();
    let samples = found.as_array().unwrap().iter();
    let mut numbers = samples.filter_map(|sample| sample["value"][1].as_str()?.parse().ok());
    Ok(numbers.any(|number: f64| number.is_finite()))
}

#[tokio::test]
async fn every_panel_shows_something() {
    let queries = queries();
    eventually_in_use("every query finds something", async || {
        let asked = queries.iter().map(|(title, query)| async move {
            let empty = !has_a_number(query).await?;
            Ok::<_, String>(empty.then(|| format!("{title}: {query}")))
        });
        let empty: Vec<Option<String>> = try_join_all(asked).await?;
        let empty: Vec<String> = empty.into_iter().flatten().collect();
        if empty.is_empty() {
            Ok(())
        } else {
            Err(empty.join("\n"))
        }
    })
    .await;
}

/// The names of figures in a query.
fn figures(query: &str) -> BTreeSet<String> {
    let mut plain = String::new();
    let (mut depth, mut quoted) = (0, false);
    for letter in query.chars() {
        match letter {
            '"' => quoted = !quoted,
            '{' | '[' if !quoted => depth += 1,
            '}' | ']' if !quoted => depth -= 1,
            _ if depth == 0 && !quoted => plain.push(letter),
            _ => {}
        }
    }
    // Labels stand in brackets after these words.
    for word in ["by (", "on ("] {
        while let Some(start) = plain.find(word) {
            let end = start + plain[start..].find(')').unwrap();
            plain.replace_range(start..=end, "");
        }
    }
    let mut names = BTreeSet::new();
    let mut rest = plain.as_str();
    while let Some(start) = rest.find(|letter: char| letter.is_ascii_alphabetic()) {
        rest = &rest[start..];
        let length = rest
            .find(|letter: char| !letter.is_ascii_alphanumeric() && !"_:".contains(letter))
            .unwrap_or(rest.len());
        let (name, after) = rest.split_at(length);
        if !after.trim_start().starts_with('(') && !WORDS.contains(&name) && name.contains('_') {
            names.insert(name.to_owned());
        }
        rest = after;
    }
    names
}

/// All sources of ours, in one text.
fn sources() -> String {
    let mut folders = vec![checkout().join("mesh"), checkout().join("services")];
    let mut text = String::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            // The table of dashboards names everything, mistakes too.
            if path.is_dir() && !path.ends_with("observe") {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                text.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    text
}

/// What ends in `or vector(0)` shows something even if its figure does not exist at all.
#[tokio::test]
async fn every_figure_of_a_panel_exists() {
    assert_eq!(
        figures(r#"sum by (x_y) (rate(a_total{b="c_d"}[1m])) / on (e_f) g_h:i or vector(0)"#),
        ["a_total", "g_h:i"].map(str::to_owned).into()
    );
    let sources = sources();
    let named: BTreeSet<String> = queries()
        .iter()
        .flat_map(|(_, query)| figures(query))
        .filter(|name| {
            let plain = ["_bucket", "_count", "_sum"]
                .iter()
                .find_map(|end| name.strip_suffix(end));
            !sources.contains(&format!("\"{}\"", plain.unwrap_or(name)))
                && !RARE.contains(&name.as_str())
        })
        .collect();
    eventually_in_use("Prometheus has every figure", async || {
        let known = prometheus("label/__name__/values", &[]).await?;
        let known: BTreeSet<String> = serde_json::from_value(known).unwrap();
        let unknown: Vec<_> = named.difference(&known).collect();
        if unknown.is_empty() {
            Ok(())
        } else {
            Err(format!("{unknown:?}"))
        }
    })
    .await;
}

#[tokio::test]
async fn every_rule_works_and_every_route_has_an_objective() {
    let mesh = Mesh::current();
    eventually_within(PATIENCE, "all rules are evaluated", || async {
        let groups = prometheus("rules", &[]).await?["groups"].take();
        let rules = groups.as_array().unwrap().iter();
        let rules = rules.flat_map(|group| group["rules"].as_array().unwrap());
        let (mut number, mut bad) = (0, Vec::new());
        for rule in rules {
            number += 1;
            if rule["health"] != "ok" {
                bad.push(format!("{}: {}", rule["name"], rule["lastError"]));
            }
        }
        if number > 100 && bad.is_empty() {
            Ok(())
        } else {
            Err(format!("{number} rules, bad: {bad:?}"))
        }
    })
    .await;
    for service in mesh.services.keys() {
        let describe = mesh.describe(service);
        for route in describe["routes"].as_array().unwrap() {
            let query = format!(
                "route:objective:error_budget{{service=\"{service}\", method={}, route={}}}",
                route["method"], route["template"]
            );
            eventually_within(PATIENCE, &query, || async {
                let found = has_a_number(&query).await?;
                found.then_some(()).ok_or_else(|| "no objective".to_owned())
            })
            .await;
        }
    }
}

#[tokio::test]
async fn a_refused_call_becomes_a_mail_that_says_what_to_do() {
    let mesh = Mesh::current();
    let page = mesh.address("mail_page");
    eventually_in_use("the mail", async || {
        let request = mesh::client().get(format!("{page}/api/mails"));
        let found = attempt(request.query(&[("to", "tickets@plaza.example")])).await?;
        let told = found.text.contains("docs/runbooks/IntentionsDenied.md");
        told.then_some(()).ok_or_else(|| {
            let length = found.text.len();
            format!("{length} bytes of mails, none of it")
        })
    })
    .await;
    // Prometheus sends again after a minute what Alertmanager was not there for.
    let alerts = format!("{}/api/v2/alerts", mesh.address("alertmanager"));
    eventually_within(PATIENCE, "the watchdog", || async {
        let alerts = attempt(mesh::client().get(&alerts)).await?;
        let mut names = alerts.json.as_array().into_iter().flatten();
        let barks = names.any(|alert| alert["labels"]["alertname"] == "Watchdog");
        barks.then_some(()).ok_or(alerts.text)
    })
    .await;
}
