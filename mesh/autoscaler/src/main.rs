//! The binary of [`mesh_autoscaler`].

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::Parser;

/// Runs as many instances of each service as its load needs.
#[derive(Debug, Parser)]
#[command(name = "autoscaler", version)]
struct Cli {
    /// The file that says what to scale, by what, and whom to ask; read again in every round
    #[arg(long, env = "AUTOSCALER_PLAN")]
    plan: PathBuf,
    /// Where `/livez` and `/metrics` are
    #[arg(long, env = "ADMIN_ADDR", default_value = "127.0.0.1:0")]
    admin: SocketAddr,
    /// What is logged
    #[arg(long, env = "RUST_LOG", default_value = "info")]
    filter: String,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let telemetry = telemetry::init(&telemetry::Settings {
        service: "autoscaler",
        instance: "autoscaler".to_owned(),
        otlp_endpoint: None,
        filter: cli.filter,
    });
    let ended = telemetry.and_then(|_guard| mesh_autoscaler::run(&cli.plan, cli.admin));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("autoscaler: {error:#}");
            ExitCode::FAILURE
        }
    }
}
