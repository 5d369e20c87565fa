//! `cargo mesh test`: every test there is, on a mesh of its own that is gone afterwards.

use std::fs;
use std::io::{BufRead, BufReader, IsTerminal};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use rustix::process::{Pid, Signal, kill_process_group};

use crate::compose::postgres;
use crate::mesh::Mesh;
use crate::progress::Step;
use crate::ready::{INTERRUPTED, stop_when_interrupted};
use crate::{down, ports, processes, ready, secrets, services, tools, up};

/// What is tested.
#[derive(Args)]
pub struct Options {
    /// Goes to `cargo test`, for example `-p users` or the name of a test.
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// The cargo that runs now, for the signal handler to end.
static RUNNING: Mutex<Option<u32>> = Mutex::new(None);

/// Stores for suites, by their ports and processes.
const SUITE_STORES: &[(&str, &str)] = &[
    ("postgres", "postgres"),
    ("suite_sqlite", "suite-sqlite"),
    ("suite_postgres", "suite-postgres"),
];

/// Runs the tests.
pub fn run(options: &Options) -> Result<ExitCode> {
    ctrlc::set_handler(interrupt).context("cannot handle signals")?;
    let block = ports::reserve()?;
    let mesh = Mesh::open("test", block.ports.clone(), false)?;
    let _alone = up::lock(&mesh)?;
    clean(&mesh)?;
    let result = tested(&mesh, &options.arguments);
    let failed = !matches!(
        result,
        Ok(Counts {
            succeeded: true,
            ..
        })
    );
    if failed {
        keep_logs(&mesh);
    }
    down::stop(&mesh)?;
    down::remove(&mesh)?;
    let counts = result?;
    println!("{} passed, {} failed", counts.passed, counts.failed);
    Ok(if counts.succeeded {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Ends what is left of a run that was killed, and its data.
fn clean(mesh: &Mesh) -> Result<()> {
    processes::end(&mesh.state, Duration::from_secs(5))?;
    let _ = fs::remove_dir_all(postgres::data(mesh));
    down::remove(mesh)?;
    secrets::private_folder(&mesh.state)
}

fn interrupt() {
    INTERRUPTED.store(true, Ordering::Relaxed);
    let running = RUNNING.lock().ok().and_then(|running| *running);
    if let Some(pid) = running
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw)
    {
        let _ = kill_process_group(pid, Signal::TERM);
    }
}

fn tested(mesh: &Mesh, arguments: &[String]) -> Result<Counts> {
    let descriptions = up::prepare(mesh, true)?;
    let step = Step::start("building the tests");
    if !cargo_test(mesh, arguments, &["--no-run", "--quiet"])?.succeeded {
        bail!("the tests do not build: fix what the compiler says above");
    }
    step.done();
    postgres::init(mesh)?;
    stop_when_interrupted()?;
    up::start(mesh)?;
    ready::wait(mesh, &descriptions)?;
    wait_for_suite_stores(mesh)?;
    cargo_test(mesh, arguments, &[])
}

/// What the runs of all test programs add up to.
#[derive(Debug, Default, PartialEq)]
struct Counts {
    passed: u64,
    failed: u64,
    succeeded: bool,
}

impl Counts {
    /// Adds a line like `test result: ok. 3 passed; 0 failed; …`.
    fn add(&mut self, line: &str) {
        let Some((_, rest)) = line.split_once("test result: ") else {
            return;
        };
        let count = |word: &str| {
            let before = rest.split(word).next()?;
            before
                .rsplit(|character: char| !character.is_ascii_digit())
                .find(|digits| !digits.is_empty())?
                .parse::<u64>()
                .ok()
        };
        self.passed += count(" passed").unwrap_or(0);
        self.failed += count(" failed").unwrap_or(0);
    }
}

/// Runs `cargo test` with what tests need to find the mesh, shows its output and counts.
fn cargo_test(mesh: &Mesh, arguments: &[String], flags: &[&str]) -> Result<Counts> {
    stop_when_interrupted()?;
    let mut command = services::cargo(&mesh.checkout);
    command.arg("test").args(flags);
    if !arguments
        .iter()
        .any(|argument| argument == "-p" || argument.starts_with("--package"))
    {
        command.arg("--workspace");
    }
    command.args(["--no-fail-fast"]).args(arguments);
    environment(mesh, &mut command);
    command.process_group(0); // so that a signal ends the test programs with cargo
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run cargo")?;
    set_running(Some(&child));
    let mut counts = Counts::default();
    for line in child
        .stdout
        .take()
        .into_iter()
        .flat_map(|pipe| BufReader::new(pipe).lines())
        .map_while(Result::ok)
    {
        counts.add(&line);
        println!("{line}");
    }
    counts.succeeded = child.wait()?.success();
    set_running(None);
    stop_when_interrupted()?;
    Ok(counts)
}

fn set_running(child: Option<&Child>) {
    if let Ok(mut running) = RUNNING.lock() {
        *running = child.map(Child::id);
    }
}

fn environment(mesh: &Mesh, command: &mut Command) {
    let password = mesh
        .secrets()
        .and_then(|secrets| secrets.get("redis"))
        .unwrap_or_default();
    command.env("PLAZA_MESH_FILE", mesh.file());
    if let Ok(consul) = mesh.program("consul") {
        command.env("TEST_CONSUL", consul);
    }
    if let Ok(documents) = mesh.program("documents") {
        command.env("TEST_DOCUMENTS", documents);
    }
    let port = |name: &str| mesh.port(name);
    let documents = |name: &str| format!("mongodb://127.0.0.1:{}/", port(name));
    let backends = [documents("suite_sqlite"), documents("suite_postgres")].join(",");
    let redis = format!("redis://:{password}@127.0.0.1:{}/0", port("redis"));
    if let Ok(driver) = mesh.program("chromedriver") {
        command.env("TEST_CHROMEDRIVER", driver);
    }
    if let Ok(node) = mesh.program("node") {
        command.env("TEST_NODE", node);
    }
    for (variable, packages) in [
        ("TEST_SOCKETIO", tools::SOCKETIO),
        ("TEST_NEWMAN", tools::NEWMAN),
        ("TEST_OPENAPI", tools::CLIENTS),
    ] {
        if let Ok(folder) = packages.path(&mesh.checkout) {
            command.env(variable, folder);
        }
    }
    if let Ok(folder) = tools::pip::path(&mesh.checkout) {
        command.env("TEST_OPENAPI_PYTHON", folder);
    }
    command.env("TEST_POSTGRES_URL", postgres::url(mesh));
    command.env("TEST_DOCUMENTS_URLS", backends);
    command.env("TEST_REDIS_URL", redis);
    let broker = mesh.broker(&format!("127.0.0.1:{}", port("rabbitmq")));
    command.env("TEST_AMQP_URL", broker.unwrap_or_default());
    if std::io::stdout().is_terminal() {
        command.env("CARGO_TERM_COLOR", "always");
    }
}

fn wait_for_suite_stores(mesh: &Mesh) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    for (port, process) in SUITE_STORES {
        while ports::is_free(mesh.port(port)) {
            stop_when_interrupted()?;
            if Instant::now() > deadline {
                let log = fs::read_to_string(mesh.log(process)).unwrap_or_default();
                bail!("{process} does not listen: {}", log.trim());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    Ok(())
}

/// Keeps the logs of a failed run where the next run does not remove them.
fn keep_logs(mesh: &Mesh) {
    let kept = mesh.checkout.join(".plaza/test-logs");
    let _ = fs::remove_dir_all(&kept);
    if Path::new(&mesh.state.join("logs")).is_dir()
        && fs::rename(mesh.state.join("logs"), &kept).is_ok()
    {
        eprintln!("the mesh's logs are in {}", kept.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_results_add_up() {
        let mut counts = Counts::default();
        counts.add("test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s");
        counts.add("running 3 tests");
        counts.add("test result: \u{1b}[31mFAILED\u{1b}[0m. 2 passed; 3 failed; 0 ignored");
        assert_eq!(
            counts,
            Counts {
                passed: 14,
                failed: 3,
                succeeded: false
            }
        );
    }
}
