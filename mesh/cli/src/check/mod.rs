//! `cargo mesh check`: what a reviewer would run, all of it, then one line on each part that failed.

mod dependencies;
mod supply;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::services::{self, Description, Table};
use crate::{generate, mesh, observe, ship};

/// Parts that are cargo's own work.
const CARGO: &[(&str, &str)] = &[
    ("format", "fmt --all --check"),
    (
        "lints",
        "clippy --quiet --workspace --all-targets -- -D warnings",
    ),
    (
        "docs",
        "doc --quiet --workspace --no-deps --document-private-items",
    ),
];

/// Checks the checkout.
pub fn run() -> Result<ExitCode> {
    let checkout = mesh::checkout()?;
    let mut findings = Vec::new();
    for (title, command) in CARGO {
        findings.extend(report(title, cargo(&checkout, command)));
    }
    let metadata = dependencies::metadata(&checkout)?;
    let rules = dependencies::findings(&checkout, &metadata);
    findings.extend(report("dependency rules", rules));
    let supply = supply::findings(&checkout, &metadata);
    findings.extend(report("licences and sources", supply));
    match supply::advisories(&checkout, &metadata).transpose() {
        Some(holes) => findings.extend(report("known advisories", holes)),
        None => println!("- known advisories: skipped, {}", supply::NO_DATABASE),
    }
    let (table, descriptions) = described(&checkout)?;
    let generated = generated(&checkout, &table, &descriptions);
    findings.extend(report("generated files", generated));
    let shipped = ship::findings(&checkout, &table, &descriptions);
    findings.extend(report("images, compose files, chart", shipped));
    findings.extend(report("alerts", observe::findings(&checkout)));
    for finding in &findings {
        println!("! {finding}");
    }
    if findings.is_empty() {
        println!("everything is in order");
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}

/// Says how a part went and returns what it found.
fn report(title: &str, found: Result<Vec<String>>) -> Vec<String> {
    let found = found.unwrap_or_else(|error| vec![format!("{error:#}")]);
    println!("{} {title}", if found.is_empty() { "✓" } else { "✗" });
    let findings = found.into_iter();
    findings
        .map(|finding| format!("{title}: {finding}"))
        .collect()
}

fn cargo(checkout: &Path, arguments: &str) -> Result<Vec<String>> {
    let mut command = services::cargo(checkout);
    command
        .args(arguments.split(' '))
        .env("RUSTDOCFLAGS", "-D warnings");
    if command.status().context("cannot run cargo")?.success() {
        return Ok(Vec::new());
    }
    Ok(vec![format!(
        "`cargo {arguments}` found what is printed above"
    )])
}

fn described(checkout: &Path) -> Result<(Table, Vec<Description>)> {
    let table = services::table(checkout)?;
    let descriptions = generate::describe(checkout, &table)?;
    Ok((table, descriptions))
}

fn generated(checkout: &Path, table: &Table, descriptions: &[Description]) -> Result<Vec<String>> {
    let files = generate::all(checkout, table, descriptions)?;
    let changed = generate::differences(checkout, &files);
    let advice = "is not what the code says: run `cargo mesh generate`";
    Ok(changed
        .into_iter()
        .map(|path| format!("{path} {advice}"))
        .collect())
}
