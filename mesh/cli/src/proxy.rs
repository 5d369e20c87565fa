//! Becomes one Envoy: waits until Consul knows the proxy, takes Consul's bootstrap, hardens it and executes Envoy.
//!
//! Consul's bootstrap is kept but for this: the admin interface moves from a port to a unix socket, metrics and readiness alone
//! get a loopback port (registered as the service `envoy`, where Prometheus finds it), connections and heap have a limit, and
//! clusters of services that hold sockets have room for them.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::{Value, json};

use crate::consul::{self, Consul};
use crate::limits::{self, Sockets};
use crate::mesh::{self, Mesh};
use crate::{ports, secrets};

/// How a proxy is started.
#[derive(Args)]
pub struct Options {
    /// The state folder of the mesh.
    #[arg(long)]
    state: PathBuf,
    /// The service that the proxy belongs to; `ingress` is the API gateway.
    #[arg(long)]
    service: String,
    /// The service instance beside which the proxy runs.
    #[arg(long)]
    instance: String,
    /// A service behind this proxy that holds so many sockets.
    #[arg(long, value_name = "NAME=NUMBER", value_parser = limits::sockets)]
    sockets: Vec<Sockets>,
    /// How many percent of requests are traced; the ingress decides it for all that follow.
    #[arg(long, env = "TRACE_PERCENT", default_value_t = 100, value_parser = clap::value_parser!(u8).range(0..=100))]
    trace_percent: u8,
}

/// Downstream connections that one Envoy accepts, beside sockets.
const MAX_CONNECTIONS: u32 = 10_000;

impl Options {
    fn is_gateway(&self) -> bool {
        self.service == "ingress"
    }

    fn proxy_id(&self) -> String {
        if self.is_gateway() {
            "ingress".to_owned()
        } else {
            format!("{}-sidecar-proxy", self.instance)
        }
    }

    fn token_file(&self, mesh: &Mesh) -> Result<PathBuf> {
        let secrets = mesh.secrets()?;
        let name = if self.is_gateway() {
            "ingress".to_owned()
        } else {
            Mesh::token_name(&self.service)
        };
        secrets.get(&name)?;
        Ok(secrets.path(&name))
    }
}

/// Replaces this process by Envoy.
pub fn run(options: &Options) -> Result<ExitCode> {
    let mesh = Mesh::load(&options.state)?;
    let token_file = options.token_file(&mesh)?;
    let consul = consul::with_token_file(mesh.target("consul_http"), &token_file)?;
    wait(&consul, &options.proxy_id());
    let metrics_port = ports::any_free()?;
    let folder = mesh.run.join(&options.instance);
    secrets::private_folder(&folder)?;
    let mut bootstrap = bootstrap(options, &mesh, &token_file)?;
    harden(&mut bootstrap, &folder.join("admin.sock"), metrics_port);
    limit(&mut bootstrap, options, &mesh, &consul)?;
    tracing_share(&mut bootstrap, options.trace_percent);
    let files = folder_of_files(&mesh)?;
    let registration = metrics_registration(options, metrics_port);
    secrets::write_private(
        &files.join(format!("{}{REGISTRATION}", options.instance)),
        registration.to_string().as_bytes(),
    )?;
    metrics_consul(&mesh)?.register(&registration)?;

    let file = files.join(format!("{}.json", options.instance));
    secrets::write_private(&file, &serde_json::to_vec_pretty(&bootstrap)?)?;
    let mut envoy = Command::new(mesh.program("envoy")?);
    envoy
        .args([
            "--concurrency",
            "1",
            "--disable-hot-restart",
            "--log-level",
            "warn",
            "--drain-time-s",
            "5",
            // `cargo mesh why` reads access logs: ten seconds, which is usual, are long for who waits.
            "--file-flush-interval-msec",
            "1000",
            "--config-path",
        ])
        .arg(file);
    envoy.env(
        "OTEL_RESOURCE_ATTRIBUTES",
        format!("service.name={}", span_name(options)),
    );
    Err(envoy.exec()).context("cannot execute Envoy")
}

fn span_name(options: &Options) -> String {
    if options.is_gateway() {
        "ingress".to_owned()
    } else {
        format!("{}-sidecar", options.service)
    }
}

fn wait(consul: &Consul, proxy: &str) {
    while !consul.has(proxy) {
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn bootstrap(options: &Options, mesh: &Mesh, token_file: &Path) -> Result<Value> {
    let mut command = Command::new(mesh.program("consul")?);
    command.args([
        "connect",
        "envoy",
        "-bootstrap",
        "-ignore-envoy-compatibility",
        "-admin-bind",
        "127.0.0.1:1",
    ]);
    command.arg(format!("-http-addr=http://{}", mesh.target("consul_http")));
    command.arg(format!("-grpc-addr={}", mesh.target("consul_grpc")));
    command.arg(format!("-token-file={}", token_file.display()));
    if options.is_gateway() {
        command
            .args(["-gateway", "api", "-service", "ingress"])
            .arg(format!("-proxy-id={}", options.proxy_id()));
    } else {
        command.arg(format!("-sidecar-for={}", options.instance));
    }
    command
        .env("GOGC", "off")
        .env_remove("CONSUL_HTTP_TOKEN")
        .env_remove("CONSUL_HTTP_ADDR");
    let output = command.output().context("cannot run consul")?;
    if !output.status.success() {
        bail!(
            "no bootstrap for {}: {}",
            options.proxy_id(),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    serde_json::from_slice(&output.stdout).context("Consul's bootstrap is not JSON")
}

/// Says which share of requests is traced, and lets operators change it while the proxy runs.
fn tracing_share(bootstrap: &mut Value, percent: u8) {
    let share = json!({ "tracing.random_sampling": percent });
    limits::push_layer(
        bootstrap,
        json!({ "name": "tracing", "static_layer": share }),
    );
    // The last layer wins.
    limits::push_layer(bootstrap, json!({ "name": "operators", "admin_layer": {} }));
}

/// Changes the bootstrap as the module's head says.
fn harden(bootstrap: &mut Value, admin: &Path, metrics_port: u16) {
    bootstrap["admin"]["address"] = json!({ "pipe": { "path": admin, "mode": 0o600 } });
    let resources = &mut bootstrap["static_resources"];
    push(&mut resources["clusters"], admin_cluster(admin));
    push(&mut resources["listeners"], metrics_listener(metrics_port));
}

/// Sets limits, with room for the sockets that pass through this proxy.
fn limit(bootstrap: &mut Value, options: &Options, mesh: &Mesh, consul: &Consul) -> Result<()> {
    for sockets in &options.sockets {
        let cluster = if options.is_gateway() {
            limits::cluster(mesh, consul, &sockets.service)?
        } else {
            "local_app".to_owned()
        };
        limits::raise_cluster(bootstrap, &cluster, sockets.number);
    }
    let (connections, heap) = limits::room(&options.sockets);
    bootstrap["overload_manager"] = overload_manager(connections, heap);
    Ok(())
}

fn push(list: &mut Value, item: Value) {
    if let Value::Array(items) = list {
        items.push(item);
    } else {
        *list = json!([item]);
    }
}

fn admin_cluster(admin: &Path) -> Value {
    let endpoint = json!({ "endpoint": { "address": { "pipe": { "path": admin } } } });
    json!({
        "name": "own_admin",
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": { "cluster_name": "own_admin", "endpoints": [{ "lb_endpoints": [endpoint] }] },
    })
}

fn metrics_listener(port: u16) -> Value {
    let route = |path: &str, to: &str| {
        json!({
            "match": { "path": path },
            "route": { "cluster": "own_admin", "prefix_rewrite": to },
        })
    };
    let hosts = json!([{
        "name": "own_admin",
        "domains": ["*"],
        "routes": [route("/metrics", "/stats/prometheus?usedonly"), route("/ready", "/ready")],
    }]);
    let router = json!({
        "name": "envoy.filters.http.router",
        "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
    });
    json!({
        "name": "metrics",
        "address": { "socket_address": { "address": mesh::own_address(), "port_value": port } },
        "ignore_global_conn_limit": true,
        "filter_chains": [{ "filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                "stat_prefix": "metrics",
                "route_config": { "name": "metrics", "virtual_hosts": hosts },
                "http_filters": [router],
            },
        }] }],
    })
}

fn overload_manager(sockets: u32, heap_of_sockets: u64) -> Value {
    let heap = |action: &str, share: f64| {
        json!({
            "name": action,
            "triggers": [{ "name": "envoy.resource_monitors.fixed_heap", "threshold": { "value": share } }],
        })
    };
    json!({
        "refresh_interval": "0.25s",
        "resource_monitors": [
            {
                "name": "envoy.resource_monitors.fixed_heap",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig",
                    "max_heap_size_bytes": u64::from(limits::ENVOY_HEAP) * 1024 * 1024 + heap_of_sockets,
                },
            },
            {
                "name": "envoy.resource_monitors.global_downstream_max_connections",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                    "max_active_downstream_connections": MAX_CONNECTIONS + sockets,
                },
            },
        ],
        "actions": [
            heap("envoy.overload_actions.shrink_heap", 0.9),
            heap("envoy.overload_actions.stop_accepting_requests", 0.97),
        ],
    })
}

/// Ends the names of files with what is registered for an Envoy's metrics.
const REGISTRATION: &str = ".registration";

fn folder_of_files(mesh: &Mesh) -> Result<PathBuf> {
    let files = mesh.state.join("proxies");
    secrets::private_folder(&files)?;
    Ok(files)
}

fn metrics_consul(mesh: &Mesh) -> Result<Consul> {
    let secrets = mesh.secrets()?;
    secrets.get("envoy")?;
    consul::with_token_file(mesh.target("consul_http"), &secrets.path("envoy"))
}

fn metrics_registration(options: &Options, port: u16) -> Value {
    let own = mesh::own_address();
    json!({
        "ID": format!("envoy-{}", options.instance),
        "Name": "envoy",
        "Address": own,
        "Port": port,
        "Meta": { "proxy": options.proxy_id(), "service": options.service, "metrics_port": port.to_string() },
        "Check": { "Name": "ready", "HTTP": format!("http://{own}:{port}/ready"), "Interval": "5s", "Timeout": "1s" },
    })
}

/// Registers the metrics of those Envoys again that are not among the agent's services.
pub fn register_lost(mesh: &Mesh, services: &Value) -> Result<()> {
    for entry in fs::read_dir(folder_of_files(mesh)?)?.filter_map(Result::ok) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(instance) = name.strip_suffix(REGISTRATION) else {
            continue;
        };
        if services.get(format!("envoy-{instance}")).is_none() {
            let text = fs::read_to_string(entry.path())?;
            metrics_consul(mesh)?.register(&serde_json::from_str(&text)?)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_overrule_the_share_of_traces() {
        let mut bootstrap = json!({});

        tracing_share(&mut bootstrap, 10);

        let layers = &bootstrap["layered_runtime"]["layers"];
        assert_eq!(layers[0]["static_layer"]["tracing.random_sampling"], 10);
        assert!(layers[1]["admin_layer"].is_object());
    }

    #[test]
    fn the_admin_interface_has_no_port() {
        let mut bootstrap = json!({
            "admin": { "address": { "socket_address": { "address": "127.0.0.1", "port_value": 1 } } },
            "static_resources": { "clusters": [{ "name": "local_agent" }] },
        });

        harden(&mut bootstrap, Path::new("/tmp/x/admin.sock"), 5000);

        assert_eq!(
            bootstrap["admin"]["address"]["pipe"]["path"],
            "/tmp/x/admin.sock"
        );
        assert_eq!(
            bootstrap["static_resources"]["clusters"]
                .as_array()
                .unwrap()
                .len(),
            2
        );
        assert_eq!(
            bootstrap["static_resources"]["listeners"][0]["address"]["socket_address"]["port_value"],
            5000
        );
    }
}
