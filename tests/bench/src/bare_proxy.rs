//! An Envoy that only passes on: no TLS, no identity, no telemetry. The least that a pass can cost here and now.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// The process; it ends with this value.
pub struct BareProxy {
    process: Child,
    address: SocketAddr,
}

impl BareProxy {
    /// Starts one in front of a socket.
    pub async fn start(envoy: &Path, behind: &Path) -> Result<Self> {
        // Free now, and asked for at once: another program may only make this fail.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = Command::new(envoy);
        command
            .args(["--concurrency", "1", "--disable-hot-restart"])
            .args(["--log-level", "error", "--config-yaml"])
            .arg(settings(address, behind).to_string())
            .stdout(Stdio::null());
        let process = command.spawn().context("cannot start a bare Envoy")?;
        let proxy = Self { process, address };
        testkit::eventually("a bare Envoy listens", || async move {
            TcpStream::connect(address).map_err(|error| error.to_string())
        })
        .await;
        Ok(proxy)
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its process.
    pub fn pid(&self) -> u64 {
        self.process.id().into()
    }
}

impl Drop for BareProxy {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn settings(address: SocketAddr, behind: &Path) -> Value {
    let place = json!({ "socket_address": { "address": address.ip().to_string(), "port_value": address.port() } });
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bare",
        "route_config": { "virtual_hosts": [{
            "name": "all",
            "domains": ["*"],
            "routes": [{ "match": { "prefix": "/" }, "route": { "cluster": "application" } }],
        }] },
        "http_filters": [{
            "name": "envoy.filters.http.router",
            "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
        }],
    });
    json!({ "static_resources": {
        "listeners": [{
            "address": place,
            "filter_chains": [{ "filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": manager,
            }] }],
        }],
        "clusters": [{
            "name": "application",
            "connect_timeout": "1s",
            "load_assignment": {
                "cluster_name": "application",
                "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": { "pipe": { "path": behind } } } }] }],
            },
        }],
    } })
}
