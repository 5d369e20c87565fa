//! The mesh in containers: what each container of `docker-compose.yml` runs beside the program it is for.
//!
//! The same settings, policies and bootstrap as on one machine, with names of containers for `127.0.0.1`. A service and its Envoy
//! live in one container: they share its network, so the application listens on loopback alone, and they scale as one.

mod instance;
mod prepare;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

/// What a container does.
#[derive(Subcommand)]
pub enum Command {
    /// Makes secrets and settings, once; again, it changes nothing.
    Prepare(prepare::Options),
    /// Runs an instance of a service and its Envoy, or the ingress.
    Run(instance::Options),
    /// Does what operators ask the service of this container for, beside it.
    Operate(instance::Operate),
    /// Ends with 0 if this container's Envoy is ready, and its application.
    Health(instance::Options),
}

/// Does it.
pub fn run(command: &Command) -> Result<ExitCode> {
    match command {
        Command::Prepare(options) => prepare::run(options),
        Command::Run(options) => instance::run(options),
        Command::Operate(options) => instance::operate(options),
        Command::Health(options) => instance::health(options),
    }
}
