//! Real processes for tests that kill them: this test program runs itself again as each of them.

use std::{
    fs::{self, OpenOptions},
    os::unix::process::ExitStatusExt as _,
    path::PathBuf,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    time::Duration,
};

use mesh_messaging::{Consumer, Failure, Outbox};
use serde::{Deserialize, Serialize};
use testkit::eventually_within;

use crate::helpers::{CONSUMER, Counted, Place, Service, effect, try_change};

/// Variable with the [`Orders`] of a child.
const ORDERS: &str = "MESSAGING_TEST_ORDERS";
/// How long a child may take to come to the place where it dies, or to make its changes.
const PATIENCE: Duration = Duration::from_mins(2);

/// What the handler of the consumers here says to an event of this subject until it is mended.
pub(crate) const POISON: &str = "poison";
/// Events of this subject fail twice before they are handled.
pub(crate) const FLAKY: &str = "flaky";

/// What a process does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Orders {
    pub(crate) amqp: String,
    pub(crate) database: String,
    pub(crate) failpoint: Option<String>,
    pub(crate) role: Role,
}

/// What a process is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Role {
    /// Makes changes until it has made so many in all its lives, and relays their events.
    Writer { name: String, changes: i64 },
    /// Writes effects down.
    Consumer { mended: bool },
}

/// A process that can be killed and started again.
#[derive(Debug)]
pub(crate) struct Process {
    orders: Orders,
    /// What all its lives wrote, for whoever looks into a failure.
    log: PathBuf,
    running: Option<(Child, ChildStdin)>,
}

impl Process {
    pub(crate) fn start(name: &str, orders: Orders) -> Self {
        let log = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.log"));
        let _ = fs::remove_file(&log);
        let mut process = Self {
            orders,
            log,
            running: None,
        };
        process.spawn(None);
        process
    }

    fn spawn(&mut self, failpoint: Option<&str>) {
        let orders = Orders {
            failpoint: failpoint.map(str::to_owned),
            ..self.orders.clone()
        };
        let log = OpenOptions::new().create(true).append(true).open(&self.log);
        let log = log.unwrap();
        let program = std::env::current_exe().unwrap();
        let mut command = Command::new(program);
        command
            .args(["--exact", "children::child", "--ignored", "--nocapture"])
            .env(ORDERS, serde_json::to_string(&orders).unwrap())
            .stdin(Stdio::piped())
            .stderr(log.try_clone().unwrap())
            .stdout(log);
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        self.running = Some((child, stdin));
    }

    fn end(&mut self) -> ExitStatus {
        let (mut child, _stdin) = self.running.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap()
    }

    /// `kill -9`, and a new one at once.
    pub(crate) fn kill(&mut self) {
        let status = self.end();
        assert_eq!(status.signal(), Some(9), "it died before: {status}");
        self.spawn(None);
    }

    /// `kill -9`, and a new one that dies at `failpoint`, and a new one. `false` if it never came
    /// there, since it is `idle`.
    pub(crate) async fn die_at<R: Future<Output = Result<bool, String>>>(
        &mut self,
        failpoint: &str,
        idle: impl Fn() -> R,
    ) -> bool {
        self.end();
        self.spawn(Some(failpoint));
        let (child, _stdin) = self.running.as_mut().unwrap();
        let status = eventually_within(PATIENCE, failpoint, || {
            let (status, idle) = (child.try_wait().unwrap(), idle());
            async move {
                match status {
                    Some(status) => Ok(Some(status)),
                    None if idle.await? => Ok(None),
                    None => Err("it lives".to_owned()),
                }
            }
        })
        .await;
        match status {
            Some(status) => assert_eq!(status.signal(), Some(6), "{failpoint}: {status}"),
            None => drop(self.end()),
        }
        self.spawn(None);
        status.is_some()
    }

    /// From its next life on, a writer makes no more than so many changes.
    pub(crate) fn allow(&mut self, number: i64) {
        if let Role::Writer { changes, .. } = &mut self.orders.role {
            *changes = number;
        }
    }

    /// A new one in its place, with other orders.
    pub(crate) fn become_another(&mut self, role: Role) {
        self.end();
        self.orders.role = role;
        self.spawn(None);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.running.is_some() {
            self.end();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "not a test: the process that tests start and kill"]
async fn child() {
    let Ok(orders) = std::env::var(ORDERS) else {
        return;
    };
    let orders: Orders = serde_json::from_str(&orders).unwrap();
    let _guard = telemetry::init(&telemetry::Settings {
        service: "counter",
        instance: format!("{:?}", orders.role),
        otlp_endpoint: None,
        filter: "info,sqlx=off,lapin=warn".into(),
    });
    let place = Place::of(orders.amqp, orders.database, orders.failpoint);
    let service = Service::open(&place).await;
    match orders.role {
        Role::Writer { name, changes } => write(&service, &name, changes).await,
        Role::Consumer { mended } => consume(&service, mended).await,
    }
    // Whoever started this holds the other end, and is gone when it closes.
    let mut nothing = String::new();
    let mut stdin = tokio::io::stdin();
    let _ = tokio::io::AsyncReadExt::read_to_string(&mut stdin, &mut nothing).await;
    std::process::exit(0);
}

async fn write(service: &Service, name: &str, changes: i64) {
    let outbox = Outbox::start(&service.broker, &service.connection, &service.context);
    eventually_within(PATIENCE, "all changes", || async {
        let made = service.made(name).await;
        for number in made.map_err(|error| error.to_string())?..changes {
            // The last commit of an earlier life may still be under way, and counts then.
            try_change(&service.connection, &outbox, &nth(name, number))
                .await
                .map_err(|error| format!("{number}: {error:?}"))?;
        }
        Ok(())
    })
    .await;
}

/// The `number`-th change of a writer.
pub(crate) fn nth(writer: &str, number: i64) -> Counted {
    let subject = if number % 1000 == 500 {
        POISON.to_owned()
    } else if number % 100 == 50 {
        FLAKY.to_owned()
    } else {
        (number % 20).to_string()
    };
    Counted {
        subject: format!("{writer}.{subject}"),
        number,
    }
}

async fn consume(service: &Service, mended: bool) {
    let connection = service.connection.clone();
    let consumer = Consumer::new(CONSUMER).on::<Counted, _, _>(move |event| {
        let connection = connection.clone();
        async move {
            if event.data.subject.ends_with(POISON) && !mended {
                return Err(Failure::reject("nobody can handle this"));
            }
            if event.data.subject.ends_with(FLAKY) && event.attempt < 3 {
                return Err(Failure::of(anyhow::anyhow!("not yet")));
            }
            effect(connection, event).await
        }
    });
    consumer.start(&service.broker, &service.context).await;
}
