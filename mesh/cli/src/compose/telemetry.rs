//! What watches a mesh: Prometheus with its rules, Alertmanager, Jaeger.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::{Process, file_fingerprint, read};
use crate::mesh::Mesh;
use crate::template::{self, Values};
use crate::{observe, random, secrets, setup};

/// Where Jaeger and Prometheus begin to save memory. Well above what they keep under load: near it, collecting garbage takes half a
/// core of a machine that has two (5,000 traces of comments are 200 MiB).
const MEMORY: &str = "512MiB";

/// Writes its settings.
pub fn write(mesh: &Mesh, values: &Values) -> Result<()> {
    for (source, name) in [
        (observe::PROMETHEUS, "prometheus.yml"),
        (observe::ALERTMANAGER, "alertmanager.yml"),
    ] {
        let settings = template::fill_text(&read(mesh, source)?, values)?;
        secrets::write_private(&mesh.state.join(name), settings.as_bytes())?;
    }
    // A copy of its own: a running mesh does not follow the checkout.
    let folder = rules(mesh);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    secrets::private_folder(&folder)?;
    for rules in setup::files(&mesh.checkout.join(observe::RULES), "yaml") {
        let name = rules.file_name().context("a file has a name")?;
        secrets::write_private(&folder.join(name), &fs::read(&rules)?)?;
    }
    Ok(())
}

/// Returns where the rules are that Prometheus reads.
fn rules(mesh: &Mesh) -> PathBuf {
    mesh.state.join("monitoring/rules")
}

/// Keeps traces, in memory.
pub fn jaeger(mesh: &Mesh) -> Result<Process> {
    let on = |port: u16| format!("127.0.0.1:{port}");
    let arguments = [
        format!("--collector.otlp.grpc.host-port={}", on(mesh.port("otlp"))),
        format!("--collector.otlp.http.host-port={}", on(0)),
        format!("--collector.grpc-server.host-port={}", on(0)),
        format!("--collector.http-server.host-port={}", on(0)),
        format!("--http-server.host-port={}", on(0)),
        format!("--query.http-server.host-port={}", on(mesh.port("jaeger"))),
        format!("--query.grpc-server.host-port={}", on(0)),
        format!("--admin.http.host-port={}", on(mesh.port("jaeger_admin"))),
        // Listeners of the old agent, which cannot be switched off: loopback, any port.
        format!("--processor.jaeger-binary.server-host-port={}", on(0)),
        format!("--processor.jaeger-compact.server-host-port={}", on(0)),
        format!("--processor.zipkin-compact.server-host-port={}", on(0)),
        "--memory.max-traces=5000".to_owned(),
        "--log-level=warn".to_owned(),
    ];
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    Ok(Process::new(mesh.program("jaeger")?, &arguments)
        .env("GOGC", "60")
        .env("GOMEMLIMIT", MEMORY))
}

/// Keeps figures, and knows when somebody has to be told.
pub fn prometheus(mesh: &Mesh) -> Result<Process> {
    let state = mesh.state.display();
    let arguments = [
        format!("--config.file={state}/prometheus.yml"),
        format!("--storage.tsdb.path={state}/prometheus"),
        "--storage.tsdb.retention.time=2d".to_owned(),
        "--storage.tsdb.retention.size=512MB".to_owned(),
        "--storage.tsdb.max-block-chunk-segment-size=16MB".to_owned(),
        format!("--web.listen-address=127.0.0.1:{}", mesh.port("prometheus")),
        "--log.level=warn".to_owned(),
        "--log.format=json".to_owned(),
    ];
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let mut settings = vec![fs::read(mesh.state.join("prometheus.yml"))?];
    for rules in setup::files(&rules(mesh), "yaml") {
        settings.push(fs::read(rules)?);
    }
    let settings = random::fingerprint(settings.iter().map(Vec::as_slice));
    let process = Process::new(mesh.program("prometheus")?, &arguments);
    Ok(process
        .env("GOGC", "60")
        .env("GOMEMLIMIT", MEMORY)
        .env("PLAZA_SETTINGS", format!("{settings:016x}")))
}

/// Tells people: by mail, which the mail catcher keeps.
pub fn alertmanager(mesh: &Mesh) -> Result<Process> {
    let state = mesh.state.display();
    let arguments = [
        format!("--config.file={state}/alertmanager.yml"),
        format!("--storage.path={state}/alertmanager"),
        format!(
            "--web.listen-address=127.0.0.1:{}",
            mesh.port("alertmanager")
        ),
        // One of its kind needs no peers.
        "--cluster.listen-address=".to_owned(),
        "--log.level=warn".to_owned(),
        "--log.format=json".to_owned(),
    ];
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let settings = file_fingerprint(&mesh.state.join("alertmanager.yml"))?;
    let process = Process::new(mesh.program("alertmanager")?, &arguments);
    Ok(process
        .env("GOGC", "60")
        .env("GOMEMLIMIT", "32MiB")
        .env("PLAZA_SETTINGS", settings))
}
