//! `cargo mesh status`: every process, its state and its memory.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::json;

use crate::mesh::Mesh;
use crate::supervisor::{Process, Supervisor};
use crate::{processes, scaling, starts};

/// How the status is shown.
#[derive(Args)]
pub struct Options {
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

struct Row {
    name: String,
    state: String,
    pid: u32,
    memory: u64,
    /// Milliseconds until it was ready, where that is known.
    start: Option<u64>,
    restarts: u32,
}

/// Shows the development mesh; fails when it does not run.
pub fn run(options: &Options) -> Result<ExitCode> {
    let mesh = Mesh::development(false)?;
    let Ok(processes) = Supervisor::of(&mesh).processes() else {
        let left = processes::of_mesh(&mesh.state).len();
        println!(
            "{}",
            if left == 0 {
                "the mesh is down".to_owned()
            } else {
                format!(
                    "the supervisor is gone, {left} processes run without it: `cargo mesh up` heals"
                )
            }
        );
        return Ok(ExitCode::FAILURE);
    };
    let rows = rows(&mesh, &processes)?;
    if options.json {
        println!("{:#}", as_json(&rows));
    } else {
        print(&rows);
    }
    Ok(ExitCode::SUCCESS)
}

fn rows(mesh: &Mesh, processes: &[Process]) -> Result<Vec<Row>> {
    let idle = scaling::idle_processes(&mesh.table()?);
    let tree = processes::children();
    let supervised: Vec<u32> = processes.iter().map(|process| process.pid).collect();
    let mut rows: Vec<_> = processes
        .iter()
        .filter(|process| process.is_running || !idle.contains(&process.name))
        .map(|process| Row {
            name: process.name.clone(),
            state: process.status.to_lowercase(),
            pid: if process.is_running { process.pid } else { 0 },
            memory: if process.is_running {
                processes::tree_memory(process.pid, &tree)
            } else {
                0
            },
            start: if process.is_running {
                starts::of(mesh, &process.name, process.pid)
            } else {
                None
            },
            restarts: process.restarts,
        })
        .collect();
    let supervisors = processes::of_mesh(&mesh.state).into_iter();
    let own = supervisors.filter(|id| {
        supervised
            .iter()
            .any(|pid| tree.get(id).is_some_and(|children| children.contains(pid)))
    });
    for pid in own.filter(|id| !supervised.contains(id)) {
        let memory = processes::memory(pid);
        rows.push(Row {
            name: "process-compose".to_owned(),
            state: "running".to_owned(),
            pid,
            memory,
            start: None,
            restarts: 0,
        });
    }
    Ok(rows)
}

fn as_json(rows: &[Row]) -> serde_json::Value {
    let each: Vec<_> = rows
        .iter()
        .map(|row| json!({ "name": row.name, "state": row.state, "pid": row.pid, "memory_kib": row.memory, "start_ms": row.start, "restarts": row.restarts }))
        .collect();
    json!({ "processes": each, "memory_kib": total(rows) })
}

fn total(rows: &[Row]) -> u64 {
    rows.iter().map(|row| row.memory).sum()
}

fn print(rows: &[Row]) {
    let width = rows
        .iter()
        .map(|row| row.name.len())
        .max()
        .unwrap_or(0)
        .max(7);
    println!(
        "{:width$}  {:10} {:>8} {:>10} {:>8} {:>8}",
        "PROCESS", "STATE", "PID", "MEMORY", "START", "RESTARTS"
    );
    for row in rows {
        println!(
            "{:width$}  {:10} {:>8} {:>10} {:>8} {:>8}",
            row.name,
            row.state,
            row.pid,
            megabytes(row.memory),
            row.start
                .map_or_else(|| "-".to_owned(), |start| format!("{start} ms")),
            row.restarts
        );
    }
    println!(
        "{:width$}  {:10} {:>8} {:>10}",
        "total",
        "",
        "",
        megabytes(total(rows))
    );
}

fn megabytes(kib: u64) -> String {
    let tenths = kib * 10 / 1024;
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_shown_in_tenths_of_a_mebibyte() {
        assert_eq!(megabytes(1536), "1.5 MiB");
        assert_eq!(megabytes(0), "0.0 MiB");
    }
}
