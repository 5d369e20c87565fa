//! Which ports a mesh listens on: well-known ones for the mesh of `up`, a free block for one of `test`.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::net::TcpListener;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

/// Ports by what listens there.
pub type Ports = BTreeMap<String, u16>;

/// Well-known ports of the mesh that `up` starts. Stores and the broker stay off their usual ports: services find them by DNS, and a
/// system-wide one may be there.
const DEVELOPMENT: &[(&str, u16)] = &[
    ("ingress", 8080),
    ("registry", 8006),
    ("consul_http", 8500),
    ("consul_grpc", 8502),
    ("consul_dns", 8600),
    ("consul_serf", 8301),
    ("consul_server", 8300),
    ("prometheus", 9090),
    ("autoscaler", 9095),
    ("alertmanager", 9093),
    ("jaeger", 16686),
    ("jaeger_admin", 14269),
    ("otlp", 4317),
    ("redis", 6390),
    ("rabbitmq", 5690),
    ("rabbitmq_nodes", 5691),
    ("rabbitmq_names", 5692),
    ("mail", 1025),
    ("mail_page", 8025),
    ("sidecar_min", 21000),
    ("sidecar_max", 21255),
];

/// What only a test mesh runs: stores for the suites that run on every backend.
const TESTS: &[&str] = &["postgres", "suite_sqlite", "suite_postgres"];

/// How many ports a test mesh takes; the last of them are for sidecars.
const BLOCK: u16 = 100;
const FIRST_BLOCK: u16 = 22_000;

/// Returns whether something listens on a port of this name, here or in tests.
pub fn is_known(name: &str) -> bool {
    let mut named = DEVELOPMENT.iter().map(|(name, _)| name).chain(TESTS);
    named.any(|known| *known == name)
}

/// Returns the ports of the development mesh.
pub fn development() -> Ports {
    DEVELOPMENT
        .iter()
        .map(|(name, port)| ((*name).to_owned(), *port))
        .collect()
}

/// A block of ports that no other run takes while this value lives.
#[derive(Debug)]
pub struct Block {
    /// The ports of the block by name.
    pub ports: Ports,
    _lock: File,
}

/// Finds a block of free ports below the range that the system hands out itself, and keeps other runs off it.
pub fn reserve() -> Result<Block> {
    let mut base = FIRST_BLOCK;
    while base + BLOCK <= ephemeral_start() {
        if let Some(lock) = lock(base)?
            && (base..base + BLOCK).all(is_free)
        {
            return Ok(Block {
                ports: block(base),
                _lock: lock,
            });
        }
        base += BLOCK;
    }
    bail!(
        "no {BLOCK} free ports in a row between {FIRST_BLOCK} and {}: stop a test run that hangs",
        ephemeral_start()
    )
}

fn block(base: u16) -> Ports {
    let named = DEVELOPMENT.iter().map(|(name, _)| name).chain(TESTS);
    let mut ports: Ports = named.map(|name| (*name).to_owned()).zip(base..).collect();
    ports.insert("sidecar_min".to_owned(), base + 30);
    ports.insert("sidecar_max".to_owned(), base + BLOCK - 1);
    ports
}

fn lock(base: u16) -> Result<Option<File>> {
    let path = PathBuf::from(format!("/tmp/plaza-ports-{base}.lock"));
    let Ok(file) = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
    else {
        return Ok(None); // another user's
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

/// Returns whether nothing listens on a loopback port.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

/// Returns a port that is free right now.
pub fn any_free() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))
        .and_then(|socket| socket.local_addr())
        .context("no free port")?
        .port())
}

fn ephemeral_start() -> u16 {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    range
        .split_whitespace()
        .next()
        .and_then(|start| start.parse().ok())
        .unwrap_or(32_768)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_reservations_do_not_overlap() {
        let (first, second) = (reserve().unwrap(), reserve().unwrap());
        assert_ne!(first.ports["ingress"], second.ports["ingress"]);
    }

    #[test]
    fn a_block_names_every_port_and_stays_inside() {
        let ports = block(22_000);
        assert_eq!(ports.len(), DEVELOPMENT.len() + TESTS.len());
        assert!(ports.values().all(|port| (22_000..22_100).contains(port)));
    }
}
