//! Rules for dependencies: versions in one place, lints for everyone, services apart from each other, one version of each crate.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;

use crate::services;

/// Crates of which more than one version is known, each with its reason.
const DUPLICATES: &str = "mesh/duplicates.toml";

/// What that file says.
#[derive(Deserialize)]
struct Listed {
    allowed: Vec<Allowed>,
}

/// Crates with one common reason.
#[derive(Deserialize)]
struct Allowed {
    reason: String,
    crates: Vec<String>,
}

/// Returns what breaks a rule.
pub fn findings(checkout: &Path, metadata: &Value) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for package in members(metadata) {
        let manifest = package["manifest_path"].as_str().unwrap_or_default();
        let name = package["name"].as_str().unwrap_or_default();
        let text =
            fs::read_to_string(manifest).with_context(|| format!("cannot read {manifest}"))?;
        findings.extend(manifest_findings(name, &toml::from_str(&text)?));
    }
    findings.extend(direction_findings(metadata));
    let listed: Listed = toml::from_str(&fs::read_to_string(checkout.join(DUPLICATES))?)?;
    findings.extend(duplicate_findings(&versions(metadata), &listed));
    Ok(findings)
}

/// Returns what cargo knows of everything that is built on this platform.
pub fn metadata(checkout: &Path) -> Result<Value> {
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = services::cargo(checkout)
        .args([
            "metadata",
            "--format-version=1",
            "--filter-platform",
            &platform,
        ])
        .output()?;
    if !output.status.success() {
        bail!(
            "cargo metadata failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn members(metadata: &Value) -> impl Iterator<Item = &Value> {
    let ids: BTreeSet<_> = array(&metadata["workspace_members"])
        .filter_map(Value::as_str)
        .collect();
    array(&metadata["packages"])
        .filter(move |package| package["id"].as_str().is_some_and(|id| ids.contains(id)))
}

/// Returns the members of an array, none for anything else.
pub fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn manifest_findings(name: &str, manifest: &toml::Table) -> Vec<String> {
    let mut findings = Vec::new();
    let inherits = manifest
        .get("lints")
        .and_then(|lints| lints.get("workspace"))
        .and_then(toml::Value::as_bool);
    if inherits != Some(true) {
        findings.push(format!("{name} does not take the workspace's lints"));
    }
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        for (dependency, value) in manifest
            .get(section)
            .and_then(toml::Value::as_table)
            .into_iter()
            .flatten()
        {
            let shared = value.get("workspace").and_then(toml::Value::as_bool) == Some(true);
            if !shared {
                findings.push(format!(
                    "{name} takes {dependency} by itself instead of from the workspace"
                ));
            }
        }
    }
    findings
}

/// Services know shared crates, shared crates know no service, and services not each other; but a test may run a real peer.
fn direction_findings(metadata: &Value) -> Vec<String> {
    let folder = |package: &Value| {
        let manifest = package["manifest_path"].as_str().unwrap_or_default();
        Path::new(manifest)
            .parent()
            .and_then(Path::parent)
            .and_then(Path::file_name)
            .map(|name| name.to_string_lossy().into_owned())
    };
    let services: BTreeSet<_> = members(metadata)
        .filter(|package| folder(package).as_deref() == Some("services"))
        .collect_names();
    let mut findings = Vec::new();
    for package in members(metadata) {
        let name = package["name"].as_str().unwrap_or_default();
        let tests = folder(package).as_deref() == Some("tests");
        let used = |dependency: &&Value| !tests && dependency["kind"] != "dev";
        for dependency in array(&package["dependencies"]).filter(used) {
            let on = dependency["name"].as_str().unwrap_or_default();
            if services.contains(on) && on != name {
                findings.push(format!(
                    "{name} depends on the service {on}: services meet only in mesh-proto"
                ));
            }
        }
    }
    findings
}

/// Collects the names of packages.
trait Names {
    fn collect_names(self) -> BTreeSet<String>;
}

impl<'a, I: Iterator<Item = &'a Value>> Names for I {
    fn collect_names(self) -> BTreeSet<String> {
        self.filter_map(|package| package["name"].as_str())
            .map(str::to_owned)
            .collect()
    }
}

/// Returns the versions of each crate that is really built on this platform.
fn versions(metadata: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let built: BTreeSet<_> = array(&metadata["resolve"]["nodes"])
        .filter_map(|node| node["id"].as_str())
        .collect();
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in array(&metadata["packages"])
        .filter(|package| package["id"].as_str().is_some_and(|id| built.contains(id)))
    {
        if let (Some(name), Some(version)) = (package["name"].as_str(), package["version"].as_str())
        {
            versions
                .entry(name.to_owned())
                .or_default()
                .insert(version.to_owned());
        }
    }
    versions
}

fn duplicate_findings(
    versions: &BTreeMap<String, BTreeSet<String>>,
    listed: &Listed,
) -> Vec<String> {
    let known: BTreeSet<_> = listed
        .allowed
        .iter()
        .flat_map(|group| &group.crates)
        .collect();
    let doubled = |name: &str| versions.get(name).is_some_and(|found| found.len() > 1);
    let mut findings = Vec::new();
    for (name, found) in versions
        .iter()
        .filter(|(name, _)| doubled(name) && !known.contains(name))
    {
        let found: Vec<_> = found.iter().map(String::as_str).collect();
        let found = found.join(" and ");
        findings.push(format!(
            "{name} is built in versions {found}: bring them together, or list it in {DUPLICATES}"
        ));
    }
    for name in known.iter().filter(|name| !doubled(name)) {
        findings.push(format!(
            "{name} in {DUPLICATES} has one version now: remove it"
        ));
    }
    for group in listed
        .allowed
        .iter()
        .filter(|group| group.reason.trim().is_empty())
    {
        findings.push(format!(
            "{} in {DUPLICATES} have no reason",
            group.crates.join(", ")
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_in_a_member_is_found() {
        let manifest =
            "[dependencies]\nserde = \"1\"\nclap.workspace = true\n[lints]\nworkspace = true\n";
        let found = manifest_findings("users", &toml::from_str(manifest).unwrap());
        assert_eq!(
            found,
            ["users takes serde by itself instead of from the workspace"]
        );
    }

    #[test]
    fn an_unlisted_duplicate_and_a_stale_entry_are_found() {
        let two = BTreeSet::from(["1.0.0".to_owned(), "2.0.0".to_owned()]);
        let versions = BTreeMap::from([("syn".to_owned(), two)]);
        let listed = "[[allowed]]\nreason = \"old\"\ncrates = [\"hashbrown\"]\n";
        let listed = toml::from_str(listed).unwrap();
        assert_eq!(duplicate_findings(&versions, &listed).len(), 2);
    }
}
