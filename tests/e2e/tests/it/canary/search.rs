//! Every place where the system keeps or shows what it saw.

use std::{path::Path, process::Command};

use discovery::Dns;
use messaging::{Broker, dead_letters};
use serde_json::Value;
use testkit::{Mesh, eventually, mesh, send};

use super::Canary;

/// A consumer that there is always.
const MAIL: &str = "notifications.mail";

pub(super) async fn everywhere(canary: &Canary) {
    metrics(canary).await;
    dead(canary).await;
    mails(canary).await;
    files(canary);
}

async fn text(url: &str) -> String {
    send(mesh::client().get(url)).await.text
}

/// Every trace of the requests since the last time, once the ingress, and the service that answered, have told theirs.
pub(super) async fn traces(canary: &mut Canary) {
    let jaeger = Mesh::current().address("jaeger");
    for (id, by_the_edge) in std::mem::take(&mut canary.traces) {
        let trace = eventually("the spans of a request", || async {
            let trace = text(&format!("{jaeger}/api/traces/{id}")).await;
            let found: Value = serde_json::from_str(&trace).unwrap_or_default();
            let processes = found["data"][0]["processes"].as_object();
            let names = processes.into_iter().flat_map(|names| names.values());
            let names: Vec<&str> = names
                .filter_map(|one| one["serviceName"].as_str())
                .collect();
            let service = |name: &&str| Mesh::current().services.contains_key(*name);
            if names.contains(&"ingress") && (by_the_edge || names.iter().any(service)) {
                Ok(trace)
            } else {
                Err(trace)
            }
        })
        .await;
        assert_eq!(canary.seen_in(&trace), None, "trace {id}");
    }
    // Those of sockets, and what came late: the latest of each process.
    let services: Value =
        serde_json::from_str(&text(&format!("{jaeger}/api/services")).await).unwrap();
    for service in services["data"].as_array().unwrap() {
        let name = service.as_str().unwrap();
        let latest = format!("{jaeger}/api/traces?service={name}&lookback=1h&limit=300");
        assert_eq!(
            canary.seen_in(&text(&latest).await),
            None,
            "traces of {name}"
        );
    }
}

/// Every page that Prometheus reads, and every label that it knows.
async fn metrics(canary: &Canary) {
    let prometheus = Mesh::current().address("prometheus");
    let read = |path: String| async move {
        let url = format!("{prometheus}/api/v1/{path}");
        send(mesh::client().get(url)).await.expect(200)["data"].clone()
    };
    let targets = read("targets?state=active".to_owned()).await;
    let targets = targets["activeTargets"].as_array().unwrap().clone();
    assert!(targets.len() > 20, "{}", targets.len());
    for target in targets {
        let url = target["scrapeUrl"].as_str().unwrap();
        // Consul's needs a token, and is of Consul.
        let page = testkit::attempt(mesh::client().get(url)).await;
        let page = page.map(|page| page.text).unwrap_or_default();
        assert_eq!(canary.seen_in(&page), None, "{url}");
    }
    for label in read("labels".to_owned()).await.as_array().unwrap() {
        let label = label.as_str().unwrap();
        let values = read(format!("label/{label}/values")).await.to_string();
        assert_eq!(canary.seen_in(&values), None, "values of {label}");
    }
}

/// Every queue of dead letters: reason and body.
async fn dead(canary: &Canary) {
    let mesh = Mesh::current();
    let settings = messaging::Settings {
        amqp_url: mesh.address("rabbitmq").to_owned().into(),
        messaging_failpoint: None,
    };
    let dns = Dns::new(mesh.address("consul_dns").parse().unwrap()).unwrap();
    let broker = Broker::operated(&settings, &dns).unwrap();
    for queue in queues().await {
        let letters = dead_letters::list(&broker, &queue, 1000).await;
        // Another of these names may be a queue that is gone.
        assert!(letters.is_ok() || queue != MAIL, "{letters:?}");
        let letters = letters.unwrap_or_default();
        assert_eq!(canary.seen_in(&format!("{letters:?}")), None, "{queue}");
    }
}

/// The consumers that there are, as Prometheus heard of them.
async fn queues() -> Vec<String> {
    let prometheus = Mesh::current().address("prometheus");
    let found = text(&format!("{prometheus}/api/v1/label/queue/values")).await;
    let found: Value = serde_json::from_str(&found).unwrap();
    let names = found["data"].as_array().into_iter().flatten();
    let names = names.filter_map(|name| name.as_str().map(str::to_owned));
    let queues: Vec<String> = names
        .filter(|name| name.strip_suffix(".dead").is_none())
        .collect();
    assert!(queues.iter().any(|name| name == MAIL), "{queues:?}");
    queues
}

async fn mails(canary: &Canary) {
    let page = Mesh::current().address("mail_page");
    let mails = text(&format!("{page}/api/mails")).await;
    assert_eq!(canary.seen_in(&mails), None, "mails");
}

/// What every process of the mesh wrote: logs, stores, queues.
fn files(canary: &Canary) {
    let state = &Mesh::current().state;
    let needles: Vec<String> = canary.needles().collect();
    assert_eq!(with_one_of(&needles, state), "");
    // What is no secret is found, so this looks where it should.
    let logs = state.join("logs");
    let told = with_one_of(&["/api/auth/register".to_owned()], &logs);
    for log in ["ingress.log", "users-1.log"] {
        assert!(told.contains(log), "{log} is not among {told}");
    }
}

/// The files below a folder that have one of these texts, but for the programs that were put there.
fn with_one_of(needles: &[String], folder: &Path) -> String {
    let needles = needles.iter().flat_map(|needle| ["-e", needle]);
    let found = Command::new("grep")
        .args(["-rlasF", "--exclude-dir=bin"])
        .args(needles)
        .arg("--")
        .arg(folder)
        .output()
        .unwrap();
    String::from_utf8(found.stdout).unwrap()
}
