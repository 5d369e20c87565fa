//! Reads and replays dead letters; `cargo mesh dead-letters` runs it with the mesh's addresses.

#![expect(clippy::print_stdout, reason = "the result is what it prints")]
#![expect(clippy::print_stderr, reason = "so is what went wrong")]

use std::{net::SocketAddr, process::ExitCode};

use clap::{Parser, Subcommand};
use discovery::Dns;
use mesh_messaging::{
    Broker, Settings,
    dead_letters::{self, DeadLetter},
};

#[derive(Debug, Parser)]
#[command(version, about = "Dead letters: what a consumer could not handle")]
struct Cli {
    #[command(flatten)]
    settings: Settings,
    /// Address of Consul DNS
    #[arg(long, env = "CONSUL_DNS_ADDR", default_value = "127.0.0.1:8600")]
    consul_dns_addr: SocketAddr,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows dead letters, the oldest first; they stay where they are
    List {
        /// The consumer's queue, `timelines.follows`
        queue: String,
        /// How many at most
        #[arg(long, default_value_t = 100)]
        limit: usize,
        /// Prints JSON, one a line, with the whole message
        #[arg(long)]
        json: bool,
    },
    /// Sends dead letters to their consumer again, as new
    Replay {
        /// The consumer's queue, `timelines.follows`
        queue: String,
        /// Ids of the events [default: all]
        ids: Vec<String>,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dead-letters: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    let dns = Dns::new(cli.consul_dns_addr)?;
    let broker = Broker::operated(&cli.settings, &dns)?;
    match cli.command {
        Command::List { queue, limit, json } => {
            let letters = dead_letters::list(&broker, &queue, limit).await?;
            if json {
                for letter in letters {
                    println!("{}", serde_json::to_string(&letter)?);
                }
            } else {
                let all = dead_letters::waiting(&broker, &queue).await?;
                print(&queue, &letters, all as usize);
            }
        }
        Command::Replay { queue, ids } => {
            let wanted = (!ids.is_empty()).then_some(ids.as_slice());
            let replayed = dead_letters::replay(&broker, &queue, wanted).await?;
            println!("{replayed} replayed");
            anyhow::ensure!(
                replayed >= ids.len(),
                "{} of {} ids are not among the dead letters of {queue}",
                ids.len() - replayed,
                ids.len()
            );
        }
    }
    Ok(())
}

fn print(queue: &str, letters: &[DeadLetter], all: usize) {
    if letters.is_empty() {
        println!("{queue} has no dead letters");
        return;
    }
    println!("{:36}  {:24}  {:>5}  REASON", "ID", "DIED AT", "TRIES");
    for letter in letters {
        println!(
            "{:36}  {:24}  {:>5}  {}",
            one_line(shown(&letter.id)),
            one_line(shown(&letter.died_at)),
            letter.attempts,
            one_line(&letter.reason)
        );
    }
    // What this has looked at is on its way back, and may not be counted yet.
    let all = all.max(letters.len());
    println!("{} of {all}; `--json` shows them whole", letters.len());
}

fn shown(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

/// A stranger may have written it: no line breaks, and nothing that a terminal would obey.
fn one_line(text: &str) -> String {
    let plain = |character: char| {
        if character.is_control() {
            ' '
        } else {
            character
        }
    };
    text.chars().map(plain).collect()
}
