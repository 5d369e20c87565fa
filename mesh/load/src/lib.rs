//! Load on all products through the ingress: so many operations a second, whatever the answers do.
//!
//! Most load tools have users who wait for an answer before they ask again, so a slow system is asked less and looks
//! better than it is (goose and most others are of that kind, which is why this is our own). Here each operation has a
//! moment at which it is meant to start, and its latency counts from then, also when it started late. Answers are
//! checked: a wrong one is reported and is no throughput.

mod journeys;
mod record;
mod report;
mod world;

use std::{
    fs,
    io::IsTerminal as _,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use tokio::time::{Instant, sleep_until};
use tokio_util::task::TaskTracker;

pub use crate::{
    journeys::PRODUCTS,
    report::{Report, Row, Step},
};
use crate::{
    journeys::{Operation, operations},
    record::{Outcome, Recorder},
    world::World,
};

/// Operations that are under way at most: beyond it they count as failed at once, and the load stays what it is.
const MOST_UNDER_WAY: usize = 10_000;
/// After the last start, answers may take this long.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is sent, and for how long.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "cargo mesh load", bin_name = "cargo mesh load")]
pub struct Options {
    /// Where the mesh is entered
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    pub ingress: String,
    /// How much, how long
    #[command(flatten)]
    pub shape: Shape,
    /// Products and their shares, for example `microblog=3,movies` (all, equally)
    #[arg(long, value_delimiter = ',', value_name = "PRODUCT[=SHARE]", value_parser = share)]
    pub mix: Vec<(String, u32)>,
    /// People who do it
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..=200))]
    pub people: u32,
    /// Keeps the report as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Begins the same sequence of operations again
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// How much, how long.
#[derive(Clone, Debug, Args)]
pub struct Shape {
    /// Operations a second
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub rate: u32,
    /// How long each rate is kept: `30s`, `2m`
    #[arg(long = "for", default_value = "30s", value_name = "TIME", value_parser = time)]
    pub time: Duration,
    /// Rates one after the other, in place of one
    #[arg(long, value_delimiter = ',', value_name = "RATE,…", value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub steps: Vec<u32>,
}

impl Shape {
    fn rates(&self) -> Vec<u32> {
        if self.steps.is_empty() {
            vec![self.rate]
        } else {
            self.steps.clone()
        }
    }
}

fn share(text: &str) -> Result<(String, u32)> {
    let (product, share) = text.split_once('=').unwrap_or((text, "1"));
    if !PRODUCTS.contains(&product) {
        bail!("there is {}", PRODUCTS.join(", "));
    }
    let share = share.parse().context("a share is a number")?;
    Ok((product.to_owned(), share))
}

fn time(text: &str) -> Result<Duration> {
    let digits = text.trim_end_matches(|last: char| last.is_ascii_alphabetic());
    let number: u64 = digits.parse().context("write it as 30s or 2m")?;
    let seconds = match &text[digits.len()..] {
        "s" | "" => number,
        "m" => number.saturating_mul(60),
        _ => bail!("write it as 30s or 2m"),
    };
    if !(1..=86_400).contains(&seconds) {
        bail!("between a second and a day");
    }
    Ok(Duration::from_secs(seconds))
}

/// Sends the load and reports.
///
/// # Errors
/// When there is nobody at the ingress, or the report cannot be kept.
pub async fn run(options: &Options) -> Result<Report> {
    let chosen = Chosen::new(&options.mix)?;
    let world = World::new(&options.ingress, options.people).await;
    let world = Arc::new(world.context("the load cannot be prepared")?);
    chosen.begin(&world).await?;
    let mut random = SmallRng::seed_from_u64(options.seed);
    let (rates, mut steps) = (options.shape.rates(), Vec::new());
    for (number, rate) in rates.iter().enumerate() {
        let title = format!("step {} of {}, {rate}/s", number + 1, rates.len());
        let step = Run {
            rate: *rate,
            time: options.shape.time,
            title,
        };
        steps.push(step.run(&world, &chosen, &mut random).await);
    }
    let report = Report { steps };
    if let Some(file) = &options.json {
        let text = serde_json::to_vec_pretty(&report)?;
        fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(report)
}

/// Does each operation so many times, one after the other, and between them asks for the page that needs no store: that row
/// says what the way through the proxies costs alone, in the same moments.
///
/// # Errors
/// When there is nobody at the ingress.
pub async fn each(ingress: &str, times: u32) -> Result<Vec<(Row, Row)>> {
    let chosen = Chosen::new(&[])?;
    let world = World::new(ingress, 4).await;
    let world = Arc::new(world.context("nothing can be measured")?);
    chosen.begin(&world).await?;
    let mut rows = Vec::new();
    for operation in &chosen.operations {
        let recorder = Recorder::new(2);
        let start = Instant::now();
        for _ in 0..times {
            for (place, work) in [
                (0, (operation.run)(Arc::clone(&world))),
                (1, journeys::bare(Arc::clone(&world))),
            ] {
                let begun = Instant::now();
                let outcome = Outcome::from(work.await);
                recorder.add(place, begun.elapsed(), outcome);
            }
        }
        let name = format!("{} {}", operation.product, operation.name);
        let row = |place, name| recorder.row(place, name, start.elapsed());
        rows.push((row(0, name), row(1, "bare".to_owned())));
    }
    Ok(rows)
}

/// The operations that take part, each as often as its weight.
struct Chosen {
    operations: Vec<Operation>,
    deck: Vec<usize>,
}

impl Chosen {
    fn new(mix: &[(String, u32)]) -> Result<Self> {
        let share = |product: &str| {
            let named = mix.iter().find(|(name, _)| name == product);
            named.map_or(u32::from(mix.is_empty()), |(_, share)| *share)
        };
        let operations = operations();
        let mut deck = Vec::new();
        for (place, operation) in operations.iter().enumerate() {
            for _ in 0..operation.weight * share(operation.product) {
                deck.push(place);
            }
        }
        if deck.is_empty() {
            bail!("the mix is empty");
        }
        Ok(Self { operations, deck })
    }

    fn draw(&self, random: &mut SmallRng) -> usize {
        self.deck[random.random_range(0..self.deck.len())]
    }

    /// Writes once what the others read.
    async fn begin(&self, world: &Arc<World>) -> Result<()> {
        for (place, operation) in self.operations.iter().enumerate() {
            if operation.writes_first && self.deck.contains(&place) {
                let done = (operation.run)(Arc::clone(world)).await;
                done.map_err(|problem| {
                    anyhow::anyhow!("{} {}: {problem}", operation.product, operation.name)
                })?;
            }
        }
        Ok(())
    }
}

/// One rate for some time.
struct Run {
    rate: u32,
    time: Duration,
    title: String,
}

impl Run {
    async fn run(&self, world: &Arc<World>, chosen: &Chosen, random: &mut SmallRng) -> Step {
        let recorder = Arc::new(Recorder::new(chosen.operations.len()));
        let (tasks, under_way) = (TaskTracker::new(), Arc::new(AtomicUsize::new(0)));
        let bar = display();
        let start = Instant::now();
        let number = u32::try_from(self.time.as_secs()).unwrap_or(u32::MAX) * self.rate;
        let mut shown = start;
        for place in 0..number {
            let meant = start + Duration::from_secs(1) * place / self.rate;
            sleep_until(meant).await;
            if meant >= shown {
                let busy = under_way.load(Ordering::Relaxed);
                bar.set_message(recorder.line(&self.title, start.elapsed(), busy));
                shown += Duration::from_millis(500);
            }
            let drawn = chosen.draw(random);
            if under_way.load(Ordering::Relaxed) >= MOST_UNDER_WAY {
                recorder.add(
                    drawn,
                    Duration::ZERO,
                    Outcome::Failed("too many under way".into()),
                );
                continue;
            }
            let work = (chosen.operations[drawn].run)(Arc::clone(world));
            let (recorder, under_way) = (Arc::clone(&recorder), Arc::clone(&under_way));
            under_way.fetch_add(1, Ordering::Relaxed);
            tasks.spawn(async move {
                let outcome = Outcome::from(work.await);
                // From when it was meant to start: a late start is the system's fault, or ours, and never forgotten.
                recorder.add(drawn, meant.elapsed(), outcome);
                under_way.fetch_sub(1, Ordering::Relaxed);
            });
        }
        tasks.close();
        let took = start.elapsed();
        let _ = tokio::time::timeout(PATIENCE, tasks.wait()).await;
        bar.finish_and_clear();
        recorder.step(
            self.rate,
            took,
            under_way.load(Ordering::Relaxed),
            &chosen.operations,
        )
    }
}

/// A line that changes by itself where somebody looks.
fn display() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        bar.set_style(style);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_shares_are_read() {
        assert_eq!(time("2m").unwrap(), Duration::from_mins(2));
        assert_eq!(time("5").unwrap(), Duration::from_secs(5));
        assert!(time("0s").is_err() && time("1h").is_err() && time("s").is_err());
        assert_eq!(share("movies=3").unwrap(), ("movies".to_owned(), 3));
        assert_eq!(share("shop").unwrap(), ("shop".to_owned(), 1));
        assert!(share("cinema").is_err() && share("shop=x").is_err());
    }

    #[test]
    fn the_mix_decides_who_takes_part() {
        let all = Chosen::new(&[]).unwrap();
        let movies = Chosen::new(&[("movies".to_owned(), 2)]).unwrap();
        assert!(all.deck.len() > movies.deck.len() / 2);
        let only = movies
            .deck
            .iter()
            .all(|place| movies.operations[*place].product == "movies");
        assert!(only);
        assert!(Chosen::new(&[("movies".to_owned(), 0)]).is_err());
    }
}
