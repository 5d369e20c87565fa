//! `cargo mesh load` and `cargo mesh bench`: programs of their own, built when they are asked for, so that this one stays small.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::mesh::{self, Mesh};
use crate::progress::Step;
use crate::services;
use crate::supervisor::Supervisor;

/// What the program is told; `--help` says what there is.
#[derive(Args)]
pub struct Options {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Sends load through the ingress of the mesh that `up` started.
pub fn load(options: &Options) -> Result<ExitCode> {
    let mesh = Mesh::development(false)?;
    let asks = options
        .arguments
        .iter()
        .any(|argument| argument == "--help" || argument == "-h");
    if !asks && !Supervisor::of(&mesh).is_alive() {
        bail!("the mesh is down: run `cargo mesh up` first");
    }
    let ingress = format!("http://127.0.0.1:{}", mesh.port("ingress"));
    run("mesh-load", "load", &["--ingress", &ingress], options)
}

/// Runs one measurement; those that need a mesh find the one that `up` started.
pub fn bench(options: &Options) -> Result<ExitCode> {
    let mesh = Mesh::development(false)?;
    let file = mesh.file().to_string_lossy().into_owned();
    run("bench", "bench", &["--mesh", &file], options)
}

fn run(package: &str, program: &str, first: &[&str], options: &Options) -> Result<ExitCode> {
    let checkout = mesh::checkout()?;
    let step = Step::start(format!("building {program}"));
    services::build(&checkout, &[package], false)?;
    step.done();
    let binary = services::target(&checkout, false).join(program);
    let mut command = Command::new(&binary);
    let ended = command.args(first).args(&options.arguments).status();
    let ended = ended.with_context(|| format!("cannot run {}", binary.display()))?;
    Ok(if ended.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
