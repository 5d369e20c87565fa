//! One mesh on this machine: its name, folders, ports, secrets, and the file that tells tests about all of them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::http::Target;
use crate::observe::mails;
use crate::ports::{self, Ports};
use crate::secrets::{self, Secrets};
use crate::services::{self, Purpose, Table};
use crate::template::Values;
use crate::{documents, random, stores, tools};

/// The environment variable by which every process of a mesh can be found.
pub const MARK: &str = "PLAZA_MESH_DIR";

/// Where everything listens, unless somebody says otherwise.
const LOOPBACK: &str = "127.0.0.1";

/// One mesh.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Mesh {
    /// `dev` for `up`, `test` for `test`.
    pub name: String,
    /// The folder of the sources.
    pub checkout: PathBuf,
    /// Where settings, secrets, logs and data are.
    pub state: PathBuf,
    /// Where unix sockets are: a short path, since a socket's path has 107 bytes at most.
    pub run: PathBuf,
    /// Ports by what listens there.
    pub ports: Ports,
    /// Hosts by what listens there: this machine, unless said otherwise.
    #[serde(default)]
    pub hosts: BTreeMap<String, String>,
    /// Whether the services are optimised builds.
    pub release: bool,
    /// Where the programs are.
    pub programs: BTreeMap<String, PathBuf>,
}

impl Mesh {
    /// Prepares the folders of a mesh.
    pub fn open(name: &str, ports: Ports, release: bool) -> Result<Self> {
        let checkout = checkout()?;
        let state = checkout.join(".plaza").join(name);
        secrets::private_folder(&state)?;
        let run = run_folder(&state)?;
        let programs = tools::programs(&checkout)?;
        Ok(Self {
            name: name.to_owned(),
            checkout,
            state,
            run,
            ports,
            hosts: BTreeMap::new(),
            release,
            programs,
        })
    }

    /// Opens the mesh of `up`, with the ports that it was last started with: `dev` on the known ones, or the one that the
    /// variable `PLAZA_MESH` names, beside it, on ports that are free.
    pub fn development(release: bool) -> Result<Self> {
        let name = std::env::var("PLAZA_MESH").unwrap_or_else(|_| "dev".to_owned());
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        if name == "test" || !(1..=20).contains(&name.len()) || !name.bytes().all(allowed) {
            bail!("PLAZA_MESH must be 1 to 20 of a-z and 0-9, and not `test`: it is `{name}`");
        }
        if let Ok(before) = Self::load(&checkout()?.join(".plaza").join(&name)) {
            let mut ports = before.ports;
            ports.retain(|name, _| ports::is_known(name));
            for (port, number) in ports::development() {
                ports.entry(port).or_insert(number);
            }
            return Self::open(&name, ports, release);
        }
        if name == "dev" {
            return Self::open(&name, ports::development(), release);
        }
        let block = ports::reserve()?;
        let ports = block.ports.clone();
        // The block stays reserved until this command ends; by then the mesh holds its ports itself.
        std::mem::forget(block);
        Self::open(&name, ports, release)
    }

    /// Reads a mesh that was started.
    pub fn load(state: &Path) -> Result<Self> {
        let path = state.join("mesh.json");
        let text = fs::read(&path)
            .with_context(|| format!("no mesh was started here (no {})", path.display()))?;
        serde_json::from_slice(&text).with_context(|| {
            format!(
                "{} is damaged: remove it and run `cargo mesh up`",
                path.display()
            )
        })
    }

    /// Writes `mesh.json`: the mesh, and for tests its addresses and tokens.
    pub fn save(&self) -> Result<()> {
        let mut file = serde_json::to_value(self)?;
        file["addresses"] = self.addresses()?;
        file["tokens"] = self.tokens()?;
        file["services"] = self.service_files()?;
        file["stores"] = self.store_urls()?;
        secrets::write_private(&self.file(), &serde_json::to_vec_pretty(&file)?)
    }

    /// Returns the path of `mesh.json`.
    pub fn file(&self) -> PathBuf {
        self.state.join("mesh.json")
    }

    /// Returns the table of services.
    pub fn table(&self) -> Result<Table> {
        services::table(&self.checkout)
    }

    /// Returns the mesh's secrets.
    pub fn secrets(&self) -> Result<Secrets> {
        Secrets::open(self.state.join("secrets"))
    }

    /// Returns a port by name.
    pub fn port(&self, name: &str) -> u16 {
        self.ports.get(name).copied().unwrap_or_default()
    }

    /// Returns the host where something listens, by the name of its port.
    pub fn host(&self, name: &str) -> &str {
        self.hosts.get(name).map_or(LOOPBACK, String::as_str)
    }

    /// Returns where something listens, by the name of its port.
    pub fn target(&self, name: &str) -> Target {
        Target::Host(self.host(name).to_owned(), self.port(name))
    }

    /// Returns a program's path.
    pub fn program(&self, name: &str) -> Result<&Path> {
        self.programs
            .get(name)
            .map(PathBuf::as_path)
            .with_context(|| format!("no program is called {name}"))
    }

    /// Returns the copy of a service's binary that this mesh runs.
    pub fn binary(&self, service: &str) -> PathBuf {
        self.state.join("bin").join(service)
    }

    /// Returns where the supervisor answers.
    pub fn supervisor(&self) -> Target {
        Target::Socket(self.run.join("supervisor.sock"))
    }

    /// Returns the place where an instance answers its sidecar, and nobody else: a socket in the folder that the two share.
    pub fn application(&self, instance: &str) -> String {
        let socket = self.run.join(instance).join("application.sock");
        format!("unix:{}", socket.display())
    }

    /// Returns the file that a process's output goes to.
    pub fn log(&self, process: &str) -> PathBuf {
        self.state.join("logs").join(format!("{process}.log"))
    }

    /// Returns what settings files may ask for.
    pub fn values(&self) -> Result<Values> {
        let mut values = Values::new();
        for (name, port) in &self.ports {
            values.insert(format!("port.{name}"), json!(port));
            values.insert(format!("text.{name}"), json!(port.to_string()));
            values.insert(format!("host.{name}"), json!(self.host(name)));
        }
        values.insert("host.agent".to_owned(), json!(self.host("agent")));
        let secrets = self.secrets()?;
        for name in ["gossip", "management", "agent", "dns", "redis", "rabbitmq"] {
            values.insert(format!("secret.{name}"), json!(secrets.get(name)?));
        }
        mails::catcher(self.host("mail"), self.port("mail"), &mut values);
        values.insert("state".to_owned(), json!(self.state));
        values.insert("run".to_owned(), json!(self.run));
        values.insert("bind".to_owned(), json!(bind_address()));
        values.insert(
            "secret_file.prometheus".to_owned(),
            json!(secrets.path("prometheus")),
        );
        Ok(values)
    }

    /// Returns the name of the secret that holds a service's token.
    pub fn token_name(service: &str) -> String {
        format!("service-{service}")
    }

    fn addresses(&self) -> Result<Value> {
        let http = |name| format!("http://127.0.0.1:{}", self.port(name));
        let plain = |name| format!("127.0.0.1:{}", self.port(name));
        Ok(json!({
            "ingress": http("ingress"),
            "registry": http("registry"),
            "consul": http("consul_http"),
            "consul_dns": plain("consul_dns"),
            "prometheus": http("prometheus"),
            "autoscaler": http("autoscaler"),
            "alertmanager": http("alertmanager"),
            "jaeger": http("jaeger"),
            "otlp": http("otlp"),
            "consul_grpc": http("consul_grpc"),
            "redis": format!("redis://:{}@127.0.0.1:{}/0", self.secrets()?.get("redis")?, self.port("redis")),
            "rabbitmq": self.broker(&format!("127.0.0.1:{}", self.port("rabbitmq")))?,
            "mail": format!("smtp://{}", plain("mail")),
            "mail_page": http("mail_page"),
            "documents": documents::url(self),
            "process_compose": self.run.join("supervisor.sock"),
        }))
    }

    /// Returns the URL of the broker at `host` for a service.
    pub fn broker_of(&self, service: &str, host: &str) -> Result<String> {
        let password = self.secrets()?.get(&stores::secret("rabbitmq", service))?;
        Ok(format!("amqp://{service}:{password}@{host}/"))
    }

    /// Returns the URL of Redis at `host` for a service.
    pub fn cache_of(&self, service: &str, host: &str) -> Result<String> {
        let password = self.secrets()?.get(&stores::secret("redis", service))?;
        Ok(format!("redis://{service}:{password}@{host}/0"))
    }

    /// Returns the URL of the broker at `host` for an operator.
    pub fn broker(&self, host: &str) -> Result<String> {
        let password = self.secrets()?.get("rabbitmq")?;
        Ok(format!("amqp://plaza:{password}@{host}/"))
    }

    fn tokens(&self) -> Result<Value> {
        let secrets = self.secrets()?;
        let mut services = BTreeMap::new();
        for name in services::identities(&self.table()?) {
            let token = secrets.get(&Self::token_name(&name))?;
            services.insert(name, token);
        }
        Ok(
            json!({ "management": secrets.get("management")?, "anonymous": "", "services": services }),
        )
    }

    /// Where each service finds the stores that know it by a user of its own.
    fn store_urls(&self) -> Result<Value> {
        let at = |name: &str| format!("127.0.0.1:{}", self.port(name));
        let mut urls = serde_json::Map::new();
        for name in self.table()?.keys() {
            let (redis, rabbitmq) = (
                self.cache_of(name, &at("redis"))?,
                self.broker_of(name, &at("rabbitmq"))?,
            );
            urls.insert(
                name.clone(),
                json!({ "redis": redis, "rabbitmq": rabbitmq }),
            );
        }
        Ok(Value::Object(urls))
    }

    fn service_files(&self) -> Result<Value> {
        let mut files = serde_json::Map::new();
        for (name, entry) in &self.table()? {
            let instances = services::instances(name, entry);
            let workers = Purpose::Work.instances(name, entry);
            files.insert(
                name.clone(),
                json!({ "binary": self.binary(name), "instances": instances, "workers": workers }),
            );
        }
        Ok(Value::Object(files))
    }
}

/// Returns the address at which the rest of the mesh reaches what this process starts.
pub fn own_address() -> String {
    std::env::var("ADVERTISE_ADDR").unwrap_or_else(|_| LOOPBACK.to_owned())
}

/// Returns the folder with `tls.crt` and `tls.key` of the ingress, as its Envoy sees it; without one it speaks plain HTTP.
pub fn certificates() -> Option<String> {
    std::env::var("PLAZA_TLS")
        .ok()
        .filter(|folder| !folder.is_empty())
}

/// Returns the address that the ingress listens on: loopback, unless the person says otherwise.
pub fn bind_address() -> String {
    std::env::var("PLAZA_BIND").unwrap_or_else(|_| LOOPBACK.to_owned())
}

/// Finds the checkout: cargo names it, else it is above the current folder.
pub fn checkout() -> Result<PathBuf> {
    let named = std::env::var_os("CARGO_MANIFEST_DIR").map(|cli| PathBuf::from(cli).join("../.."));
    let start = match named {
        Some(folder) if folder.join("mesh/services.toml").is_file() => folder,
        _ => std::env::current_dir()?,
    };
    let start = start.canonicalize()?;
    let found = start
        .ancestors()
        .find(|folder| folder.join("mesh/services.toml").is_file());
    found
        .map(Path::to_owned)
        .context("run this inside a checkout of Plaza (no mesh/services.toml here or above)")
}

fn run_folder(state: &Path) -> Result<PathBuf> {
    let hash = random::fingerprint([state.as_os_str().as_encoded_bytes()]);
    let run = PathBuf::from(format!("/tmp/plaza-{hash:016x}"));
    secrets::private_folder(&run)?;
    let metadata = fs::symlink_metadata(&run)?;
    let ours = metadata.is_dir() && metadata.uid() == rustix::process::getuid().as_raw();
    if !ours || metadata.permissions().mode() & 0o077 != 0 {
        bail!(
            "{} is not a private folder of yours: remove it",
            run.display()
        );
    }
    Ok(run)
}
