//! The table of services (`mesh/services.toml`) and what their binaries tell about themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::scaling::Scale;

/// The ingress listener of routes that name no other.
pub const PUBLIC: &str = "public";

/// Services by name.
pub type Table = BTreeMap<String, Entry>;

/// One service of the table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// How many instances run on one machine.
    #[serde(default = "one")]
    pub instances: u16,
    /// How many processes do its background work alone; without any, its instances do it too.
    #[serde(default)]
    pub workers: u16,
    /// How many WebSockets an instance holds at most: it is told by `<NAME>_SOCKETS`, and proxies have room for them.
    #[serde(default)]
    pub sockets: Option<u32>,
    /// Other names by which its containers are known: those of the products that it stands for.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// How the number of instances follows the load.
    #[serde(default)]
    pub scale: Option<Scale>,
    /// What its processes get in their environment beside what every service gets.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// What they get besides on one machine, and nowhere else.
    #[serde(default)]
    pub development_env: BTreeMap<String, String>,
    /// What they get in a mesh of tests beside that.
    #[serde(default)]
    pub test_env: BTreeMap<String, String>,
}

fn one() -> u16 {
    1
}

fn public() -> String {
    PUBLIC.to_owned()
}

/// Reads the table of a checkout.
pub fn table(checkout: &Path) -> Result<Table> {
    let path = checkout.join("mesh/services.toml");
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("{} is not a table of services", path.display()))
}

/// Returns the ids of the instances that answer requests.
pub fn instances(name: &str, entry: &Entry) -> Vec<String> {
    Purpose::Serve.instances(name, entry)
}

/// A kind of process of a service, with an identity of its own in the mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Answers requests.
    Serve,
    /// Does background work alone.
    Work,
}

impl Purpose {
    /// Returns the command of the binary.
    pub fn command(self) -> &'static str {
        match self {
            Self::Serve => "serve",
            Self::Work => "work",
        }
    }

    /// Returns the name that the processes of a service have in Consul.
    pub fn identity(self, service: &str) -> String {
        match self {
            Self::Serve => service.to_owned(),
            Self::Work => format!("{service}-work"),
        }
    }

    /// Returns the ids of a service's processes of this kind.
    pub fn instances(self, service: &str, entry: &Entry) -> Vec<String> {
        let identity = self.identity(service);
        let number = match self {
            Self::Serve => entry.instances,
            Self::Work => entry.workers,
        };
        (1..=number)
            .map(|number| format!("{identity}-{number}"))
            .collect()
    }
}

/// Returns every kind of process that there is of a service.
pub fn purposes(entry: &Entry) -> &'static [Purpose] {
    if entry.workers == 0 {
        &[Purpose::Serve]
    } else {
        &[Purpose::Serve, Purpose::Work]
    }
}

/// Returns the names in Consul of all services of a table and of their workers.
pub fn identities(table: &Table) -> Vec<String> {
    let of = |(name, entry): (&String, &Entry)| {
        let name = name.clone();
        purposes(entry)
            .iter()
            .map(move |purpose| purpose.identity(&name))
    };
    table.iter().flat_map(of).collect()
}

/// What `<binary> describe` prints.
#[derive(Clone, Debug, Deserialize)]
pub struct Description {
    /// The service's name.
    pub name: String,
    /// What it serves to the outside.
    #[serde(default)]
    pub routes: Vec<Route>,
    /// Which methods of others its client types use.
    #[serde(default)]
    pub calls: Vec<Call>,
    /// One sentence about it.
    #[serde(default, rename = "description")]
    pub about: String,
    /// What can be set by variables.
    #[serde(default)]
    pub settings: Vec<Setting>,
    /// The background work it can do as a process of its own.
    #[serde(default)]
    pub roles: Vec<String>,
    /// The queues of its consumers.
    #[serde(default)]
    pub subscriptions: Vec<Subscription>,
    /// The services whose channels in Redis it listens to, beside its own.
    #[serde(default)]
    pub hears: Vec<String>,
    /// Its `OpenAPI` document.
    #[serde(default)]
    pub openapi: serde_json::Value,
}

/// The queue of one consumer.
#[derive(Clone, Debug, Deserialize)]
pub struct Subscription {
    /// The name of the consumer.
    pub name: String,
    /// The types of events that come there.
    pub events: Vec<String>,
    /// The types that an earlier version handled.
    #[serde(default)]
    pub dropped: Vec<String>,
    /// Whether all instances share the events.
    #[serde(default)]
    pub shared: bool,
}

/// One variable that a service reads.
#[derive(Clone, Debug, Deserialize)]
pub struct Setting {
    /// The name of the variable.
    pub variable: String,
    /// What it is for.
    #[serde(default)]
    pub help: Option<String>,
    /// What holds without it.
    #[serde(default)]
    pub default: Option<String>,
    /// What it may be, where that is a choice.
    #[serde(default)]
    pub values: Vec<String>,
    /// Whether it must not be shown.
    #[serde(default)]
    pub secret: bool,
    /// Whether all services have it.
    #[serde(default)]
    pub shared: bool,
}

/// One route of a service.
#[derive(Clone, Debug, Deserialize)]
pub struct Route {
    /// The HTTP method.
    pub method: String,
    /// The path with `{names}` where it varies.
    pub template: String,
    /// The ingress listener that it is reached by.
    #[serde(default = "public")]
    pub listener: String,
    /// The kind of each name: `integer` or `string`.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// Whether it needs a token: `none`, `optional` or `required`.
    #[serde(default)]
    pub auth: String,
    /// Whether it is a WebSocket.
    #[serde(default)]
    pub socket: bool,
    /// What it promises.
    #[serde(default)]
    pub objective: Objective,
}

impl Route {
    /// Returns the path as the document has it: without a slash behind.
    pub fn documented(&self) -> &str {
        let path = self.template.trim_end_matches('/');
        if path.is_empty() { "/" } else { path }
    }
}

/// What a route promises: shares of its requests in percent.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Objective {
    /// Requests that do not fail.
    pub availability: f64,
    /// Requests that are answered in time.
    pub fast: f64,
    /// What in time is.
    pub within_seconds: f64,
}

impl Default for Objective {
    fn default() -> Self {
        Self {
            availability: 99.9,
            fast: 99.0,
            within_seconds: 0.25,
        }
    }
}

impl Description {
    /// Returns the names that its processes may have in Consul: its own, and that of its workers.
    pub fn identities(&self) -> Vec<String> {
        let mut identities = vec![Purpose::Serve.identity(&self.name)];
        if !self.roles.is_empty() {
            identities.push(Purpose::Work.identity(&self.name));
        }
        identities
    }

    /// Returns whether it reads a variable.
    pub fn reads(&self, variable: &str) -> bool {
        self.settings
            .iter()
            .any(|setting| setting.variable == variable)
    }

    /// Returns the variable with the URL of its relational database, if it has one.
    pub fn database(&self) -> Option<String> {
        let variable = format!("{}_DATABASE_URL", self.name.to_uppercase());
        self.reads(&variable).then_some(variable)
    }

    /// Returns the ingress listeners that its routes are reached by.
    pub fn listeners(&self) -> BTreeSet<&str> {
        self.routes
            .iter()
            .map(|route| route.listener.as_str())
            .collect()
    }

    /// Returns its routes on one ingress listener.
    pub fn routes_on<'a>(&'a self, listener: &'a str) -> impl Iterator<Item = &'a Route> {
        self.routes
            .iter()
            .filter(move |route| route.listener == listener)
    }
}

/// Returns services after those that they call.
pub fn in_order(descriptions: &[Description]) -> Vec<&Description> {
    fn visit<'a>(
        service: &'a Description,
        all: &'a [Description],
        seen: &mut BTreeSet<&'a str>,
        order: &mut Vec<&'a Description>,
    ) {
        if !seen.insert(&service.name) {
            return;
        }
        let called = |other: &&Description| service.calls.iter().any(|c| c.service == other.name);
        for other in all.iter().filter(called) {
            visit(other, all, seen, order);
        }
        order.push(service);
    }
    let (mut seen, mut order) = (BTreeSet::new(), Vec::new());
    for service in descriptions {
        visit(service, descriptions, &mut seen, &mut order);
    }
    order
}

/// One method of another service that a service calls.
#[derive(Clone, Debug, Deserialize)]
pub struct Call {
    /// The service that is called.
    pub service: String,
    /// The gRPC path.
    pub path: String,
}

/// Builds binaries of the workspace; cargo's own output tells about failures.
pub fn build(checkout: &Path, packages: &[&str], release: bool) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let mut cargo = cargo(checkout);
    cargo.arg("build").arg("--quiet");
    if release {
        cargo.arg("--release");
    }
    for package in packages {
        cargo.args(["--package", package]);
    }
    if !cargo.status().context("cannot run cargo")?.success() {
        bail!(
            "the build of {} failed: fix what the compiler says above and run this again",
            packages.join(", ")
        );
    }
    Ok(())
}

/// Returns a cargo command for a checkout.
///
/// What `cargo run` told this program about its own package is not for others: build scripts look at it (that of `ring`
/// does), and would run again each time another cargo asks, with everything that depends on them.
pub fn cargo(checkout: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(checkout);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Returns the folder where cargo puts binaries.
pub fn target(checkout: &Path, release: bool) -> PathBuf {
    let base =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| checkout.join("target"), PathBuf::from);
    checkout
        .join(base)
        .join(if release { "release" } else { "debug" })
}

/// Asks a built binary to describe itself.
pub fn describe(binary: &Path) -> Result<Description> {
    let output = Command::new(binary).arg("describe").output();
    let output = output.with_context(|| format!("cannot run {}", binary.display()))?;
    if !output.status.success() {
        bail!(
            "`{} describe` failed: {}",
            binary.display(),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    serde_json::from_slice(&output.stdout).with_context(|| {
        format!(
            "`{} describe` printed something else than agreed",
            binary.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_one_instance_by_default() {
        let table: Table = toml::from_str("[users]\n[live]\ninstances = 2\n").unwrap();
        assert_eq!(instances("users", &table["users"]), ["users-1"]);
        assert_eq!(instances("live", &table["live"]), ["live-1", "live-2"]);
    }

    #[test]
    fn workers_have_an_identity_of_their_own() {
        let table: Table = toml::from_str("[users]\n[likes]\nworkers = 2\n").unwrap();
        assert_eq!(identities(&table), ["likes", "likes-work", "users"]);
        let workers = Purpose::Work.instances("likes", &table["likes"]);
        assert_eq!(workers, ["likes-work-1", "likes-work-2"]);
    }

    #[test]
    fn an_unknown_setting_is_refused() {
        assert!(toml::from_str::<Table>("[users]\ninstanzes = 2\n").is_err());
    }
}
