//! Measures what is claimed about speed and memory, each against something bare in the same run.
//!
//! `cargo run --release -p bench -- fan-out` after `cargo build --release -p live`: the service is
//! the binary beside this one. What measures a running mesh is `cargo mesh bench tax`, and so on.
#![expect(
    clippy::print_stdout,
    reason = "a command line tool talks on its standard output"
)]

mod bare;
mod bare_proxy;
mod clients;
mod fan_out;
mod mesh;
mod operations;
mod tax;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(version, about)]
struct Cli {
    /// The file of a running mesh, for what measures one
    #[arg(long, value_name = "FILE")]
    mesh: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// One message to many sockets of one instance of `live`, and what an idle socket costs it.
    FanOut(fan_out::Options),
    /// What the mesh costs a request: with proxies and without, in one run.
    Tax(tax::Options),
    /// What each setting of telemetry costs, in a table.
    Telemetry(tax::Options),
    /// Reads and writes of each service, against a bare answer in the same run.
    Operations(operations::Options),
    /// Writes one prepared frame to each connection for each line that it reads.
    #[command(hide = true)]
    BareLoop(bare::Options),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mesh = cli.mesh.as_deref();
    let done = match cli.command {
        Command::FanOut(options) => fan_out::run(&options),
        Command::Tax(options) => tax::tax(&options, mesh),
        Command::Telemetry(options) => tax::telemetry(&options, mesh),
        Command::Operations(options) => operations::run(&options, mesh),
        Command::BareLoop(options) => bare::run(&options),
    };
    done.unwrap_or_else(|error| {
        eprintln!("bench: {error:#}");
        ExitCode::FAILURE
    })
}
