//! Becomes the Consul agent, without the registrations that an earlier one kept on disk.
//!
//! A single server loads them before it knows its own tokens, and the watches of a gateway begun then never recover (seen with
//! 1.22.5: no configuration for the ingress after a restart). Every registration here is renewed by who made it: services by
//! themselves, everything else by the keeper.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::mesh::Mesh;

/// Replaces this process by Consul.
pub fn run(mesh: &Mesh) -> Result<ExitCode> {
    for kept in ["services", "checks", "proxy"] {
        let _ = fs::remove_dir_all(mesh.state.join("consul").join(kept));
    }
    let mut consul = Command::new(mesh.program("consul")?);
    consul
        .arg("agent")
        .arg("-config-file")
        .arg(mesh.state.join("consul.json"));
    Err(consul.exec()).context("cannot execute Consul")
}
