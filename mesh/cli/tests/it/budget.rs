//! Claim: every process stays within the memory and the start time that the README states.
//!
//! The table there has a row for each kind of process: `| name | MiB | s |`. A name is that of a process, of a service without
//! its number, `service` for those that have no row of their own, `sidecar` for Envoys, `everything` for the sum.

use std::{collections::BTreeMap, fs};

use serde_json::Value;

use crate::own_mesh::checkout;

/// The heading over the table.
const HEADING: &str = "## The budget";

/// MiB and seconds by kind of process.
type Budget = BTreeMap<String, (f64, Option<f64>)>;

fn budget() -> Budget {
    let readme = fs::read_to_string(checkout().join("README.md")).unwrap();
    let (_, section) = readme.split_once(HEADING).expect("the README has a budget");
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let memory = cells.get(1)?.parse().ok()?;
        let start = cells.get(2).and_then(|cell| cell.parse().ok());
        Some((cells[0].trim_matches('`').to_owned(), (memory, start)))
    });
    rows.collect()
}

/// The row that a process belongs to.
fn kind<'a>(budget: &'a Budget, process: &'a str) -> &'a str {
    if process == "ingress" || process.ends_with("-envoy") {
        return "sidecar";
    }
    let name = process.trim_end_matches(|last: char| last.is_ascii_digit());
    let name = name.trim_end_matches('-');
    if budget.contains_key(name) {
        name
    } else {
        "service"
    }
}

/// Compares what `cargo mesh status --json` says with the README. Start times are compared with ten times the budget: the machine
/// of a test may do ten things beside it.
#[track_caller]
pub fn holds(status: &Value) {
    let budget = budget();
    let mut broken = Vec::new();
    let mut over = |name: &str, what: &str, found: f64, allowed: f64| {
        if found > allowed {
            broken.push(format!("{name}: {found:.1} {what}, {allowed} are stated"));
        }
    };
    let mib = |kib: &Value| kib.as_f64().unwrap_or_default() / 1024.0;
    for process in status["processes"].as_array().unwrap() {
        let name = process["name"].as_str().unwrap();
        let (memory, start) = budget[kind(&budget, name)];
        over(name, "MiB", mib(&process["memory_kib"]), memory);
        if let (Some(start), Some(found)) = (start, process["start_ms"].as_f64()) {
            over(name, "s to start", found / 1000.0, start * 10.0);
        }
    }
    let all = budget["everything"].0;
    over("everything", "MiB", mib(&status["memory_kib"]), all);
    assert!(broken.is_empty(), "{broken:#?}");
}
