//! Writes the settings of every program of a mesh, and the file that tells process-compose what to run.

pub mod postgres;
mod rabbitmq;
mod telemetry;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use crate::edge::{self, readers};
use crate::limits::Sockets;
use crate::mesh::{MARK, Mesh};
use crate::services::{self, Entry, Purpose};
use crate::{documents, random, scaling, secrets, setup, stores, template};

/// Writes everything and returns the supervisor's file.
pub fn write(mesh: &Mesh) -> Result<PathBuf> {
    for folder in [
        "logs",
        "data",
        "redis",
        "rabbitmq",
        "prometheus",
        "alertmanager",
        "documents",
        "monitoring",
    ] {
        secrets::private_folder(&mesh.state.join(folder))?;
    }
    write_program_settings(mesh)?;
    let file = mesh.state.join("process-compose.json");
    let project = json!({
        "version": "0.5",
        "is_strict": true,
        "disable_env_expansion": true,
        "ordered_shutdown": true,
        "log_configuration": log_settings(),
        "processes": processes(mesh)?,
    });
    secrets::write_private(&file, &serde_json::to_vec_pretty(&project)?)?;
    Ok(file)
}

/// Writes what those that watch are told.
pub fn write_monitoring_settings(mesh: &Mesh, values: &template::Values) -> Result<()> {
    telemetry::write(mesh, values)
}

/// Writes what the Consul agent is told.
pub fn write_agent_settings(mesh: &Mesh) -> Result<()> {
    let agent = template::fill(&read(mesh, "consul/agent.json")?, &mesh.values()?)?;
    secrets::write_private(
        &mesh.state.join("consul.json"),
        &serde_json::to_vec_pretty(&agent)?,
    )
}

fn write_program_settings(mesh: &Mesh) -> Result<()> {
    let values = mesh.values()?;
    write_agent_settings(mesh)?;
    telemetry::write(mesh, &values)?;
    let users = stores::filled(mesh, stores::redis::FILE)?;
    let redis = template::fill_text(REDIS, &values)? + &users;
    secrets::write_private(&mesh.state.join("redis.conf"), redis.as_bytes())?;
    scaling::write_plan(mesh)?;
    rabbitmq::write(mesh, &values)
}

/// Redis holds nothing that cannot be made again: a snapshot now and then is enough.
const REDIS: &str = "bind 127.0.0.1\nport ${port.redis}\nrequirepass ${secret.redis}\ndir ${state}/redis\n\
    save 300 1\nappendonly no\nmaxmemory 128mb\nmaxmemory-policy allkeys-lru\nloglevel warning\nset-proc-title no\n";

/// Returns the variables that a process of a mesh was started with.
pub fn environment(mesh: &Mesh, process: &str) -> Result<Vec<(String, String)>> {
    let file = mesh.state.join("process-compose.json");
    let file = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let project: Value = serde_json::from_slice(&file)?;
    let pairs = project["processes"][process]["environment"].as_array();
    let pairs = pairs.with_context(|| format!("no process is called {process}"))?;
    let pair = |pair: &Value| {
        let (name, value) = pair.as_str()?.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    };
    Ok(pairs.iter().filter_map(pair).collect())
}

/// Reads a file of the checkout.
pub fn read(mesh: &Mesh, name: &str) -> Result<String> {
    fs::read_to_string(mesh.checkout.join(name)).with_context(|| format!("cannot read {name}"))
}

fn log_settings() -> Value {
    json!({
        "no_metadata": true,
        "disable_json": true,
        "no_color": true,
        "fields_order": ["message"],
        "flush_each_line": true,
        "rotation": { "max_size_mb": 20, "max_backups": 2, "max_age_days": 7 },
    })
}

/// One process as the supervisor wants it.
struct Process {
    command: Vec<String>,
    environment: Vec<String>,
    depends_on: Vec<(String, &'static str)>,
    restart: &'static str,
    /// Whether it waits until somebody starts it.
    idle: bool,
}

impl Process {
    fn new(program: &Path, arguments: &[&str]) -> Self {
        let mut command = vec![program.to_string_lossy().into_owned()];
        command.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        Self {
            command,
            environment: Vec::new(),
            depends_on: Vec::new(),
            restart: "always",
            idle: false,
        }
    }

    fn env(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.environment.push(format!("{name}={}", value.as_ref()));
        self
    }

    fn after(mut self, process: impl Into<String>, condition: &'static str) -> Self {
        self.depends_on.push((process.into(), condition));
        self
    }

    fn idle(mut self, idle: bool) -> Self {
        self.idle = idle;
        self
    }

    fn into_value(self, mesh: &Mesh, name: &str) -> Value {
        let mut environment = self.environment;
        environment.push(format!("{MARK}={}", mesh.state.display()));
        let depends: Map<_, _> = self
            .depends_on
            .into_iter()
            .map(|(on, when)| (on, json!({ "condition": when })))
            .collect();
        json!({
            "disabled": self.idle,
            "entrypoint": self.command,
            "environment": environment,
            "depends_on": depends,
            "working_dir": mesh.state,
            "log_location": mesh.log(name),
            "log_configuration": log_settings(),
            "availability": { "restart": self.restart, "backoff_seconds": 1 },
            "shutdown": { "signal": 15, "timeout_seconds": 12 },
        })
    }
}

const STARTED: &str = "process_started";
const DONE: &str = "process_completed_successfully";

fn processes(mesh: &Mesh) -> Result<Value> {
    let mut all = infrastructure(mesh)?;
    let table = mesh.table()?;
    for (service, entry) in &table {
        for purpose in services::purposes(entry) {
            let spares = scaling::spares(*purpose, service, entry);
            for instance in purpose.instances(service, entry).iter().chain(&spares) {
                let sidecar = format!("{instance}-envoy");
                let idle = spares.contains(instance);
                let process = application(mesh, service, *purpose, instance, entry)?;
                all.push((
                    instance.clone(),
                    process.after(&sidecar, STARTED).idle(idle),
                ));
                let identity = purpose.identity(service);
                let held = own_sockets(service, entry).filter(|_| *purpose == Purpose::Serve);
                all.push((sidecar, proxy(mesh, &identity, instance, held).idle(idle)));
            }
        }
    }
    // A listener more is one that a running Envoy does not have.
    let edge = edge::registration(mesh)?.to_string();
    let edge = format!("{:016x}", random::fingerprint([edge.as_bytes()]));
    let held = table.iter().filter_map(|(service, entry)| {
        let mut sockets = own_sockets(service, entry)?;
        sockets.number *= u32::from(scaling::most(entry));
        Some(sockets)
    });
    let ingress = proxy(mesh, "ingress", "ingress", held).env("PLAZA_SETTINGS", edge);
    all.push(("ingress".to_owned(), ingress));
    if mesh.name == "test" {
        all.extend(suite_stores(mesh)?);
    }
    Ok(Value::Object(
        all.into_iter()
            .map(|(name, process)| (name.clone(), process.into_value(mesh, &name)))
            .collect(),
    ))
}

fn infrastructure(mesh: &Mesh) -> Result<Vec<(String, Process)>> {
    let state = mesh.state.display();
    let own = mesh.binary("mesh");
    let consul = Process::new(&own, &["agent", "--state", &state.to_string()]);
    let fingerprint = |file: &str| file_fingerprint(&mesh.state.join(file));
    let setup = Process {
        restart: "on_failure",
        ..Process::new(&own, &["setup", "--state", &state.to_string()])
    };
    let redis = Process::new(mesh.program("redis")?, &[&format!("{state}/redis.conf")]);
    let documents = Process::new(
        mesh.program("documents")?,
        &[
            "-socket",
            &documents::socket(mesh).to_string_lossy(),
            "-dir",
            &format!("{state}/documents"),
        ],
    );
    Ok(vec![
        (
            "consul".to_owned(),
            consul
                .env("GOGC", "60")
                .env("GOMEMLIMIT", "160MiB")
                .env("PLAZA_SETTINGS", fingerprint("consul.json")?),
        ),
        (
            "setup".to_owned(),
            setup
                .env("PLAZA_SETTINGS", settings_fingerprint(mesh)?)
                .env(readers::ORIGINS, readers::allowed_origins(mesh))
                .env(readers::HOPS, readers::hops())
                .after("consul", STARTED),
        ),
        (
            "redis".to_owned(),
            redis.env("PLAZA_SETTINGS", fingerprint("redis.conf")?),
        ),
        (
            "documents".to_owned(),
            documents.env("GOGC", "60").env("GOMEMLIMIT", "96MiB"),
        ),
        ("rabbitmq".to_owned(), rabbitmq::process(mesh)?),
        ("mail".to_owned(), mail(mesh)?),
        ("jaeger".to_owned(), telemetry::jaeger(mesh)?),
        ("prometheus".to_owned(), telemetry::prometheus(mesh)?),
        ("alertmanager".to_owned(), telemetry::alertmanager(mesh)?),
        (
            "keeper".to_owned(),
            Process::new(&own, &["keeper", "--state", &state.to_string()])
                .env(readers::ORIGINS, readers::allowed_origins(mesh))
                .env(readers::HOPS, readers::hops())
                .after("setup", DONE),
        ),
        ("autoscaler".to_owned(), autoscaler(mesh)?),
    ])
}

/// Runs as many instances as the load needs.
fn autoscaler(mesh: &Mesh) -> Result<Process> {
    let binary = mesh.binary("autoscaler");
    let plan = scaling::plan_file(mesh).to_string_lossy().into_owned();
    let admin = format!("127.0.0.1:{}", mesh.port("autoscaler"));
    let process = Process::new(&binary, &["--plan", &plan, "--admin", &admin]);
    Ok(process
        .env("PLAZA_BUILD", build_fingerprint(&binary)?)
        .after("setup", DONE))
}

/// Takes every mail that services send, and shows it.
fn mail(mesh: &Mesh) -> Result<Process> {
    let on = |name: &str| format!("127.0.0.1:{}", mesh.port(name));
    let arguments = ["-smtp", &on("mail"), "-http", &on("mail_page")];
    Ok(Process::new(mesh.program("mail")?, &arguments)
        .env("GOGC", "60")
        .env("GOMEMLIMIT", "32MiB"))
}

fn application(
    mesh: &Mesh,
    service: &str,
    purpose: Purpose,
    instance: &str,
    entry: &Entry,
) -> Result<Process> {
    let secrets = mesh.secrets()?;
    let binary = mesh.binary(service);
    let upstreams = mesh.run.join(instance);
    secrets::private_folder(&upstreams)?;
    let data = mesh.state.join("data").join(service);
    secrets::private_folder(&data)?;
    let token = Mesh::token_name(&purpose.identity(service));
    secrets.get(&token)?;
    let mut process = Process::new(&binary, &[purpose.command()])
        .env("PLAZA_INSTANCE", instance)
        .env("HTTP_ADDR", mesh.application(instance))
        .env("ADMIN_ADDR", "127.0.0.1:0")
        .env(
            "CONSUL_HTTP_ADDR",
            format!("http://127.0.0.1:{}", mesh.port("consul_http")),
        )
        .env(
            "CONSUL_HTTP_TOKEN_FILE",
            secrets.path(&token).to_string_lossy(),
        )
        .env(
            "CONSUL_DNS_ADDR",
            format!("127.0.0.1:{}", mesh.port("consul_dns")),
        )
        .env("UPSTREAMS_DIR", upstreams.to_string_lossy())
        .env("DATA_DIR", data.to_string_lossy())
        .env("MONGODB_URL", documents::url(mesh))
        .env("REDIS_URL", mesh.cache_of(service, "redis.service.consul")?)
        .env(
            "AMQP_URL",
            mesh.broker_of(service, "rabbitmq.service.consul")?,
        )
        .env(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            format!("http://127.0.0.1:{}", mesh.port("otlp")),
        )
        .env("PORTAL_LINKS", links(mesh))
        .env(readers::ORIGINS, readers::allowed_origins(mesh))
        .env("PLAZA_BUILD", build_fingerprint(&binary)?)
        .after("setup", DONE);
    if purpose == Purpose::Serve && entry.workers > 0 {
        process = process.env("ROLES", "none");
    }
    if let Some(sockets) = entry.sockets {
        let name = format!("{}_SOCKETS", service.to_uppercase());
        process = process.env(&name, sockets.to_string());
    }
    for (name, value) in entry.env.iter().chain(&entry.development_env) {
        process = process.env(name, value);
    }
    let of_tests = entry.test_env.iter().filter(|_| mesh.name == "test");
    for (name, value) in of_tests {
        process = process.env(name, value);
    }
    if mesh.name == "test" && postgres::SERVICES.contains(&service) {
        let name = format!("{}_DATABASE_URL", service.to_uppercase());
        process = process.env(&name, format!("{}/{service}", postgres::url(mesh)));
    }
    Ok(process)
}

/// What the operators' page links to.
fn links(mesh: &Mesh) -> String {
    let tools = [
        ("Consul", "consul_http", "/ui/"),
        ("Prometheus", "prometheus", "/targets"),
        ("Alerts", "alertmanager", "/"),
        ("Jaeger", "jaeger", "/api/services"),
        ("Mail", "mail_page", "/"),
    ];
    tools
        .map(|(name, port, path)| format!("{name}=http://127.0.0.1:{}{path}", mesh.port(port)))
        .join(",")
}

/// The sockets that an instance of a service holds.
fn own_sockets(service: &str, entry: &Entry) -> Option<Sockets> {
    entry.sockets.map(|number| Sockets {
        service: service.to_owned(),
        number,
    })
}

fn proxy(
    mesh: &Mesh,
    service: &str,
    instance: &str,
    sockets: impl IntoIterator<Item = Sockets>,
) -> Process {
    let own = mesh.binary("mesh");
    let state = mesh.state.to_string_lossy();
    let arguments = [
        "proxy",
        "--state",
        &state,
        "--service",
        service,
        "--instance",
        instance,
    ];
    let mut process = Process::new(&own, &arguments);
    for sockets in sockets {
        process
            .command
            .extend(["--sockets".to_owned(), sockets.flag()]);
    }
    process.after("setup", DONE)
}

/// Stores that suites run on: Postgres, and the document store on both of its backends.
fn suite_stores(mesh: &Mesh) -> Result<Vec<(String, Process)>> {
    let listen = |name: &str| format!("127.0.0.1:{}", mesh.port(name));
    let program = mesh.program("documents")?;
    let folder = mesh.state.join("suite").to_string_lossy().into_owned();
    let sqlite = Process::new(
        program,
        &["-listen", &listen("suite_sqlite"), "-dir", &folder],
    );
    let url = format!("{}/postgres", postgres::url(mesh));
    let on_postgres = ["-listen", &listen("suite_postgres"), "-postgres", &url];
    let on_postgres = Process::new(program, &on_postgres).after("postgres", STARTED);
    Ok(vec![
        ("postgres".to_owned(), postgres::process(mesh)?),
        ("suite-sqlite".to_owned(), sqlite),
        ("suite-postgres".to_owned(), on_postgres),
    ])
}

/// Changes when a file's content does.
fn file_fingerprint(path: &Path) -> Result<String> {
    let content = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(format!(
        "{:016x}",
        random::fingerprint([content.as_slice()])
    ))
}

/// Changes when a binary does: by its size and time, since reading a gigabyte of them would take longer than the mesh to start.
fn build_fingerprint(binary: &Path) -> Result<String> {
    let metadata = fs::metadata(binary);
    let metadata = metadata.with_context(|| format!("cannot read {}", binary.display()))?;
    let (time, size) = (metadata.modified()?, metadata.len());
    let time = time.duration_since(UNIX_EPOCH)?.as_nanos();
    Ok(format!("{size:x}-{time:x}"))
}

/// Changes when anything under `consul/` or in the table of services does, so that a running mesh applies it.
fn settings_fingerprint(mesh: &Mesh) -> Result<String> {
    let mut parts = vec![fs::read(mesh.checkout.join("mesh/services.toml"))?];
    let folder = mesh.checkout.join("consul");
    let mut files = setup::entry_files(&folder);
    for folder in ["policies", "ingress"] {
        let entries = fs::read_dir(mesh.checkout.join("consul").join(folder))?;
        files.extend(entries.filter_map(Result::ok).map(|entry| entry.path()));
    }
    files.push(folder.join("infrastructure.json"));
    files.sort();
    for file in files {
        parts.push(file.as_os_str().as_encoded_bytes().to_vec());
        parts.push(fs::read(&file)?);
    }
    Ok(format!(
        "{:016x}",
        random::fingerprint(parts.iter().map(Vec::as_slice))
    ))
}
