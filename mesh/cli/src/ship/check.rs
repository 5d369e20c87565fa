//! Reads what leaves the checkout with the parsers of those it is for, and compares it with the table of services.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{api, compare, local};
use crate::services::{Description, Table};
use crate::tools::{self, Checkers};

/// Values for what production asks for; nothing of this is ever run.
pub const PRODUCTION: &str = "PLAZA_ORIGIN=https://plaza.example.com,PLAZA_CERTIFICATES=./consul,SMTP_HOST=mail.example.com,\
    SMTP_USERNAME=plaza,SMTP_PASSWORD=x,MAIL_FROM=plaza@example.com,GRAFANA_PASSWORD=x,ALERT_SMTP_HOST=mail.example.com,\
    ALERT_SMTP_USERNAME=plaza,ALERT_SMTP_PASSWORD=x,ALERT_FROM=a@example.com,ALERT_PAGES=p@example.com,ALERT_TICKETS=t@example.com";

pub const BASE: &str = "docker-compose.yml";
pub const DEVELOPMENT: &str = "docker-compose.override.yml";
pub const OVERLAY: &str = "docker-compose.prod.yml";
/// What lints an `OpenAPI` document.
const LINTER: &str = "mesh/tools/openapi/lint.js";
const CHART: &str = "deploy/helm";

/// Values files of the chart that have to work, one after the other.
const INSTALLATIONS: &[&[&str]] = &[
    &[],
    &["--values=deploy/helm/values-production.yaml"],
    &["--set=scaling.by=cpu,telemetry.otlp=,networkPolicies.enabled=false"],
];

/// Returns what is wrong.
pub fn findings(
    checkout: &Path,
    table: &Table,
    descriptions: &[Description],
) -> Result<Vec<String>> {
    let tools = tools::checkers(checkout)?;
    let mut found = Vec::new();
    let development = compose(&tools, checkout, "", &[BASE, DEVELOPMENT])?;
    found.extend(compare::compose(&development, table, descriptions));
    found.extend(local::ports(&development));
    let here = local::project(checkout, table)?;
    found.extend(local::findings(&here, table, descriptions));
    let production = compose(&tools, checkout, PRODUCTION, &[BASE, OVERLAY])?;
    found.extend(compare::compose(&production, table, descriptions));
    found.extend(compare::published(&production));
    if compose(&tools, checkout, "", &[BASE, OVERLAY]).is_ok() {
        found.push(format!("{OVERLAY} starts without its secrets"));
    }
    let mut hadolint = Command::new(&tools.hadolint);
    hadolint.arg("services/Dockerfile");
    found.extend(complaint(hadolint, checkout, "hadolint")?);
    found.extend(lint(checkout, Path::new(api::DOCUMENT))?);
    let mut lint = Command::new(&tools.helm);
    lint.args(["lint", "--strict", "--quiet", CHART]);
    found.extend(complaint(lint, checkout, "helm lint")?);
    for values in INSTALLATIONS {
        let rendered = render(&tools, checkout, values)?;
        found.extend(conform(&tools, checkout, &rendered)?);
        let objects = documents(&tools, &rendered)?;
        found.extend(compare::chart(&objects, table, descriptions));
    }
    Ok(found)
}

fn run(command: &mut Command, checkout: &Path) -> Result<Output> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.current_dir(checkout).output();
    output.with_context(|| format!("cannot run {name}"))
}

/// Returns what a linter says when it is not content.
fn complaint(mut command: Command, checkout: &Path, name: &str) -> Result<Option<String>> {
    let output = run(&mut command, checkout)?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).trim().to_owned();
    Ok((!output.status.success()).then(|| format!("{name}: {said}")))
}

/// Lints an `OpenAPI` document.
fn lint(checkout: &Path, document: &Path) -> Result<Option<String>> {
    let mut node = Command::new("node");
    node.env("LINTER", tools::OPENAPI.get_missing(checkout)?)
        .arg(LINTER)
        .arg(document);
    let found = complaint(node, checkout, &document.display().to_string());
    found.context("Node.js is missing: run `sudo apt-get install nodejs npm`")
}

/// Returns a project as Docker Compose sees it.
pub fn compose(
    tools: &Checkers,
    checkout: &Path,
    variables: &str,
    files: &[&str],
) -> Result<Value> {
    let mut command = Command::new(&tools.compose);
    command
        .args(["-folder", ".", "-env", variables])
        .args(files);
    let output = run(&mut command, checkout)?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        bail!("{}: {}", files.join(" with "), reason.trim());
    }
    serde_json::from_slice(&output.stdout).context("the project is not JSON")
}

pub fn render(tools: &Checkers, checkout: &Path, values: &[&str]) -> Result<Vec<u8>> {
    let mut command = Command::new(&tools.helm);
    command
        .args(["template", "plaza", CHART, "--kube-version=1.35.0"])
        .args(values);
    let output = run(&mut command, checkout)?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        bail!("helm template {}: {}", values.join(" "), reason.trim());
    }
    Ok(output.stdout)
}

/// Holds rendered objects against the schemas of their kinds; a kind without a schema is a finding too.
fn conform(tools: &Checkers, checkout: &Path, rendered: &[u8]) -> Result<Option<String>> {
    let file = std::env::temp_dir().join(format!("plaza-rendered-{}.yaml", std::process::id()));
    std::fs::write(&file, rendered)?;
    let mut command = Command::new(&tools.kubeconform);
    let own = format!("{CHART}/schemas/{{{{.ResourceKind}}}}_{{{{.ResourceAPIVersion}}}}.json");
    let kubernetes = format!(
        "{}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json",
        tools.schemas.display()
    );
    command
        .args(["-strict", "-schema-location", &kubernetes])
        .args(["-schema-location", &own])
        .arg(&file);
    let found = complaint(command, checkout, "kubeconform");
    std::fs::remove_file(&file)?;
    found
}

/// Returns rendered objects as JSON.
pub fn documents(tools: &Checkers, rendered: &[u8]) -> Result<Vec<Value>> {
    let file = std::env::temp_dir().join(format!("plaza-objects-{}.yaml", std::process::id()));
    std::fs::write(&file, rendered)?;
    let output = Command::new(&tools.compose)
        .arg("-documents")
        .arg(&file)
        .output()?;
    std::fs::remove_file(&file)?;
    serde_json::from_slice(&output.stdout).context("the chart's objects are not YAML")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesh;

    #[test]
    fn s4_25_a_broken_document_is_found() {
        let checkout = mesh::checkout().unwrap();
        let document = std::env::temp_dir().join(format!("plaza-lint-{}.yaml", std::process::id()));
        let text = std::fs::read_to_string(checkout.join(api::DOCUMENT)).unwrap();
        let found = |text: &str| {
            std::fs::write(&document, text).unwrap();
            let found = lint(&checkout, &document).unwrap();
            std::fs::remove_file(&document).unwrap();
            found.unwrap_or_default()
        };

        assert_eq!(found(&text), "");
        for (sound, broken, rule) in [
            ("bearer: []", "barer: []", "security-defined"),
            ("security: []", "deprecated: false", "security-defined"),
            ("/Problem\"", "/Problems\"", "no-unresolved-refs"),
            ("rating: 4", "rating: \"4\"", "no-invalid-schema-examples"),
        ] {
            assert!(text.contains(sound), "{sound}");
            let found = found(&text.replacen(sound, broken, 1));
            assert!(found.contains(rule), "{broken}: {found}");
        }
    }
}
