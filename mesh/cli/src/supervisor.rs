//! Talks to process-compose over its unix socket, and starts it.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::http::{self, Target};
use crate::mesh::{MARK, Mesh};

/// What process-compose tells about one process.
#[derive(Clone, Debug, Deserialize)]
pub struct Process {
    /// Its name.
    pub name: String,
    /// `Running`, `Completed`, `Restarting`, …
    pub status: String,
    /// Its id, or 0.
    #[serde(default)]
    pub pid: u32,
    /// How often it was started again.
    #[serde(default)]
    pub restarts: u32,
    /// How it ended last.
    #[serde(default)]
    pub exit_code: i32,
    /// Whether it runs.
    #[serde(default)]
    pub is_running: bool,
}

/// The supervisor of a mesh.
pub struct Supervisor {
    target: Target,
}

impl Supervisor {
    /// Addresses the supervisor of a mesh, running or not.
    pub fn of(mesh: &Mesh) -> Self {
        Self {
            target: mesh.supervisor(),
        }
    }

    /// Returns whether it answers.
    pub fn is_alive(&self) -> bool {
        http::get(&self.target, "/live").is_ok_and(|answer| answer.is_success())
    }

    /// Returns all processes.
    pub fn processes(&self) -> Result<Vec<Process>> {
        let answer =
            http::get(&self.target, "/processes").context("the supervisor does not answer")?;
        let mut processes: Vec<Process> = serde_json::from_value(answer.json()?["data"].take())?;
        processes.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(processes)
    }

    /// Makes it read its file again: what changed there is started, restarted or stopped.
    pub fn reload(&self) -> Result<()> {
        self.call("POST", "/project/configuration")
    }

    /// Starts a process that does not run.
    pub fn start(&self, process: &str) -> Result<()> {
        self.call("POST", &format!("/process/start/{process}"))
    }

    /// Ends a process in order and starts it again.
    pub fn restart(&self, process: &str) -> Result<()> {
        self.call("POST", &format!("/process/restart/{process}"))
    }

    /// Asks it to stop everything and end.
    pub fn stop(&self) -> Result<()> {
        self.call("POST", "/project/stop")
    }

    fn call(&self, method: &str, path: &str) -> Result<()> {
        let answer = http::send(
            &self.target,
            method,
            path,
            &[],
            &[],
            Duration::from_secs(40),
        )?;
        if !answer.is_success() {
            bail!("the supervisor refused {path}: {}", answer.text());
        }
        Ok(())
    }
}

/// The logs that process-compose itself writes, and never rotates: why it could not start, and what it does.
pub const LOGS: &[&str] = &["process-compose", "supervisor"];

/// Starts process-compose apart from this terminal and waits until it answers.
pub fn launch(mesh: &Mesh, settings: &Path) -> Result<()> {
    let Target::Socket(socket) = mesh.supervisor() else {
        bail!("the supervisor has a unix socket")
    };
    let _ = fs::remove_file(&socket);
    let log = mesh.log("process-compose");
    fs::create_dir_all(log.parent().context("logs have a folder")?)?;
    let output = File::create(&log).and_then(|_| File::options().append(true).open(&log));
    let output = output.with_context(|| format!("cannot write {}", log.display()))?;
    let mut command = Command::new("setsid");
    command.arg(mesh.program("process-compose")?).args([
        "up",
        "--tui=false",
        "--keep-project",
        "--disable-dotenv",
        "--use-uds",
    ]);
    command
        .arg("--unix-socket")
        .arg(&socket)
        .arg("--config")
        .arg(settings)
        .arg("--log-file")
        .arg(mesh.log("supervisor"));
    command
        .env(MARK, &mesh.state)
        .env("GOGC", "50")
        .env("GOMEMLIMIT", "48MiB")
        .env_remove("PC_PORT_NUM")
        .env_remove("PORT");
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO") {
            command.env_remove(name);
        }
    }
    command
        .current_dir(&mesh.state)
        .stdin(Stdio::null())
        // It repeats there every line of every process, each of which has a log of its own that ends somewhere.
        .stdout(Stdio::null())
        .stderr(output);
    let mut child = command.spawn().context("cannot start process-compose")?;
    let supervisor = Supervisor::of(mesh);
    let deadline = Instant::now() + Duration::from_secs(15);
    while !supervisor.is_alive() {
        if child.try_wait()?.is_some() || Instant::now() > deadline {
            bail!(
                "process-compose does not start: {}",
                fs::read_to_string(&log).unwrap_or_default().trim()
            );
        }
        std::thread::sleep(Duration::from_millis(30));
    }
    Ok(())
}
