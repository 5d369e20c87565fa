//! `cargo mesh check`: what a reviewer would run, all of it, then one line on each part that failed.

mod dependencies;

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::{generate, mesh, services};

/// Checks the checkout.
pub fn run() -> Result<ExitCode> {
    let checkout = mesh::checkout()?;
    let cargo = |arguments: &[&str]| -> Result<Vec<String>> {
        let mut command = services::cargo(&checkout);
        command.args(arguments).env("RUSTDOCFLAGS", "-D warnings");
        let passed = command.status().context("cannot run cargo")?.success();
        Ok(if passed { Vec::new() } else { vec![format!("`cargo {}` found what is printed above", arguments.join(" "))] })
    };
    let mut findings = Vec::new();
    let mut part = |title: &str, found: Result<Vec<String>>| {
        let found = found.unwrap_or_else(|error| vec![format!("{error:#}")]);
        println!("{} {title}", if found.is_empty() { "✓" } else { "✗" });
        findings.extend(found.into_iter().map(|finding| format!("{title}: {finding}")));
    };
    part("format", cargo(&["fmt", "--all", "--check"]));
    part("dependency rules", dependencies::findings(&checkout));
    part("lints", cargo(&["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]));
    part("docs", cargo(&["doc", "--quiet", "--workspace", "--no-deps", "--document-private-items"]));
    part("generated files", generated(&checkout));
    for finding in &findings {
        println!("! {finding}");
    }
    println!("{}", if findings.is_empty() { "everything is in order" } else { "not in order yet" });
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn generated(checkout: &std::path::Path) -> Result<Vec<String>> {
    let table = services::table(checkout)?;
    let descriptions = generate::describe(checkout, &table)?;
    let changed = generate::differences(checkout, &descriptions, &table)?;
    Ok(changed.into_iter().map(|path| format!("{path} is not what the code says: run `cargo mesh generate`")).collect())
}
