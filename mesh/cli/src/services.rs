//! The table of services (`mesh/services.toml`) and what their binaries tell about themselves.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// Services by name.
pub type Table = BTreeMap<String, Entry>;

/// One service of the table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// How many instances run on one machine.
    #[serde(default = "one")]
    pub instances: u16,
    /// What its processes get in their environment beside what every service gets.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Ingress listeners that serve its routes.
    #[serde(default = "public")]
    pub listeners: Vec<String>,
}

fn one() -> u16 {
    1
}

fn public() -> Vec<String> {
    vec!["public".to_owned()]
}

/// Reads the table of a checkout.
pub fn table(checkout: &Path) -> Result<Table> {
    let path = checkout.join("mesh/services.toml");
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("{} is not a table of services", path.display()))
}

/// Returns the ids of a service's instances.
pub fn instances(name: &str, entry: &Entry) -> Vec<String> {
    (1..=entry.instances)
        .map(|number| format!("{name}-{number}"))
        .collect()
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
    /// Its `OpenAPI` document.
    #[serde(default)]
    pub openapi: serde_json::Value,
}

/// One route of a service.
#[derive(Clone, Debug, Deserialize)]
pub struct Route {
    /// The HTTP method.
    pub method: String,
    /// The path with `{names}` where it varies.
    pub template: String,
    /// The kind of each name: `integer` or `string`.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// Whether it needs a token: `none`, `optional` or `required`.
    #[serde(default)]
    pub auth: String,
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
pub fn cargo(checkout: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .current_dir(checkout)
        .env_remove("CARGO_MANIFEST_DIR");
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
    fn an_entry_has_one_public_instance_by_default() {
        let table: Table = toml::from_str("[users]\n[live]\ninstances = 2\n").unwrap();
        assert_eq!(instances("users", &table["users"]), ["users-1"]);
        assert_eq!(instances("live", &table["live"]), ["live-1", "live-2"]);
        assert_eq!(table["live"].listeners, ["public"]);
    }

    #[test]
    fn an_unknown_setting_is_refused() {
        assert!(toml::from_str::<Table>("[users]\ninstanzes = 2\n").is_err());
    }
}
