//! Waits until every part of a mesh answers, or says in one sentence which does not.

use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::consul::Consul;
use crate::documents;
use crate::http::{self, Target};
use crate::logs;
use crate::mesh::Mesh;
use crate::ports;
use crate::progress::Step;
use crate::services::{self, Description, PUBLIC, Purpose, Table};
use crate::supervisor::{Process, Supervisor};

/// Set when a person or a machine asks this program to end.
pub static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// How long a mesh may take until every service answers.
const PATIENCE: Duration = Duration::from_mins(2);
/// How long nothing may be missing before a mesh that was not whole counts as up: proxies hear of the last changes.
const SETTLED: Duration = Duration::from_secs(1);
/// How often a process may be started again before that counts as failure.
const MANY_RESTARTS: u32 = 6;
/// The method by which services follow keys and logged-out tokens.
const TOKENS: &str = "/plaza.users.v1.Tokens/Watch";
/// Programs that listen on a port of their own.
const LISTENERS: &[(&str, &str)] = &[
    ("redis", "redis"),
    ("rabbitmq", "rabbitmq"),
    ("mail", "mail"),
    ("jaeger", "otlp"),
    ("prometheus", "prometheus"),
    ("alertmanager", "alertmanager"),
    ("consul", "consul_http"),
];

/// What is still waited for, and whose log tells more.
struct Missing {
    process: String,
    why: String,
}

fn missing(process: impl Into<String>, why: impl Into<String>) -> Missing {
    Missing {
        process: process.into(),
        why: why.into(),
    }
}

/// Everything that the waiting asks.
struct Watch<'a> {
    mesh: &'a Mesh,
    table: Table,
    descriptions: &'a [Description],
    consul: Consul,
    supervisor: Supervisor,
}

/// Waits until everything answers.
pub fn wait(mesh: &Mesh, descriptions: &[Description]) -> Result<()> {
    let mut step = Step::start("starting the mesh");
    let token = mesh.secrets()?.get("management")?;
    let watch = Watch {
        mesh,
        table: mesh.table()?,
        descriptions,
        consul: Consul::new(mesh.port("consul_http"), token),
        supervisor: Supervisor::of(mesh),
    };
    let before = watch.restarts()?;
    let deadline = Instant::now() + PATIENCE;
    // A mesh that is whole at the first look needs no time to settle.
    let (mut whole_since, mut settle) = (None, Duration::ZERO);
    loop {
        let processes = watch.processes()?;
        let missing = watch.missing(&processes);
        stop_when_interrupted()?;
        let Some(missing) = missing else {
            if whole_since.get_or_insert_with(Instant::now).elapsed() >= settle {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
            continue;
        };
        (whole_since, settle) = (None, SETTLED);
        step.note(&missing.why);
        fail_when_ending_again(mesh, &processes, &before)?;
        if Instant::now() > deadline {
            let (Missing { process, why }, seconds) = (&missing, PATIENCE.as_secs());
            let last = last_lines(mesh, process);
            bail!(
                "{why} after {seconds} s: look at `cargo mesh logs {process}`; it ends with\n{last}"
            );
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    step.done();
    Ok(())
}

/// Fails once this program was asked to end.
pub fn stop_when_interrupted() -> Result<()> {
    if INTERRUPTED.load(Ordering::Relaxed) {
        bail!("interrupted");
    }
    Ok(())
}

fn fail_when_ending_again(
    mesh: &Mesh,
    processes: &[Process],
    before: &BTreeMap<String, u32>,
) -> Result<()> {
    let many = |process: &&Process| {
        process.restarts >= before.get(&process.name).unwrap_or(&0) + MANY_RESTARTS
    };
    let Some(process) = processes.iter().find(many) else {
        return Ok(());
    };
    let (name, code, last) = (
        &process.name,
        process.exit_code,
        last_lines(mesh, &process.name),
    );
    bail!("{name} ends again and again (exit code {code}); its log ends with\n{last}")
}

fn last_lines(mesh: &Mesh, process: &str) -> String {
    let lines = logs::tail(&mesh.log(process), 10);
    if lines.is_empty() {
        return "  (nothing)".to_owned();
    }
    lines
        .iter()
        .map(|line| format!("  {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

impl Watch<'_> {
    fn processes(&self) -> Result<Vec<Process>> {
        let processes = self.supervisor.processes();
        processes.context("the supervisor ended: run `cargo mesh up` again")
    }

    fn restarts(&self) -> Result<BTreeMap<String, u32>> {
        let processes = self.processes()?.into_iter();
        Ok(processes
            .map(|process| (process.name, process.restarts))
            .collect())
    }

    fn missing(&self, processes: &[Process]) -> Option<Missing> {
        unapplied(processes)
            .or_else(|| self.silent_program())
            .or_else(|| self.unknown_instance())
            .or_else(|| self.unhealthy_service())
            .or_else(|| self.closed_upstream())
            .or_else(|| self.unhearing_instance())
            .or_else(|| self.unanswered_service())
    }

    fn silent_program(&self) -> Option<Missing> {
        let silent = |(_, port): &&(&str, &str)| ports::is_free(self.mesh.port(port));
        let silent = LISTENERS.iter().find(silent).map(|(process, _)| *process);
        let closed = || (!documents::answers(self.mesh)).then_some(documents::NAME);
        let process = silent.or_else(closed)?;
        Some(missing(process, format!("{process} does not listen")))
    }

    /// Looks for an instance that the agent does not know. After a crash of Consul the catalogue still has all of them, until the
    /// agent, which begins without any, takes those away that have not come again.
    fn unknown_instance(&self) -> Option<Missing> {
        let known = self.consul.read("/v1/agent/services").unwrap_or_default();
        let mut instances = self.table.iter().flat_map(|(service, entry)| {
            let purposes = services::purposes(entry).iter();
            purposes.flat_map(move |purpose| purpose.instances(service, entry))
        });
        let unknown = instances.find(|instance| {
            let sidecar = format!("{instance}-sidecar-proxy");
            known[instance.as_str()].is_null() || known[sidecar.as_str()].is_null()
        })?;
        let why = format!("{unknown} is not registered with Consul");
        Some(missing(unknown, why))
    }

    fn unhealthy_service(&self) -> Option<Missing> {
        self.identities().find_map(|(service, wanted)| {
            let path = format!("/v1/health/connect/{service}?passing=true");
            let healthy = self.consul.read(&path).ok();
            let found = healthy
                .as_ref()
                .and_then(Value::as_array)
                .map_or(0, Vec::len);
            if found >= wanted {
                return None;
            }
            let why = format!("{service} is not ready ({found} of {wanted} instances in Consul)");
            Some(missing(format!("{service}-1"), why))
        })
    }

    /// Looks for a sidecar that does not listen yet for calls of its service to a peer.
    fn closed_upstream(&self) -> Option<Missing> {
        self.descriptions.iter().find_map(|service| {
            let entry = self.table.get(&service.name)?;
            let instances = services::purposes(entry)
                .iter()
                .flat_map(|purpose| purpose.instances(&service.name, entry));
            let instances: Vec<_> = instances.collect();
            let pairs = instances
                .iter()
                .flat_map(|instance| service.calls.iter().map(move |call| (instance, call)));
            let socket = |instance: &str, peer: &str| {
                self.mesh.run.join(instance).join(format!("{peer}.sock"))
            };
            let mut closed = pairs.filter(|(instance, call)| {
                UnixStream::connect(socket(instance, &call.service)).is_err()
            });
            let (instance, call) = closed.next()?;
            let why = format!(
                "the sidecar of {instance} does not listen for calls to {}",
                call.service
            );
            Some(missing(format!("{instance}-envoy"), why))
        })
    }

    /// Looks for an instance that does not hear yet what it has to: of keys and logged-out tokens, without which it would refuse
    /// whoever is signed in, or of events, which reach nobody before the queues of those are there that want them.
    fn unhearing_instance(&self) -> Option<Missing> {
        self.identities().find_map(|(service, _)| {
            let path = format!("/v1/health/service/{service}?passing=true");
            let healthy = self.consul.read(&path).ok()?;
            let mut instances = healthy.as_array()?.iter().map(|entry| &entry["Service"]);
            let checks_tokens = self.checks_tokens(&service);
            instances.find_map(|instance| {
                let why = unheard(&metrics_of(instance), checks_tokens)?;
                let id = instance["ID"].as_str().unwrap_or(&service);
                Some(missing(id, format!("{id} {why}")))
            })
        })
    }

    /// Everything that registers with Consul, and how many instances of it there are to be.
    fn identities(&self) -> impl Iterator<Item = (String, usize)> {
        self.table.iter().flat_map(|(service, entry)| {
            let kind = move |purpose: &Purpose| {
                let wanted = purpose.instances(service, entry).len();
                (purpose.identity(service), wanted)
            };
            services::purposes(entry).iter().map(kind)
        })
    }

    fn checks_tokens(&self, name: &str) -> bool {
        let mut calls = self
            .descriptions
            .iter()
            .filter(|service| service.name == name)
            .flat_map(|service| &service.calls);
        calls.any(|call| call.path == TOKENS)
    }

    fn unanswered_service(&self) -> Option<Missing> {
        self.descriptions.iter().find_map(|service| {
            let why = self.unanswered(service)?;
            let name = &service.name;
            Some(missing(
                "ingress",
                format!("{name} does not answer through the ingress ({why})"),
            ))
        })
    }

    /// Returns why a service does not answer through the ingress, or nothing when it does on every listener it has.
    fn unanswered(&self, service: &Description) -> Option<String> {
        service.listeners().into_iter().find_map(|listener| {
            let path = probe_path(service, listener)?;
            let port = self.mesh.port(listener_port(listener));
            match http::get(&Target::Port(port), &path) {
                Ok(answer) if is_from_service(&answer) => None,
                Ok(answer) => Some(format!("GET :{port}{path} is answered {}", answer.status)),
                Err(error) => Some(format!("GET :{port}{path}: {error}")),
            }
        })
    }
}

fn unapplied(processes: &[Process]) -> Option<Missing> {
    let setup = processes.iter().find(|process| process.name == "setup")?;
    let applied = setup.status == "Completed" && setup.exit_code == 0;
    (!applied).then(|| missing("setup", "Consul does not have its settings"))
}

/// What an instance says of itself; nothing when it does not answer.
fn metrics_of(instance: &Value) -> String {
    let port = instance["Meta"]["admin_port"].as_str();
    let port = port.and_then(|port| port.parse::<u16>().ok());
    let answer = port.map(|port| http::get(&Target::Port(port), "/metrics"));
    match answer {
        Some(Ok(metrics)) => metrics.text(),
        _ => String::new(),
    }
}

/// Returns what an instance does not hear of, by its own metrics.
fn unheard(metrics: &str, checks_tokens: bool) -> Option<&'static str> {
    let mut lines = metrics.lines();
    let hears = |line: &str| line.starts_with("tokens_stream_connected") && line.ends_with(" 1");
    if checks_tokens && !lines.any(hears) {
        return Some("cannot check tokens yet: it hears nothing from users");
    }
    // What publishes connects when there is something.
    let mut queues = metrics
        .lines()
        .filter(|line| line.starts_with("broker_connected") && !line.contains(r#"role="publish""#));
    let deaf = queues.any(|line| line.ends_with(" 0"));
    deaf.then_some("hears of no events yet: it waits for RabbitMQ")
}

/// Tells a service's answer from one that a proxy made: refused by an intention, no route, nobody there.
fn is_from_service(answer: &http::Answer) -> bool {
    // What the edge answers itself, it says so (RFC 9209).
    let passed_on = answer.header("proxy-status").is_none();
    passed_on && answer.status < 500 && answer.status != 403
}

/// Returns the name of an ingress listener's port.
fn listener_port(listener: &str) -> &str {
    if listener == PUBLIC {
        "ingress"
    } else {
        listener
    }
}

/// Returns a path that the service answers to GET on a listener, the simplest one it has.
pub fn probe_path(service: &Description, listener: &str) -> Option<String> {
    let routes = service
        .routes_on(listener)
        .filter(|route| route.method == "GET");
    let route = routes.min_by_key(|route| (route.params.len(), route.template.len()))?;
    let mut path = route.template.clone();
    for (name, kind) in &route.params {
        let value = if kind == "integer" { "1" } else { "x" };
        path = path.replace(&format!("{{{name}}}"), value);
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_stream_that_was_heard_counts() {
        let heard = "# TYPE tokens_stream_connected gauge\ntokens_stream_connected 1\n";
        assert_eq!(unheard(heard, true), None);
        for deaf in [
            "tokens_stream_connected 0\n",
            "# TYPE tokens_stream_connected gauge\nother 1\n",
        ] {
            assert!(unheard(deaf, true).is_some(), "{deaf}");
            assert_eq!(unheard(deaf, false), None);
        }
    }

    #[test]
    fn every_queue_of_an_instance_is_waited_for() {
        let link = |role: &str, up: u8| format!("broker_connected{{role=\"{role}\"}} {up}\n");
        let publishes = link("publish", 0);
        assert_eq!(unheard(&publishes, false), None);
        let all = publishes + &link("orders.purchases", 1);
        assert_eq!(unheard(&all, false), None);
        let deaf = all + &link("orders.others", 0);
        assert!(unheard(&deaf, false).is_some());
    }

    #[test]
    fn the_probe_takes_the_simplest_route_and_fills_it() {
        let service: Description = serde_json::from_value(json!({
            "name": "users",
            "routes": [
                { "method": "POST", "template": "/a" },
                { "method": "GET", "template": "/users/{id}/{name}", "params": { "id": "integer", "name": "string" } },
            ],
        }))
        .unwrap();
        assert_eq!(probe_path(&service, PUBLIC).as_deref(), Some("/users/1/x"));
        assert_eq!(probe_path(&service, "registry"), None);
    }
}
