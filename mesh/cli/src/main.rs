//! The `cargo mesh` command: brings a whole mesh up on one machine, takes it down, checks and tests it.
//!
//! Everything that runs is a real program under process-compose; this binary gets the programs, writes their settings,
//! starts them and waits until each service answers through the ingress.
#![expect(
    clippy::print_stdout,
    reason = "a command line tool talks on its standard output"
)]

mod agent;
mod check;
mod compose;
mod consul;
mod container;
mod dead_letters;
mod demo;
mod documents;
mod down;
mod edge;
mod generate;
#[cfg(test)]
mod guides;
mod keeper;
mod limits;
mod logs;
mod measure;
mod mesh;
mod observe;
mod ports;
mod priorities;
mod processes;
mod progress;
mod proxy;
mod random;
mod ready;
mod rotate;
mod scaling;
mod secrets;
mod services;
mod setup;
mod ship;
mod starts;
mod status;
mod stores;
mod supervisor;
mod template;
mod test;
mod tools;
mod up;
mod why;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use loopback as http;

use crate::mesh::Mesh;

/// Runs Plaza as a real service mesh on this machine.
#[derive(Parser)]
#[command(name = "cargo mesh", bin_name = "cargo mesh", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Gets what is missing, builds, starts everything and waits until every service answers.
    Up(up::Options),
    /// Stops everything; the data stays.
    Down(down::Options),
    /// Shows every process with its memory.
    Status(status::Options),
    /// Shows what processes wrote.
    Logs(logs::Options),
    /// Tells what became of one request, in one timeline, and why.
    Why(why::Options),
    /// Makes a secret anew and ends the one before, which may be known to others.
    #[command(subcommand)]
    Rotate(rotate::Command),
    /// Writes users and passwords for stores that are run by others, and the URLs that services need.
    Stores(stores::Options),
    /// Shows what consumers of events could not handle, and sends it again.
    DeadLetters(dead_letters::Options),
    /// Writes the files that follow from the services' route tables.
    Generate,
    /// Runs what a reviewer would run: format, lints, docs, dependency rules, generated files.
    Check,
    /// Sends load on all products at a fixed rate, checks every answer, and reports.
    #[command(disable_help_flag = true)]
    Load(measure::Options),
    /// Measures what is claimed about speed and memory.
    #[command(disable_help_flag = true)]
    Bench(measure::Options),
    /// Runs every test there is, on a mesh of its own.
    Test(test::Options),
    /// Applies settings to a running Consul (started by the supervisor).
    #[command(hide = true)]
    Setup(setup::Options),
    /// What containers run (see `docker-compose.yml`).
    #[command(hide = true, subcommand)]
    Container(container::Command),
    /// Becomes the Consul agent (started by the supervisor).
    #[command(hide = true)]
    Agent(Internal),
    /// Keeps registrations and Prometheus's targets (started by the supervisor).
    #[command(hide = true)]
    Keeper(Internal),
    /// Becomes the Envoy of one instance (started by the supervisor).
    #[command(hide = true)]
    Proxy(proxy::Options),
}

/// How a command that the supervisor starts finds its mesh.
#[derive(Args)]
struct Internal {
    /// The state folder of the mesh.
    #[arg(long)]
    state: PathBuf,
}

fn main() -> ExitCode {
    limits::raise_open_files();
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("cargo mesh: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Up(options) => up::run(&options),
        Command::Down(options) => down::run(&options),
        Command::Status(options) => status::run(&options),
        Command::Logs(options) => logs::run(&options),
        Command::Why(options) => why::run(&options),
        Command::Rotate(command) => rotate::run(&command),
        Command::Stores(options) => stores::run(&options),
        Command::DeadLetters(options) => dead_letters::run(&options),
        Command::Generate => generate::run(),
        Command::Check => check::run(),
        Command::Load(options) => measure::load(&options),
        Command::Bench(options) => measure::bench(&options),
        Command::Test(options) => test::run(&options),
        Command::Setup(options) => setup::run(&options),
        Command::Container(command) => container::run(&command),
        Command::Agent(internal) => agent::run(&Mesh::load(&internal.state)?),
        Command::Keeper(internal) => keeper::run(&Mesh::load(&internal.state)?),
        Command::Proxy(options) => proxy::run(&options),
    }
}
