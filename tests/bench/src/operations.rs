//! Reads and writes of each service, each as a ratio against the cheapest answer that comes through the same proxies.

use std::{path::Path, process::ExitCode};

use anyhow::Result;

use crate::mesh::Mesh;

/// How much is measured.
#[derive(clap::Args)]
pub struct Options {
    /// How often each operation is done, one at a time
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    times: u32,
}

/// Measures and prints.
pub fn run(options: &Options, mesh: Option<&Path>) -> Result<ExitCode> {
    let mesh = Mesh::open(mesh)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let rows = runtime.block_on(mesh_load::each(mesh.address("ingress")?, options.times))?;
    println!(
        "{:28} {:>9} {:>9} {:>22}",
        "", "P50 MS", "P99 MS", "MEDIAN TO A BARE ANSWER"
    );
    let mut right = true;
    for (row, bare) in &rows {
        right &= row.wrong == 0 && row.failed == 0;
        let ratio = row.p50_ms / bare.p50_ms.max(0.001);
        println!(
            "{:28} {:>9.2} {:>9.2} {:>22.1}",
            row.name, row.p50_ms, row.p99_ms, ratio
        );
        for (problem, times) in &row.problems {
            println!("! {times} × {problem}");
        }
    }
    Ok(if right {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
