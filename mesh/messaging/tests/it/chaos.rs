//! F1, F2 and F4 at once, with real processes: writers with their relays, consumers and the broker
//! are killed with `kill -9` at random and at each named step while ten thousand events are made.

#![expect(clippy::print_stdout, reason = "the seed and figures are printed")]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use mesh_messaging::{dead_letters, declared, failpoint};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use testkit::{eventually_within, stores};
use tokio::time::Instant;

use crate::{
    children::{FLAKY, Orders, POISON, Process, Role, nth},
    helpers::{Counted, Place, QUEUE, Service, published_by},
    rabbit::Rabbit,
};

/// Events of each store.
const EVENTS: i64 = 10_000;
/// Events after which queues are old enough to survive the broker.
const SETTLED: i64 = 2_000;
/// Deaths of the broker.
const BROKER_DEATHS: i64 = 3;
/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_mins(4);
/// Variable with the seed of a run to repeat.
const SEED: &str = "MESSAGING_TEST_SEED";

/// What a look at a store gives.
type Figure = Result<i64, String>;

/// How a process dies.
#[derive(Debug, Clone, Copy)]
enum Death {
    Killed,
    At(&'static str),
}

const WRITERS_DEATHS: [Death; 7] = [
    Death::Killed,
    Death::Killed,
    Death::Killed,
    Death::At(failpoint::BEFORE_PUBLISH),
    Death::At(failpoint::BEFORE_PUBLISH),
    Death::At(failpoint::BEFORE_MARK),
    Death::At(failpoint::BEFORE_MARK),
];
const CONSUMERS_DEATHS: [Death; 8] = [
    Death::Killed,
    Death::Killed,
    Death::Killed,
    Death::Killed,
    Death::Killed,
    Death::At(failpoint::BEFORE_ACK),
    Death::At(failpoint::BEFORE_ACK),
    Death::At(failpoint::BEFORE_ACK),
];

/// Writers and a consumer, each with a database of one kind, on one broker.
#[derive(Debug)]
struct System {
    name: &'static str,
    writers: Vec<(String, Process)>,
    consumer: Process,
    source: Service,
    target: Service,
    /// For as long as the data is needed.
    _places: [Place; 2],
}

impl System {
    async fn start(name: &'static str, places: [Place; 2], writers: &[&str]) -> Self {
        let [from, to] = &places;
        // These bring both schemas up to date, before the processes do it at once.
        let (source, target) = (Service::open(from).await, Service::open(to).await);
        let orders = |place: &Place, role| Orders {
            amqp: place.amqp.clone(),
            database: place.database.clone(),
            failpoint: None,
            role,
        };
        let consumer = orders(to, Role::Consumer { mended: false });
        let consumer = Process::start(&format!("{name}-consumer"), consumer);
        declared(&target.broker, QUEUE, PATIENCE).await.unwrap();
        let changes = EVENTS / i64::try_from(writers.len()).unwrap();
        let start = |writer: &&str| {
            let role = Role::Writer {
                name: (*writer).to_owned(),
                changes: step(changes, WRITERS_DEATHS.len()),
            };
            let log = format!("{name}-writer-{writer}");
            (
                (*writer).to_owned(),
                Process::start(&log, orders(from, role)),
            )
        };
        Self {
            name,
            writers: writers.iter().map(start).collect(),
            consumer,
            source,
            target,
            _places: places,
        }
    }

    /// Every change there shall be.
    fn changes(&self) -> Vec<Counted> {
        let each = EVENTS / i64::try_from(self.writers.len()).unwrap();
        let of = |writer: &String| (0..each).map(|number| nth(writer, number)).collect();
        let all: Vec<Vec<Counted>> = self.writers.iter().map(|(name, _)| of(name)).collect();
        all.concat()
    }

    /// Kills each process in all its ways, in an order and at moments that `seed` says.
    ///
    /// Returns the steps that a process did not die at, since it had nothing left to do.
    async fn torment(&mut self, seed: u64) -> Vec<&'static str> {
        let each = EVENTS / i64::try_from(self.writers.len()).unwrap();
        let (source, target) = (&self.source, &self.target);
        let writers = self.writers.iter_mut().zip(1..).map(|((name, writer), n)| {
            let name = name.clone();
            let made = move || {
                let name = name.clone();
                async move {
                    let made = source.made(&name).await;
                    made.map_err(|error| error.to_string())
                }
            };
            // The relay of another writer may have published what this one made.
            let drained = || async { Ok(source.count("outbox").await? == 0) };
            torment(writer, &WRITERS_DEATHS, each, seed + n, made, drained)
        });
        let writers = futures_util::future::join_all(writers);
        let done = || target.count("effects");
        // Poison has no effect before the consumer is mended.
        let end = EVENTS - EVENTS / 1000;
        let drained = || std::future::ready(Ok(false));
        let consumer = torment(
            &mut self.consumer,
            &CONSUMERS_DEATHS,
            end,
            seed,
            done,
            drained,
        );
        let (writers, consumer) = tokio::join!(writers, consumer);
        [writers.concat(), consumer].concat()
    }

    async fn wait_for_effects(&self, wanted: i64) {
        let what = format!("{wanted} effects on {}", self.name);
        eventually_within(PATIENCE, &what, || async {
            match self.target.count("effects").await? {
                done if done >= wanted => Ok(()),
                done => Err(format!("{done}; {}", self.rest().await)),
            }
        })
        .await;
    }

    /// Where the other events are.
    async fn rest(&self) -> String {
        let outbox = self.source.count("outbox").await;
        let changes = self.source.count("changes").await;
        let inbox = self.target.count("inbox").await;
        let dead = dead_letters::waiting(&self.target.broker, QUEUE).await;
        format!(
            "{changes:?} changes, {outbox:?} events in the outbox, {inbox:?} in the inbox, dead: {dead:?}"
        )
    }

    /// Poison is in the dead letters, all of it, and is handled once its consumer is mended.
    async fn mend(&mut self) {
        let poison = self.changes();
        let poison = poison.iter().filter(|event| is(event, POISON)).count();
        let letters = dead_letters::list(&self.target.broker, QUEUE, 1000).await;
        let letters = letters.unwrap();
        let others: Vec<_> = letters
            .iter()
            .filter(|letter| letter.reason != "nobody can handle this")
            .collect();
        assert!(others.is_empty(), "{}: {others:#?}", self.name);
        let ids: BTreeSet<&str> = letters.iter().map(|letter| letter.id.as_str()).collect();
        assert_eq!(ids.len(), poison, "{}: dead letters", self.name);
        self.consumer
            .become_another(Role::Consumer { mended: true });
        let replayed = dead_letters::replay(&self.target.broker, QUEUE, None).await;
        assert_eq!(replayed.unwrap(), letters.len());
    }

    /// Each change has its effect, once; those of one subject in their order.
    async fn judge(&self) {
        let mut wanted: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for event in self.changes() {
            wanted.entry(event.subject).or_default().push(event.number);
        }
        for (subject, numbers) in wanted {
            let made = self.source.numbers("changes", &subject).await;
            assert_eq!(
                made.unwrap(),
                numbers,
                "{}: changes of {subject}",
                self.name
            );
            let done = self.target.numbers("effects", &subject).await;
            let mut done = done.unwrap();
            if subject.ends_with(POISON) || subject.ends_with(FLAKY) {
                done.sort_unstable();
            }
            assert_eq!(done, numbers, "{}: effects of {subject}", self.name);
        }
        let effects = self.target.count("effects").await;
        assert_eq!(effects.unwrap(), EVENTS, "{}", self.name);
        let waiting = self.source.count("outbox").await;
        assert_eq!(waiting.unwrap(), 0, "{}", self.name);
    }
}

fn is(event: &Counted, subject: &str) -> bool {
    event.subject.ends_with(subject)
}

/// The part of the way to `end` in which one of so many deaths is.
fn step(end: i64, deaths: usize) -> i64 {
    end * 9 / 10 / i64::try_from(deaths).unwrap()
}

/// Kills one process at moments spread over the way of `progress` to `end`. A writer makes in each
/// of its lives no more than its part of the changes, so that there is something to die over; where
/// it made them and all is `drained`, there is nothing left.
async fn torment<R: Future<Output = Figure>, D: Future<Output = Result<bool, String>>>(
    process: &mut Process,
    deaths: &[Death],
    end: i64,
    seed: u64,
    progress: impl Fn() -> R,
    drained: impl Fn() -> D,
) -> Vec<&'static str> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut deaths = deaths.to_vec();
    deaths.shuffle(&mut random);
    let step = step(end, deaths.len());
    let mut missed = Vec::new();
    for (death, number) in deaths.iter().zip(0..) {
        let moment = number * step + random.random_range(0..step);
        reach(moment, &progress).await;
        let last = deaths.len() == usize::try_from(number).unwrap() + 1;
        let allowed = if last { end } else { (number + 2) * step };
        process.allow(allowed);
        match death {
            Death::Killed => process.kill(),
            Death::At(step) => {
                // What was made at the first look is published if the second finds nothing.
                let idle = || async {
                    let made = progress().await?;
                    Ok(made >= end || (made >= allowed && drained().await?))
                };
                if !process.die_at(step, idle).await {
                    missed.push(*step);
                }
            }
        }
    }
    missed
}

async fn reach<R: Future<Output = Figure>>(moment: i64, progress: &impl Fn() -> R) {
    eventually_within(PATIENCE, "progress", || async {
        match progress().await? {
            done if done >= moment => Ok(()),
            done => Err(format!("{done} of {moment}")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f2_ten_thousand_events_survive_kill_9_of_everything_at_every_step() {
    let begun = Instant::now();
    let seed = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| rand::rng().random_range(0..1_000_000));
    println!("to repeat these deaths: {SEED}={seed}");
    let mut rabbit = Rabbit::start();
    let url = |prefix: &str| format!("{}{prefix}.", rabbit.url());
    let place = |prefix| Place::sqlite(url(prefix));
    let sqlite = [place("sqlite"), place("sqlite")];
    let of_postgres = |database| Place::of(url("postgres"), database, None);
    let postgres = [
        of_postgres(stores::postgres().await),
        of_postgres(stores::postgres().await),
    ];
    let (mut sqlite, mut postgres) = tokio::join!(
        System::start("SQLite", sqlite, &["a"]),
        System::start("Postgres", postgres, &["a", "b"]),
    );

    let (first, second) = (sqlite.target.clone(), postgres.target.clone());
    let killing = async {
        let mut random = StdRng::seed_from_u64(seed);
        // Not within the first moments of a queue: RabbitMQ 3.10 forgets its leader then.
        let step = (2 * EVENTS * 9 / 10 - SETTLED) / BROKER_DEATHS;
        for number in 0..BROKER_DEATHS {
            let moment = SETTLED + number * step + random.random_range(0..step);
            let done =
                || async { Ok(first.count("effects").await? + second.count("effects").await?) };
            reach(moment, &done).await;
            rabbit.kill();
            rabbit.restart();
        }
    };
    let (one, other, ()) = tokio::join!(sqlite.torment(seed), postgres.torment(seed), killing);
    let missed = [one, other].concat();
    // On a machine that is too busy to look, a consumer may have handled everything, and the relay
    // of one writer published what the other made.
    assert!(missed.len() < CONSUMERS_DEATHS.len(), "{missed:?}");
    let deaths = WRITERS_DEATHS.len() * 3 + CONSUMERS_DEATHS.len() * 2 - missed.len();
    println!(
        "{deaths} processes and {BROKER_DEATHS} brokers died in {:?}",
        begun.elapsed()
    );

    for system in [&mut sqlite, &mut postgres] {
        let poison = system
            .changes()
            .iter()
            .filter(|event| is(event, POISON))
            .count();
        let poison = i64::try_from(poison).unwrap();
        system.wait_for_effects(EVENTS - poison).await;
        system.mend().await;
        system.wait_for_effects(EVENTS).await;
    }
    // Whatever came twice has come before these.
    println!("all effects after {:?}", begun.elapsed());
    for system in [&sqlite, &postgres] {
        published_by(&system.source).await;
        system.judge().await;
    }
}
