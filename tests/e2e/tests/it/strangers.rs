//! Claim: another user's process on the same machine reaches no application, no document store, and nothing else that
//! has data but by its credentials. What is open by design is named here, and anything that listens beside it is a failure.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write as _,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use testkit::{
    Mesh,
    mesh::{Running, processes},
};

/// What the stranger runs.
const STRANGER: &str = include_str!("stranger.py");
/// Whom nothing belongs to.
const NOBODY: &str = "65534";

/// The doors for everybody.
const DOORS: &[&str] = &["ingress", "registry"];
/// Pages of those who develop: figures, traces and mails of their own machine, without a password. In production they
/// are not published, or have one. And names of services and nodes, by DNS and by Erlang's own (`rabbitmq_names`).
const OPEN: &[&str] = &[
    "alertmanager",
    "autoscaler",
    "consul_dns",
    "jaeger",
    "jaeger_admin",
    "mail",
    "mail_page",
    "otlp",
    "prometheus",
    "rabbitmq_names",
];
/// What asks for a credential before it tells anything: a token, a password, a key.
const ASKING: &[&str] = &[
    "consul_grpc",
    "consul_http",
    "consul_serf",
    "consul_server",
    "rabbitmq",
    "rabbitmq_nodes",
    "redis",
];
/// Stores that only a mesh of tests has.
const OF_TESTS: &[&str] = &["postgres", "suite_postgres", "suite_sqlite"];

/// What listens of the mesh.
struct Listeners {
    /// Names of programs by port.
    ports: BTreeMap<u16, String>,
    sockets: BTreeSet<PathBuf>,
}

impl Listeners {
    fn of(mesh: &Mesh) -> Self {
        let (ports, sockets) = (listening_ports(), listening_sockets());
        let mut found = Self {
            ports: BTreeMap::new(),
            sockets: BTreeSet::new(),
        };
        for process in processes(&mesh.state) {
            for inode in inodes(&process) {
                if let Some(port) = ports.get(&inode) {
                    found.ports.insert(*port, process.program.clone());
                }
                found.sockets.extend(sockets.get(&inode).cloned());
            }
        }
        found
    }
}

/// The sockets that a process has open.
fn inodes(process: &Running) -> Vec<u64> {
    let open = fs::read_dir(format!("/proc/{}/fd", process.id));
    let links = open.into_iter().flatten();
    let links = links.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let inodes = links.filter_map(|link| {
        let inode = link.to_str()?.strip_prefix("socket:[")?;
        inode.trim_end_matches(']').parse().ok()
    });
    inodes.collect()
}

/// Ports of this machine on which somebody listens, by inode.
fn listening_ports() -> BTreeMap<u64, u16> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let tables = tables.map(|table| fs::read_to_string(table).unwrap_or_default());
    let rows = tables.iter().flat_map(|table| table.lines().skip(1));
    let listening = rows.filter_map(|row| {
        let fields: Vec<_> = row.split_whitespace().collect();
        let (_, port) = fields[1].rsplit_once(':')?;
        let port = u16::from_str_radix(port, 16).ok()?;
        (fields[3] == "0A").then(|| (fields[9].parse().unwrap(), port))
    });
    listening.collect()
}

/// Unix sockets of this machine on which somebody listens, by inode.
fn listening_sockets() -> BTreeMap<u64, PathBuf> {
    let table = fs::read_to_string("/proc/net/unix").unwrap();
    let listening = table.lines().skip(1).filter_map(|row| {
        let fields: Vec<_> = row.split_whitespace().collect();
        // Flags: it accepts connections.
        (fields[3] == "00010000").then(|| {
            let path = fields.get(7).copied().unwrap_or("without a name");
            (fields[6].parse().unwrap(), path.into())
        })
    });
    listening.collect()
}

/// What a process of another user finds, which only root may start.
fn stranger(wanted: &Value) -> Value {
    let root = fs::metadata("/proc/self").map(|own| std::os::unix::fs::MetadataExt::uid(&own));
    let as_nobody = ["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"];
    let mut command = if root.unwrap() == 0 {
        Command::new("setpriv")
    } else {
        let mut command = Command::new("sudo");
        command.args(["--non-interactive", "setpriv"]);
        command
    };
    command.args(as_nobody).args(["python3", "-c", STRANGER]);
    // A Python in the home of whoever runs the tests is none that others may run.
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin");
    command.current_dir("/").stdin(Stdio::piped());
    let started = command.stdout(Stdio::piped()).spawn();
    let mut running =
        started.expect("root, or sudo without a password, starts another user's process");
    let mut input = running.stdin.take().unwrap();
    input.write_all(wanted.to_string().as_bytes()).unwrap();
    drop(input);
    let output = running.wait_with_output().unwrap();
    assert!(output.status.success(), "the stranger ended early");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Why what came back from a port is more than a stranger may have.
fn too_much(found: &Value) -> Option<&'static str> {
    let text = |probe: &str| found[probe].as_str().unwrap_or_default().to_lowercase();
    // An Envoy answers calls that it has no way for in the words of gRPC too, and says who it is.
    let is_rpc = |answer: &str| {
        let of_rpc = answer.contains("grpc-status") || answer.contains("application/grpc");
        of_rpc && !answer.contains("server: envoy")
    };
    // Every application, and nothing else, explains itself so.
    if text("nowhere").contains("application/problem+json") {
        return Some("an application answers");
    }
    if is_rpc(&text("rpc")) {
        return Some("an application takes calls");
    }
    // Pages of tools answer each path with themselves; the catalogue is a list.
    let products = text("products");
    let (head, body) = products.split_once("\r\n\r\n").unwrap_or_default();
    if head.starts_with("http/1.1 200") && body.starts_with('[') {
        return Some("it shows the catalogue");
    }
    text("mongo")
        .contains("maxbsonobjectsize")
        .then_some("a document store answers")
}

#[tokio::test]
async fn another_users_process_reaches_nothing_but_the_doors() {
    let mesh = Mesh::current();
    let listeners = Listeners::of(mesh);
    let run = Path::new(mesh.address("process_compose")).parent().unwrap();
    let found = tokio::task::spawn_blocking({
        let ports: Vec<_> = listeners.ports.keys().copied().collect();
        let wanted = json!({
            "ports": ports, "sockets": listeners.sockets, "folders": [mesh.state, run],
        });
        move || stranger(&wanted)
    });
    let found = found.await.unwrap();
    assert_eq!(found["user"].to_string(), NOBODY);

    for (path, answer) in found["sockets"].as_object().unwrap() {
        assert_eq!(answer, "PermissionError", "{path}");
    }
    for (path, answer) in found["folders"].as_object().unwrap() {
        assert_eq!(answer, "PermissionError", "{path}");
    }
    let names: BTreeMap<u16, &str> = mesh
        .ports
        .iter()
        // The bounds of a range: who listens there is a sidecar like any other.
        .filter(|(name, _)| !name.starts_with("sidecar_"))
        .map(|(name, port)| (*port, name.as_str()))
        .collect();
    let mut open = Vec::new();
    for (port, program) in &listeners.ports {
        let (answers, name) = (&found["ports"][port.to_string()], names.get(port).copied());
        if name.is_some_and(|name| DOORS.contains(&name) || OF_TESTS.contains(&name)) {
            continue;
        }
        if let Some(why) = too_much(answers) {
            open.push(format!("{program} on {port} ({name:?}): {why}"));
        }
        let known = match name {
            Some(name) => ASKING.contains(&name) || OPEN.contains(&name),
            // Sidecars, with metrics of their own; and what operators are told of an application.
            None => {
                ["envoy", "jaeger"].contains(&program.as_str())
                    || mesh.services.contains_key(program)
            }
        };
        if !known {
            open.push(format!(
                "{program} listens on {port} ({name:?}), which nobody has named here"
            ));
        }
    }
    assert!(open.is_empty(), "{open:#?}");
    asks_for_credentials(mesh, &found["ports"]);
}

/// Whoever has data asks who wants it.
fn asks_for_credentials(mesh: &Mesh, found: &Value) {
    let of = |name: &str| &found[mesh.ports[name].to_string()];
    let redis = of("redis")["redis"].as_str().unwrap();
    assert!(redis.starts_with("-NOAUTH"), "{redis}");
    assert_eq!(of("rabbitmq")["amqp"], false, "guest is nobody's name");
    let consul = of("consul_http")["services"].as_str().unwrap();
    let (_, services) = consul.split_once("\r\n\r\n").unwrap();
    let nothing = services.trim().ends_with("{}") || consul.contains("403");
    assert!(nothing, "{consul}");
}

#[tokio::test]
async fn applications_and_the_document_store_are_on_sockets_which_their_owner_reaches() {
    let mesh = Mesh::current();
    let sockets = Listeners::of(mesh).sockets;
    let run = Path::new(mesh.address("process_compose")).parent().unwrap();
    let instances = mesh.services.values().flat_map(|entry| &entry.instances);
    let applications = instances.map(|instance| run.join(instance).join("application.sock"));
    for socket in applications.chain([run.join("documents/documents.sock")]) {
        assert!(
            sockets.contains(&socket),
            "nobody listens on {}",
            socket.display()
        );
        UnixStream::connect(socket).unwrap();
    }
}
