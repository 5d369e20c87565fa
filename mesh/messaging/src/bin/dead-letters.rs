//! Reads and replays dead letters; `cargo mesh dead-letters` runs it with the mesh's addresses.

#![expect(clippy::print_stdout, reason = "the result is what it prints")]

use std::net::SocketAddr;

use clap::{Parser, Subcommand};
use discovery::Dns;
use mesh_messaging::{Broker, Settings, dead_letters};

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
    /// Prints dead letters as JSON, one a line, the oldest first; they stay where they are
    List {
        /// The consumer's queue, `timelines.follows`
        queue: String,
        /// How many at most
        #[arg(long, default_value_t = 100)]
        limit: usize,
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
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let dns = Dns::new(cli.consul_dns_addr)?;
    let broker = Broker::operated(&cli.settings, &dns)?;
    match cli.command {
        Command::List { queue, limit } => {
            for letter in dead_letters::list(&broker, &queue, limit).await? {
                println!("{}", serde_json::to_string(&letter)?);
            }
        }
        Command::Replay { queue, ids } => {
            let ids = (!ids.is_empty()).then_some(ids.as_slice());
            let replayed = dead_letters::replay(&broker, &queue, ids).await?;
            println!("{replayed} replayed");
        }
    }
    Ok(())
}
