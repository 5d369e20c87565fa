//! What Prometheus's and Alertmanager's own tools say of the files: rules are right, fire when they must and not otherwise, and
//! every alert goes to somebody and has a page that says what to do.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::mails;
use crate::setup;
use crate::template::{self, Values};

/// Labels of an alert and who has to get it.
const ROUTES: &[(&[&str], &str)] = &[
    (&["alertname=RouteErrors", "severity=page"], "page"),
    (&["alertname=RouteErrors", "severity=ticket"], "ticket"),
    (&["alertname=DeadLetters", "severity=ticket"], "ticket"),
    (&["alertname=Watchdog", "severity=none"], "nobody"),
    (&["alertname=Unheard"], "ticket"),
];

/// Returns what is wrong.
pub fn findings(checkout: &Path) -> Result<Vec<String>> {
    let rules = setup::files(&checkout.join(super::RULES), "yaml");
    let tests = setup::files(&checkout.join("observability/prometheus/tests"), "yaml");
    let mut findings = run("promtool", &["check", "rules"], &rules)?;
    findings.extend(run("promtool", &["test", "rules"], &tests)?);
    findings.extend(alertmanager(checkout)?);
    findings.extend(runbooks(checkout, &rules, &tests)?);
    Ok(findings)
}

/// Runs a tool; what it says is a finding when it fails.
fn run(tool: &str, arguments: &[&str], files: &[PathBuf]) -> Result<Vec<String>> {
    let mut command = Command::new(tool);
    let output = command.args(arguments).args(files).output();
    let output = output.with_context(|| format!("cannot run {tool}: run `cargo mesh up` once"))?;
    if output.status.success() {
        return Ok(Vec::new());
    }
    let said = [output.stdout, output.stderr].concat();
    Ok(vec![format!(
        "{tool} {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&said).trim()
    )])
}

/// The settings are right, and what they route arrives.
fn alertmanager(checkout: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(checkout.join(super::ALERTMANAGER))?;
    let mut values = Values::new();
    mails::catcher("127.0.0.1", 1025, &mut values);
    let file = std::env::temp_dir().join(format!("plaza-alertmanager-{}.yml", std::process::id()));
    fs::write(&file, template::fill_text(&text, &values)?)?;
    let findings = routed(&file);
    fs::remove_file(&file)?;
    findings
}

fn routed(file: &Path) -> Result<Vec<String>> {
    let mut findings = run("amtool", &["check-config"], &[file.to_owned()])?;
    let settings = format!("--config.file={}", file.display());
    for (labels, receiver) in ROUTES {
        let wanted = format!("--verify.receivers={receiver}");
        let mut arguments = vec!["config", "routes", "test", &settings, &wanted];
        arguments.extend(*labels);
        findings.extend(run("amtool", &arguments, &[])?);
    }
    Ok(findings)
}

/// Every alert has a runbook and a test; every runbook belongs to an alert, or to none by its name.
fn runbooks(checkout: &Path, rules: &[PathBuf], tests: &[PathBuf]) -> Result<Vec<String>> {
    let (rules, tests) = (read(rules)?, read(tests)?);
    let alerts: BTreeSet<_> = after(&rules, "- alert: ").collect();
    if alerts.is_empty() {
        bail!("no alert is in the rules");
    }
    let links: BTreeSet<_> = after(&rules, "runbook_url: ").collect();
    let mut findings = Vec::new();
    for alert in &alerts {
        let page = format!("docs/runbooks/{alert}.md");
        if !links.contains(page.as_str()) {
            findings.push(format!("{alert} has no runbook_url: {page}"));
        }
        if !checkout.join(&page).is_file() {
            findings.push(format!("{page} is missing"));
        }
        if !tests.contains(alert) {
            findings.push(format!(
                "no test in observability/prometheus/tests has {alert}"
            ));
        }
    }
    for page in setup::files(&checkout.join("docs/runbooks"), "md") {
        let name = page.file_stem().unwrap_or_default().to_string_lossy();
        if name.starts_with(char::is_uppercase) && !alerts.contains(&*name) {
            findings.push(format!("no alert is called {name}, but a runbook is"));
        }
    }
    Ok(findings)
}

fn read(files: &[PathBuf]) -> Result<String> {
    let texts = files.iter().map(fs::read_to_string);
    Ok(texts.collect::<std::io::Result<Vec<_>>>()?.join("\n"))
}

/// Returns what follows a word on the lines that have it.
fn after<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines()
        .filter_map(move |line| Some(line.split_once(word)?.1.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alert_fires_in_a_test_and_has_a_runbook() {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let rules = setup::files(&checkout.join("observability/prometheus/rules"), "yaml");
        let tests = setup::files(&checkout.join("observability/prometheus/tests"), "yaml");
        assert_eq!(runbooks(&checkout, &rules, &tests).unwrap(), [""; 0]);
    }
}
