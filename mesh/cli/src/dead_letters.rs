//! `cargo mesh dead-letters`: what consumers could not handle, read and sent again.
//!
//! A program of the messaging crate does the work, so that this one need not know AMQP and stays quick to compile.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};

use crate::mesh::Mesh;
use crate::{ports, services};

/// The package and its program.
const PACKAGE: &str = "mesh-messaging";
const PROGRAM: &str = "dead-letters";

/// What is done with them.
#[derive(Args)]
#[command(after_help = "Examples:
  cargo mesh dead-letters list timelines.follows
  cargo mesh dead-letters replay timelines.follows 01997f6e-5d0c-7c3a-9c43-3e1f2b7d8a10
  cargo mesh dead-letters replay timelines.follows    # all of them

Which queues have some is in the metric queue_dead_letters: ask Prometheus for `queue_dead_letters > 0`.")]
pub struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Shows the dead letters of a queue with the reason of each, the oldest first; they stay where they are.
    List {
        /// The consumer's queue, for example `timelines.follows`.
        queue: String,
        /// How many at most.
        #[arg(short = 'n', long, default_value_t = 100)]
        limit: usize,
        /// Prints JSON, one a line, with the whole message.
        #[arg(long)]
        json: bool,
    },
    /// Sends dead letters to their consumer again, as new.
    Replay {
        /// The consumer's queue, for example `timelines.follows`.
        queue: String,
        /// Ids of events (all of them when none is named).
        ids: Vec<String>,
    },
}

/// Asks the broker of the development mesh.
pub fn run(options: &Options) -> Result<ExitCode> {
    let mesh = Mesh::development(false)?;
    if ports::is_free(mesh.port("rabbitmq")) {
        bail!("the broker of this mesh does not run: start it by `cargo mesh up`");
    }
    build(&mesh)?;
    let program = services::target(&mesh.checkout, false).join(PROGRAM);
    let broker = mesh.broker(&format!("127.0.0.1:{}", mesh.port("rabbitmq")))?;
    let status = Command::new(&program)
        .args(arguments(&options.action))
        // In the environment: what is on a command line is seen by everybody.
        .env("AMQP_URL", broker)
        .status()
        .with_context(|| format!("cannot run {}", program.display()))?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Builds the program as a part of what `up` builds, so that nothing has to be compiled for it alone.
fn build(mesh: &Mesh) -> Result<()> {
    let mut cargo = services::cargo(&mesh.checkout);
    cargo.args(["build", "--quiet", "--bin", PROGRAM, "--package", PACKAGE]);
    for service in mesh.table()?.keys() {
        cargo.args(["--package", service]);
    }
    if !cargo.status().context("cannot run cargo")?.success() {
        bail!("the build of {PACKAGE} failed: fix what the compiler says above and run this again");
    }
    Ok(())
}

fn arguments(action: &Action) -> Vec<String> {
    match action {
        Action::List { queue, limit, json } => {
            let json = json.then(|| "--json".to_owned());
            let fixed = ["list".to_owned(), format!("--limit={limit}")];
            let queue = ["--".to_owned(), queue.clone()];
            fixed.into_iter().chain(json).chain(queue).collect()
        }
        Action::Replay { queue, ids } => ["replay", "--", queue]
            .into_iter()
            .chain(ids.iter().map(String::as_str))
            .map(str::to_owned)
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_ids_are_never_taken_for_options() {
        let replay = Action::Replay {
            queue: "timelines.follows".to_owned(),
            ids: vec!["--all".to_owned()],
        };
        assert_eq!(
            arguments(&replay),
            ["replay", "--", "timelines.follows", "--all"]
        );
        let list = Action::List {
            queue: "-x".to_owned(),
            limit: 5,
            json: true,
        };
        assert_eq!(
            arguments(&list),
            ["list", "--limit=5", "--json", "--", "-x"]
        );
    }
}
