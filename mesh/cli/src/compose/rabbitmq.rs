//! The broker of a mesh.

use anyhow::Result;

use super::{Process, file_fingerprint};
use crate::{
    mesh::Mesh,
    secrets, stores,
    template::{self, Values},
};

/// The broker holds events that are on their way, on disk; what a person needs to see is in the metrics of the services.
const RABBITMQ: &str = "listeners.tcp.default = 127.0.0.1:${port.rabbitmq}\nload_definitions = ${state}/rabbitmq.json\n\
    raft.wal_max_size_bytes = 16777216\ndisk_free_limit.absolute = 200MB\n\
    log.console = true\nlog.console.level = warning\nlog.file = false\n";

/// Writes its settings.
pub fn write(mesh: &Mesh, values: &Values) -> Result<()> {
    let definitions = stores::filled(mesh, stores::rabbitmq::FILE)?;
    secrets::write_private(&mesh.state.join("rabbitmq.json"), definitions.as_bytes())?;
    let settings = template::fill_text(RABBITMQ, values)?;
    // The suites leave some thousand queues behind, each with a process of its own.
    let memory = if mesh.name == "test" {
        "1GiB"
    } else {
        "256MiB"
    };
    let settings = format!("{settings}vm_memory_high_watermark.absolute = {memory}\n");
    secrets::write_private(&mesh.state.join("rabbitmq.conf"), settings.as_bytes())?;
    secrets::write_private(&mesh.state.join("rabbitmq.plugins"), b"[].\n")
}

/// Changes when the broker has to start again to know its settings, or whom and what it shall know.
fn settings(mesh: &Mesh) -> Result<String> {
    let of = |name: &str| file_fingerprint(&mesh.state.join(name));
    Ok(format!("{} {}", of("rabbitmq.conf")?, of("rabbitmq.json")?))
}

/// A node of its own, with its own port mapper: a system-wide RabbitMQ may run beside it.
pub fn process(mesh: &Mesh) -> Result<Process> {
    let folder = mesh.state.join("rabbitmq");
    let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let file = |name: &str| mesh.state.join(name).to_string_lossy().into_owned();
    // One scheduler that does not spin, and nobody but this machine may join the node.
    let erlang = "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}";
    Ok(Process::new(mesh.program("rabbitmq")?, &[])
        .env("HOME", folder.to_string_lossy())
        .env("RABBITMQ_NODENAME", "plaza@localhost")
        .env(
            "RABBITMQ_DIST_PORT",
            mesh.port("rabbitmq_nodes").to_string(),
        )
        .env("RABBITMQ_MNESIA_BASE", path("data"))
        .env("RABBITMQ_LOG_BASE", path("logs"))
        .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
        .env("RABBITMQ_CONFIG_FILE", file("rabbitmq"))
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", file("rabbitmq.plugins"))
        .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", erlang)
        .env("ERL_EPMD_ADDRESS", "127.0.0.1")
        .env("ERL_EPMD_PORT", mesh.port("rabbitmq_names").to_string())
        .env("PLAZA_SETTINGS", settings(mesh)?))
}
