//! Keeps Consul and Prometheus in step with the mesh while it runs.
//!
//! What cannot register itself (stores, telemetry, the ingress, metrics of Envoys) is registered again when Consul lost it in a
//! restart, and Consul is told of the document store, at which it cannot look. And Prometheus's targets are written to a file that it
//! watches: Debian's Prometheus is built without discovery by Consul, so this asks Consul in its place and writes what that would find,
//! with the same labels.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use crate::consul::{self, Consul};
use crate::mesh::Mesh;
use crate::{documents, proxy, secrets, setup, supervisor};

/// How often Consul is asked.
const EVERY: Duration = Duration::from_secs(2);

/// Bytes of the supervisor's own logs: as long as those of processes.
const LONGEST_LOG: u64 = 20 * 1024 * 1024;

/// Returns the file with the targets.
pub fn file(mesh: &Mesh) -> PathBuf {
    mesh.state.join("monitoring/targets.json")
}

/// Works until it is ended.
pub fn run(mesh: &Mesh) -> Result<ExitCode> {
    let consul = consul::with_token_file(
        mesh.target("consul_http"),
        &mesh.secrets()?.path("prometheus"),
    )?;
    loop {
        if let Err(error) = keep(mesh, &consul) {
            eprintln!("{error:#}");
        }
        std::thread::sleep(EVERY);
    }
}

fn keep(mesh: &Mesh, consul: &Consul) -> Result<()> {
    for name in supervisor::LOGS {
        empty_when_long(&mesh.log(name), LONGEST_LOG)?;
    }
    let services = consul.read("/v1/agent/services")?;
    if services.get("ingress").is_none() {
        setup::register_infrastructure(mesh)?;
    }
    proxy::register_lost(mesh, &services)?;
    documents::report(mesh)?;
    write_when_changed(mesh, &targets(&services))
}

/// Empties a log that nobody rotates. Those who write it append, so that they go on at its beginning.
fn empty_when_long(log: &Path, limit: u64) -> Result<()> {
    match fs::metadata(log) {
        Ok(found) if found.len() > limit => File::options()
            .write(true)
            .open(log)
            .and_then(|file| file.set_len(0))
            .with_context(|| format!("cannot empty {}", log.display())),
        _ => Ok(()),
    }
}

fn write_when_changed(mesh: &Mesh, targets: &Value) -> Result<()> {
    let (path, content) = (file(mesh), serde_json::to_vec_pretty(targets)?);
    if fs::read(&path).is_ok_and(|before| before == content) {
        return Ok(());
    }
    secrets::write_private(&path, &content).context("cannot write the targets")
}

fn targets(services: &Value) -> Value {
    let groups = services.as_object().into_iter().flatten().map(|(id, service)| {
        let text = |name: &str| service[name].as_str().unwrap_or_default().to_owned();
        let mut labels = Map::new();
        labels.insert("__meta_consul_service".to_owned(), json!(text("Service")));
        labels.insert("__meta_consul_service_id".to_owned(), json!(id));
        labels.insert("__meta_consul_service_address".to_owned(), json!(text("Address")));
        for (key, value) in service["Meta"].as_object().into_iter().flatten() {
            labels.insert(format!("__meta_consul_service_metadata_{}", label(key)), value.clone());
        }
        json!({ "targets": [format!("{}:{}", text("Address"), service["Port"])], "labels": labels })
    });
    Value::Array(groups.collect())
}

fn label(key: &str) -> String {
    key.chars()
        .map(|character| {
            if character.is_ascii_alphanumeric() {
                character
            } else {
                '_'
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_log_that_nobody_rotates_begins_again_where_it_is_too_long() {
        let log = std::env::temp_dir().join(format!("plaza-log-{}", std::process::id()));
        let mut writer = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        writer.write_all(b"0123456789").unwrap();

        empty_when_long(&log, 10).unwrap();
        assert_eq!(fs::read(&log).unwrap(), b"0123456789");
        empty_when_long(&log, 9).unwrap();
        writer.write_all(b"after").unwrap();

        assert_eq!(fs::read(&log).unwrap(), b"after");
        fs::remove_file(&log).unwrap();
    }

    #[test]
    fn a_service_becomes_a_target_with_the_labels_of_consuls_discovery() {
        let services = json!({ "users-1": { "Service": "users", "Address": "127.0.0.1", "Port": 1, "Meta": { "admin-port": "2" } } });

        let targets = targets(&services);

        assert_eq!(targets[0]["targets"][0], "127.0.0.1:1");
        assert_eq!(
            targets[0]["labels"]["__meta_consul_service_metadata_admin_port"],
            "2"
        );
        assert_eq!(targets[0]["labels"]["__meta_consul_service_id"], "users-1");
    }
}
