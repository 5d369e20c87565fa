//! Room for many sockets: open files of every process, and what Envoy lets a cluster have.
//!
//! Envoy opens 1,024 connections to a cluster and has as many requests on their way, whatever it proxies. An open WebSocket is
//! one of each for as long as it lives. Consul has no setting for that at an API gateway, and one without requests at a sidecar,
//! so both limits are given to Envoy as values of its runtime, which count more than what Consul says of a cluster.

use std::fs;

use anyhow::{Context, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Map, Value, json};

use crate::consul::Consul;
use crate::mesh::Mesh;

/// Open files that no process here needs more of; some programs keep a table of as many as they may have.
const MAX_FILES: u64 = 65_536;
/// What a cluster has by default, for requests that are no sockets.
const BESIDE: u32 = 1024;
/// KiB of an Envoy's heap that a socket takes, at most.
const ENVOY_OF_SOCKET: u32 = 64;
/// KiB of an application that a socket takes, with what waits to be sent on it.
const APPLICATION_OF_SOCKET: u32 = 16;

/// MiB that an application may take: the limit that the chart sets.
pub const APPLICATION: u32 = 256;
/// MiB of heap at which an Envoy first drops idle memory and then refuses requests, beside what sockets take.
pub const ENVOY_HEAP: u32 = 512;
/// MiB that an Envoy takes beside its heap: code, stacks, tables of the kernel.
const ENVOY_BESIDE: u32 = 64;
/// MiB of files in memory, and of the program that starts the two: the chart gives its pods 32 for files.
const FILES: u32 = 64;

/// Returns the MiB that a container with an application and its Envoy needs before either of them is refused any, with so many
/// sockets.
pub fn container(sockets: u32) -> u32 {
    gateway(sockets) + APPLICATION + sockets * APPLICATION_OF_SOCKET / 1024
}

/// Returns the MiB that a container with an Envoy alone needs.
pub fn gateway(sockets: u32) -> u32 {
    ENVOY_HEAP + ENVOY_BESIDE + FILES + sockets * ENVOY_OF_SOCKET / 1024
}

/// WebSockets to one service that an Envoy has to let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sockets {
    /// The service.
    pub service: String,
    /// How many.
    pub number: u32,
}

impl Sockets {
    /// Writes it as `NAME=NUMBER`.
    pub fn flag(&self) -> String {
        format!("{}={}", self.service, self.number)
    }
}

/// Reads `NAME=NUMBER`.
pub fn sockets(text: &str) -> Result<Sockets> {
    let (service, number) = text.split_once('=').context("write it as NAME=NUMBER")?;
    Ok(Sockets {
        service: service.to_owned(),
        number: number.parse()?,
    })
}

/// Lets this process and those that it starts open as many files as the system allows: shells begin with 1,024.
pub fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.unwrap_or(MAX_FILES).min(MAX_FILES);
    if limit.current.is_some_and(|current| current < wanted) {
        let raised = Rlimit {
            current: Some(wanted),
            maximum: limit.maximum,
        };
        // Refused, it is as it was: enough for all but thousands of sockets.
        let _ = setrlimit(Resource::Nofile, raised);
    }
}

/// How many connections more, and how many bytes of heap, an Envoy needs for its sockets.
pub fn room(sockets: &[Sockets]) -> (u32, u64) {
    let number = sockets.iter().map(|sockets| sockets.number).sum();
    (
        number,
        u64::from(number) * u64::from(ENVOY_OF_SOCKET) * 1024,
    )
}

/// The name by which the ingress calls the cluster of a service.
pub fn cluster(mesh: &Mesh, consul: &Consul, service: &str) -> Result<String> {
    let agent: Value = serde_json::from_slice(&fs::read(mesh.state.join("consul.json"))?)?;
    let roots = consul.read("/v1/connect/ca/roots")?;
    let domain = roots["TrustDomain"].as_str();
    let domain = domain.context("Consul's CA has no trust domain")?;
    let datacenter = agent["datacenter"].as_str().unwrap_or("dc1");
    Ok(format!("{service}.default.{datacenter}.internal.{domain}"))
}

/// Sets the limits of a cluster.
pub fn raise_cluster(bootstrap: &mut Value, cluster: &str, sockets: u32) {
    let limits = ["max_connections", "max_pending_requests", "max_requests"];
    let limits: Map<_, _> = limits
        .into_iter()
        .map(|limit| {
            let key = format!("circuit_breakers.{cluster}.default.{limit}");
            (key, json!(sockets + BESIDE))
        })
        .collect();
    push_layer(
        bootstrap,
        json!({ "name": cluster, "static_layer": limits }),
    );
}

/// Adds a layer to what Envoy reads at run time; the last one wins. An `admin_layer` is what operators set while it runs.
pub fn push_layer(bootstrap: &mut Value, layer: Value) {
    if let Some(layers) = bootstrap["layered_runtime"]["layers"].as_array_mut() {
        layers.push(layer);
    } else {
        bootstrap["layered_runtime"]["layers"] = json!([layer]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_gets_room_for_its_sockets() {
        let mut bootstrap = json!({ "layered_runtime": { "layers": [{ "name": "base" }] } });

        raise_cluster(&mut bootstrap, "local_app", 10_000);

        let layer = &bootstrap["layered_runtime"]["layers"][1]["static_layer"];
        assert_eq!(
            layer["circuit_breakers.local_app.default.max_requests"],
            11_024
        );
    }

    #[test]
    fn sockets_are_written_as_they_are_read() {
        let live = sockets("live=20").unwrap();
        assert_eq!((live.service.as_str(), live.number), ("live", 20));
        assert_eq!(live.flag(), "live=20");
        assert!(sockets("live").is_err());
    }
}
