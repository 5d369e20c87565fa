//! `cargo mesh down`: no process and no port of the mesh stays.

use std::fs;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;

use crate::mesh::Mesh;
use crate::supervisor::Supervisor;
use crate::{compose, ports, processes};

/// What goes besides the processes.
#[derive(Args)]
pub struct Options {
    /// Removes the data, secrets and logs too.
    #[arg(long, alias = "data")]
    volumes: bool,
}

/// How long processes may take to drain before they are asked one by one.
const DRAIN: Duration = Duration::from_secs(30);

/// Takes the development mesh down.
pub fn run(options: &Options) -> Result<ExitCode> {
    let mesh = Mesh::development(false)?;
    let stopped = stop(&mesh)?;
    if options.volumes {
        remove(&mesh)?;
    }
    match stopped {
        0 => println!("nothing was running"),
        _ => println!(
            "stopped {stopped} processes{}",
            if options.volumes {
                ", removed the data"
            } else {
                "; the data stays"
            }
        ),
    }
    Ok(ExitCode::SUCCESS)
}

/// Ends every process of a mesh and returns how many there were.
pub fn stop(mesh: &Mesh) -> Result<usize> {
    let before = processes::of_mesh(&mesh.state).len();
    let supervisor = Supervisor::of(mesh);
    if supervisor.is_alive() && supervisor.stop().is_ok() {
        let deadline = Instant::now() + DRAIN;
        while !processes::of_mesh(&mesh.state).is_empty() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    processes::end(&mesh.state, Duration::from_secs(5))?;
    let _ = fs::remove_dir_all(&mesh.run);
    Ok(before)
}

/// Removes what a stopped mesh has on disk.
pub fn remove(mesh: &Mesh) -> Result<()> {
    let _ = fs::remove_dir_all(compose::postgres::data(mesh));
    fs::remove_dir_all(&mesh.state)
        .with_context(|| format!("cannot remove {}", mesh.state.display()))
}

/// Says which port of a stopped mesh something else holds.
pub fn taken_port(mesh: &Mesh) -> Option<String> {
    let fixed = mesh
        .ports
        .iter()
        .filter(|(name, _)| !name.starts_with("sidecar_"));
    let (name, port) = fixed
        .into_iter()
        .find(|(_, port)| !ports::is_free(**port))?;
    let holder = processes::listener(*port).unwrap_or_else(|| "another user's process".to_owned());
    Some(format!(
        "port {port} ({name}) is taken by {holder}: stop it, or choose another with `cargo mesh up --port {name}=NUMBER`"
    ))
}
