//! Fan-out of one message to the sockets of one instance of `live`.
//!
//! The message comes over Redis, as from another instance. Both the service and the bare loop are
//! processes of their own, hold as many sockets, and take turns.

use std::{
    fs,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use testkit::{
    Process,
    redis::{Publisher, RedisServer},
};

use crate::{bare::Bare, clients::Clients};

/// The last delivery takes at most so many times that of the bare loop.
const MAX_RATIO: f64 = 2.0;
/// KiB that an idle socket takes at most.
const MAX_MEMORY: f64 = 20.0;
/// A comment of the usual length.
const TEXT: &str = "It is as quiet as a library and pulls like a train: never going back";

/// What is measured.
#[derive(clap::Args)]
pub struct Options {
    /// Sockets of the instance
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..=25_000))]
    sockets: u32,
    /// Messages to all of them
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rounds: u32,
}

/// Measures and prints; fails when a claim does not hold.
pub fn run(options: &Options) -> Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new()?;
    let kept = runtime.block_on(measure(options.sockets as usize, options.rounds))?;
    Ok(if kept {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn measure(sockets: usize, rounds: u32) -> Result<bool> {
    let redis = RedisServer::start();
    let service = start(&redis)?;
    let address = service.address();
    let before = memory(service.id())?;
    let listeners = Clients::open(address, Some("/ws/topics/fan-out"), sockets).await?;
    let memory = (memory(service.id())? - before) / number(sockets);
    let frame = json!({"event": "message", "data": {"user_id": 7, "comment_text": TEXT}});
    let frame = frame.to_string();
    let mut bare = Bare::start(sockets, &frame)?;
    let others = Clients::open(bare.address, None, sockets).await?;
    let saying = json!({"room": "topics:fan-out", "frame": frame}).to_string();
    let mut speaker = Publisher::connect(&redis.url())?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..=rounds {
        let begin = Instant::now();
        let heard = speaker.say("live:rooms", saying.as_bytes())?;
        ensure!(heard == 1, "the instance does not listen");
        listeners.round().await?;
        ours.push(begin.elapsed());
        let begin = Instant::now();
        bare.say()?;
        others.round().await?;
        theirs.push(begin.elapsed());
    }
    let (ours, theirs) = (Figures::of(ours), Figures::of(theirs));
    let ratio = ours.median.as_secs_f64() / theirs.median.as_secs_f64();
    println!("one message to {sockets} sockets of one instance, {rounds} times");
    println!("  live        {ours}");
    println!("  bare loop   {theirs}");
    println!("  ratio       {ratio:.2} of the medians; {MAX_RATIO} is allowed");
    println!("  idle socket {memory:.1} KiB; {MAX_MEMORY} are allowed");
    Ok(ratio <= MAX_RATIO && memory <= MAX_MEMORY)
}

/// The service, as people start it.
fn start(redis: &RedisServer) -> Result<Process> {
    let binary = std::env::current_exe()?.with_file_name("live");
    let profile = binary.parent().context("a folder")?.display();
    ensure!(
        binary.is_file(),
        "`live` is missing in {profile}: run `cargo build -p live`, with --release if this is a release build"
    );
    let settings = [
        ("REDIS_URL", redis.url()),
        ("LIVE_SOCKETS", "30000".to_owned()),
        ("LIVE_SOCKETS_PER_ADDRESS", "30000".to_owned()),
        ("LIVE_SOCKETS_PER_ADDRESS_IN_ALL", "30000".to_owned()),
        ("RUST_LOG", "info".to_owned()),
    ];
    let settings = settings.each_ref().map(|(name, value)| (*name, &value[..]));
    Ok(Process::start(
        &binary.display().to_string(),
        &["serve"],
        &settings,
    ))
}

/// KiB that a process has for itself.
fn memory(process: u32) -> Result<f64> {
    let maps = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
    let line = maps.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    Ok(kib.context("no PSS in smaps_rollup")?.parse()?)
}

fn number(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

/// How long rounds took.
struct Figures {
    median: Duration,
    best: Duration,
    worst: Duration,
}

impl Figures {
    /// The first round warms up and does not count.
    fn of(mut rounds: Vec<Duration>) -> Self {
        rounds.remove(0);
        rounds.sort_unstable();
        Self {
            median: rounds[rounds.len() / 2],
            best: rounds[0],
            worst: rounds[rounds.len() - 1],
        }
    }
}

impl std::fmt::Display for Figures {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let (median, best, worst) = (ms(self.median), ms(self.best), ms(self.worst));
        write!(
            formatter,
            "median {median:.1} ms, best {best:.1}, worst {worst:.1}"
        )
    }
}
