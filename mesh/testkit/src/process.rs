//! A service as a process of its own, set up by its environment alone, as people start it.

use std::{
    io::{BufRead as _, BufReader},
    net::{SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::PATIENCE;

/// What the process said so far, and a bell for whoever waits for more.
type Log = Arc<(Mutex<Vec<Value>>, Condvar)>;

/// A running binary; it is killed when the test ends.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: Log,
    data: TempDir,
}

impl Process {
    /// Starts a binary (`env!("CARGO_BIN_EXE_…")`) with nothing but these variables, what every
    /// test needs (no Consul, free ports, a data folder) and no others.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(binary: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let data = tempfile::tempdir().expect("a temporary folder");
        let mut child = Command::new(binary)
            .args(arguments)
            .env_clear()
            .env("PLAZA_REGISTRATION", "off")
            .env("HTTP_ADDR", "127.0.0.1:0")
            .env("ADMIN_ADDR", "127.0.0.1:0")
            .env("DATA_DIR", data.path())
            // Port 1 is never ours: nobody answers.
            .env(
                "UPSTREAM_URLS",
                "users=http://127.0.0.1:1,discussions=http://127.0.0.1:1",
            )
            .env("AMQP_URL", "amqp://127.0.0.1:1")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let log = Log::default();
        let (output, told) = (child.stdout.take(), Arc::clone(&log));
        std::thread::spawn(move || {
            let lines = output
                .into_iter()
                .flat_map(|pipe| BufReader::new(pipe).lines());
            for line in lines.map_while(Result::ok) {
                let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                lock(&told.0).push(line);
                told.1.notify_all();
            }
        });
        Self { child, log, data }
    }

    /// Waits for the first line of its log that fits.
    ///
    /// # Panics
    /// When none came in time.
    pub fn wait_for(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let lines = lock(&self.log.0);
        let missing = |lines: &mut Vec<Value>| !lines.iter().any(&fits);
        let (lines, _) = self
            .log
            .1
            .wait_timeout_while(lines, PATIENCE, missing)
            .unwrap_or_else(PoisonError::into_inner);
        let found = lines.iter().find(|line| fits(line)).cloned();
        found.unwrap_or_else(|| panic!("{what}: nothing of it in {lines:#?}"))
    }

    /// Waits until it serves; where.
    ///
    /// # Panics
    /// When it does not in time.
    pub fn address(&self) -> SocketAddr {
        let ready = self.wait_for("readiness", |line| line["message"] == "service ready");
        let address = ready["address"].as_str().unwrap_or_default();
        address.parse().expect("an address")
    }

    /// Waits until it serves; where its metrics are.
    ///
    /// # Panics
    /// When it does not in time.
    pub fn admin(&self) -> SocketAddr {
        let ready = self.wait_for("readiness", |line| line["message"] == "service ready");
        let address = ready["admin"].as_str().unwrap_or_default();
        address.parse().expect("an address")
    }

    /// The id of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where it keeps its files.
    pub fn data(&self) -> &std::path::Path {
        self.data.path()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that was free a moment ago.
///
/// # Panics
/// When there is none.
pub fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    free.expect("a port is free").port()
}

fn lock(lines: &Mutex<Vec<Value>>) -> MutexGuard<'_, Vec<Value>> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}
