//! The document store of a mesh on one machine. It asks nobody who they are, so it listens on a Unix socket that only the
//! mesh's own processes reach; in containers MongoDB is in its place, on a port and with a password.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::consul::Consul;
use crate::mesh::Mesh;

/// Its name, and its id, in Consul.
pub const NAME: &str = "documents";
/// Consul counts it as lost when nothing was heard of it for so long: some rounds of the keeper.
const TTL: &str = "30s";

/// Returns where it listens: in a folder of its own, which the program makes.
pub fn socket(mesh: &Mesh) -> PathBuf {
    mesh.run.join(NAME).join("documents.sock")
}

/// Returns its URL, in which the path of the socket stands for a host.
pub fn url(mesh: &Mesh) -> String {
    let path = socket(mesh).display().to_string();
    format!("mongodb://{}/", path.replace('/', "%2F"))
}

/// Returns whether it takes connections.
pub fn answers(mesh: &Mesh) -> bool {
    UnixStream::connect(socket(mesh)).is_ok()
}

/// Returns what Consul is told of it.
pub fn registration(mesh: &Mesh) -> Value {
    if mesh.hosts.contains_key(NAME) {
        let (host, port) = (mesh.host(NAME), mesh.port(NAME));
        return json!({
            "ID": NAME,
            "Name": NAME,
            "Address": host,
            "Port": port,
            "Check": { "Name": "accepts connections", "TCP": format!("{host}:{port}"), "Interval": "10s", "Timeout": "1s", "Status": "passing" },
        });
    }
    json!({
        "ID": NAME,
        "Name": NAME,
        "SocketPath": socket(mesh),
        "Check": { "CheckID": NAME, "Name": "accepts connections", "TTL": TTL, "Status": "passing" },
    })
}

/// Tells Consul, which cannot look at a socket itself, how it is.
pub fn report(mesh: &Mesh) -> Result<()> {
    if mesh.hosts.contains_key(NAME) {
        return Ok(());
    }
    let management = mesh.secrets()?.get("management")?;
    let consul = Consul::new(mesh.target("consul_http"), management);
    let status = if answers(mesh) { "passing" } else { "critical" };
    let path = format!("/v1/agent/check/update/{NAME}");
    let answer = consul.call("PUT", &path, &json!({ "Status": status }))?;
    if !answer.is_success() {
        bail!(
            "Consul answers {} to {path}: {}",
            answer.status,
            answer.text()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn mesh(hosts: BTreeMap<String, String>) -> Mesh {
        Mesh {
            name: "dev".to_owned(),
            checkout: "/".into(),
            state: "/".into(),
            run: "/tmp/plaza-1".into(),
            ports: [(NAME.to_owned(), 27_017)].into(),
            hosts,
            release: false,
            programs: BTreeMap::new(),
        }
    }

    #[test]
    fn on_one_machine_it_has_a_socket_and_no_port() {
        let mesh = mesh(BTreeMap::new());
        assert_eq!(
            url(&mesh),
            "mongodb://%2Ftmp%2Fplaza-1%2Fdocuments%2Fdocuments.sock/"
        );
        let told = registration(&mesh);
        assert!(told["Port"].is_null() && told["Check"]["TTL"].is_string());
    }

    #[test]
    fn in_containers_it_is_a_host_that_consul_looks_at() {
        let told = registration(&mesh([(NAME.to_owned(), "mongodb".to_owned())].into()));
        assert_eq!(told["Check"]["TCP"], "mongodb:27017");
    }
}
