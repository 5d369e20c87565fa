//! What is scaled, by what, and whom to ask: a file that `cargo mesh` writes from the policies in
//! `mesh/services.toml`.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::decide::Rules;

/// The whole file.
#[derive(Clone, Debug, Deserialize)]
pub struct Plan {
    /// Whether instances are started and drained, or only measured.
    pub act: bool,
    /// Seconds between two rounds.
    pub every_seconds: u64,
    /// Prometheus's port on this machine.
    pub prometheus: u16,
    /// Consul's HTTP port on this machine.
    pub consul: u16,
    /// The supervisor's socket.
    pub supervisor: PathBuf,
    /// The folder with the tokens: an instance is taken out of service with its service's own one.
    pub secrets: PathBuf,
    /// The folder with what Envoys have registered for their metrics.
    pub proxies: PathBuf,
    /// What is scaled.
    pub policies: Vec<Policy>,
}

/// How many instances of one service run.
#[derive(Clone, Debug, Deserialize)]
pub struct Policy {
    /// Its name in Consul: `timelines`, or `timelines-work` for its workers.
    pub identity: String,
    /// Every instance that there may be, in the order in which they are started.
    pub instances: Vec<String>,
    /// Never fewer than this.
    pub min: u32,
    /// Never more than this.
    pub max: u32,
    /// For so long the load must have been low before an instance is drained.
    pub down_after_seconds: u64,
    /// What is measured; the metric that asks for most counts.
    pub metrics: Vec<Metric>,
}

/// One thing that is measured.
#[derive(Clone, Debug, Deserialize)]
pub struct Metric {
    /// Its name among ours: `in_flight`, `sockets`, `queue_age`.
    pub name: String,
    /// The question to Prometheus.
    pub query: String,
    /// The value that one instance, or the whole service, should have.
    pub target: f64,
    /// Whether the answer has a value for each instance.
    pub of_instances: bool,
}

impl Plan {
    /// Reads the file.
    ///
    /// # Errors
    /// When it is not there or says something else.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} is no plan", path.display()))
    }
}

impl Policy {
    /// What the decision goes by.
    pub fn rules(&self) -> Rules {
        Rules {
            min: self.min,
            max: self.max,
            down_after: Duration::from_secs(self.down_after_seconds),
        }
    }
}
