//! What tests use from Python: the versions and hashes of a list, in a folder of the cache.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::progress::Step;
use crate::random;

/// Programs that read the API's document as strangers do.
const REQUIREMENTS: &str = "mesh/testkit/openapi/requirements.txt";

/// Returns their folder in the cache, there or not: for this Python, since parts of them are compiled.
pub fn path(checkout: &Path) -> Result<PathBuf> {
    let file = checkout.join(REQUIREMENTS);
    let text = fs::read(file).with_context(|| format!("cannot read {REQUIREMENTS}"))?;
    let python = run(Command::new("python3").arg("--version"))?;
    let version = random::fingerprint([&text[..], &python]);
    super::cached("clients", &format!("{version:016x}"))
}

/// Downloads them when they are not in the cache.
pub fn get_missing(checkout: &Path) -> Result<()> {
    let folder = path(checkout)?;
    if folder.is_dir() {
        return Ok(());
    }
    let step = Step::start("getting testers of the API's document");
    fs::create_dir_all(folder.parent().context("a version has a folder")?)?;
    super::install(&folder, |draft| {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--require-hashes"])
            .args(["--only-binary=:all:", "--target"])
            .arg(draft)
            .arg("--requirement")
            .arg(checkout.join(REQUIREMENTS));
        run(&mut pip).map(drop)
    })?;
    step.done();
    Ok(())
}

fn run(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.output().context("Python 3 is missing")?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        let last = reason.trim().lines().last().unwrap_or_default();
        bail!("{REQUIREMENTS} cannot be got (python3 -m pip must work): {last}");
    }
    Ok(output.stdout)
}
