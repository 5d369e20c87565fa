//! F4: the broker is away for a while. Writes are accepted as fast as before, nothing is lost, and
//! what waited drains when it is back.

#![expect(clippy::print_stdout, reason = "figures are printed")]

use std::time::Duration;

use mesh_messaging::Outbox;
use testkit::eventually_within;
use tokio::time::Instant;

use crate::{
    helpers::{Counted, Place, Process, QUEUE, change},
    rabbit::Rabbit,
};

/// How often a change is made.
const EVERY: Duration = Duration::from_millis(5);
/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_mins(2);

/// Commits of one slice.
const SLICE: usize = 50;

/// What commits took, one after the other.
struct Latencies(Vec<Duration>);

impl Latencies {
    fn at(&self, percent: usize) -> Duration {
        at(&self.0, percent)
    }

    /// The median of the best slice: what else the machine does for a while is not in it.
    fn best(&self) -> Duration {
        let slices = self.0.windows(SLICE.min(self.0.len()));
        slices.map(|slice| at(slice, 50)).min().unwrap()
    }
}

fn at(latencies: &[Duration], percent: usize) -> Duration {
    let mut latencies = latencies.to_vec();
    latencies.sort_unstable();
    latencies[(latencies.len() * percent / 100).saturating_sub(1)]
}

/// Makes changes for `period`; what each took.
async fn write(process: &Process, outbox: &Outbox, from: i64, period: Duration) -> Latencies {
    let outbox = outbox.clone();
    let writing = process.run(move |service| async move {
        let mut ticks = tokio::time::interval(EVERY);
        let (begun, mut latencies) = (Instant::now(), Vec::new());
        for number in from.. {
            ticks.tick().await;
            if begun.elapsed() > period {
                break;
            }
            let event = Counted {
                subject: (number % 20).to_string(),
                number,
            };
            let before = Instant::now();
            change(&service.connection, &outbox, &event).await;
            latencies.push(before.elapsed());
        }
        latencies
    });
    Latencies(writing.await)
}

async fn count(process: &Process, table: &'static str) -> Result<i64, String> {
    let counting = process.run(move |service| async move { service.count(table).await });
    counting.await
}

/// The broker is away for `period`.
async fn outage(period: Duration) {
    let mut rabbit = Rabbit::start();
    let url = |prefix: &str| format!("{}{prefix}.", rabbit.url());
    let places = [
        Place::sqlite(url("sqlite")),
        Place::postgres(url("postgres")).await,
    ];
    for (store, place) in ["SQLite", "Postgres"].into_iter().zip(places) {
        let process = Process::start(&place).await;
        process.consume().await;
        process.listening(QUEUE).await;
        let outbox = process.relay().await;
        let up = write(&process, &outbox, 0, Duration::from_secs(3)).await;
        let made = count(&process, "changes").await.unwrap();

        rabbit.kill();
        let down = write(&process, &outbox, made, period).await;
        let waiting = count(&process, "outbox").await.unwrap();
        rabbit.restart();
        let back = Instant::now();
        eventually_within(PATIENCE, "an empty outbox", || async {
            match count(&process, "outbox").await? {
                0 => Ok(()),
                rows => Err(format!("{rows} rows")),
            }
        })
        .await;
        let drained = back.elapsed();
        let made = count(&process, "changes").await.unwrap();
        eventually_within(PATIENCE, "every effect", || async {
            match count(&process, "effects").await? {
                done if done == made => Ok(()),
                done => Err(format!("{done} of {made}")),
            }
        })
        .await;

        println!(
            "{store}: a write took {:?} (p99 {:?}) with the broker, {:?} (p99 {:?}) without, {:.2} times; \
             {waiting} of {made} events waited, and had left {drained:?} after the start of the broker",
            up.at(50),
            up.at(99),
            down.at(50),
            down.at(99),
            down.at(50).as_secs_f64() / up.at(50).as_secs_f64(),
        );
        assert!(waiting >= i64::try_from(down.0.len()).unwrap(), "{waiting}");
        let (with, without) = (up.best(), down.best());
        assert!(without < with * 3 + EVERY, "{without:?}, {with:?} before");
        process.stop().await;
    }
}

#[tokio::test]
async fn f4_writes_are_accepted_while_the_broker_is_away_and_drain_when_it_is_back() {
    outage(Duration::from_secs(4)).await;
}

#[tokio::test]
#[ignore = "takes three minutes"]
async fn f4_a_minute_without_a_broker() {
    outage(Duration::from_mins(1)).await;
}
