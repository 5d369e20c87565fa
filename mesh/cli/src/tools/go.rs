//! Programs built from Go modules, each from a `go.mod` of ours in `mesh/tools`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{ChildStderr, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::progress::Step;
use crate::random;

/// The programs, by their folders in `mesh/tools`.
pub const TOOLS: &[&str] = &["process-compose", "documents", "mail", "jaeger", "consul"];

/// Returns where a program's binary is in the cache. The folder carries its version and what its build follows from.
pub fn path(checkout: &Path, tool: &str) -> Result<PathBuf> {
    let source = Source::read(checkout, tool)?;
    Ok(super::cached(tool, &source.version)?.join(tool))
}

/// Builds a program that is not in the cache.
pub fn get_missing(checkout: &Path, tool: &str) -> Result<()> {
    let binary = path(checkout, tool)?;
    if binary.is_file() {
        return Ok(());
    }
    need_go()?;
    let source = Source::read(checkout, tool)?;
    let step = Step::start(format!(
        "building {tool} {}, once on this machine",
        source.version
    ));
    let folder = binary.parent().context("a program has a folder")?;
    fs::create_dir_all(folder.parent().context("a version has a folder")?)?;
    super::install(folder, |draft| source.build(&draft.join(tool), step))
}

fn need_go() -> Result<()> {
    let found = Command::new("go")
        .arg("version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !found.is_ok_and(|status| status.success()) {
        bail!("Go is missing: install Go 1.25 or newer, and see that `go version` works");
    }
    Ok(())
}

/// A folder of `mesh/tools`.
struct Source {
    folder: PathBuf,
    package: String,
    version: String,
}

impl Source {
    fn read(checkout: &Path, tool: &str) -> Result<Self> {
        let folder = checkout.join("mesh/tools").join(tool);
        let read = |name: &str| fs::read_to_string(folder.join(name));
        let module =
            read("go.mod").with_context(|| format!("cannot read {}/go.mod", folder.display()))?;
        let (sums, own) = (read("go.sum").unwrap_or_default(), sources(&folder)?);
        let hash = random::fingerprint([module.as_bytes(), sums.as_bytes(), own.as_bytes()]) >> 32;
        let package = field(&module, "tool ").unwrap_or(".").to_owned();
        let version = required_version(&module, &package).unwrap_or("v0");
        Ok(Self {
            version: format!("{version}-{hash:08x}"),
            folder,
            package,
        })
    }

    fn build(&self, output: &Path, mut step: Step) -> Result<()> {
        let total = self.count()?;
        let mut go = self.go();
        go.args(["build", "-v", "-trimpath", "-ldflags", "-s -w", "-o"])
            .arg(output)
            .arg(&self.package);
        let mut child = go
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot run go")?;
        let last = child
            .stderr
            .take()
            .map(|pipe| follow(pipe, total, &mut step))
            .unwrap_or_default();
        if !child.wait()?.success() {
            bail!(
                "the build of {} failed: {}",
                self.folder.display(),
                last.join("\n")
            );
        }
        step.done();
        Ok(())
    }

    /// Counts the packages of the build, which also downloads the modules.
    fn count(&self) -> Result<u64> {
        let output = self
            .go()
            .args(["list", "-deps", &self.package])
            .output()
            .context("cannot run go")?;
        if !output.status.success() {
            let reason = String::from_utf8_lossy(&output.stderr);
            bail!(
                "the Go modules of {} cannot be got: {}",
                self.folder.display(),
                reason.trim()
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).lines().count() as u64)
    }

    fn go(&self) -> Command {
        let mut go = Command::new("go");
        go.current_dir(&self.folder)
            .env("GOTOOLCHAIN", "local")
            .env("GOFLAGS", "-mod=readonly -buildvcs=false")
            .env("CGO_ENABLED", "0");
        go
    }
}

/// Shows each compiled package as progress and keeps the last lines for an error.
fn follow(pipe: ChildStderr, total: u64, step: &mut Step) -> Vec<String> {
    let mut last = Vec::new();
    for (position, line) in BufReader::new(pipe)
        .lines()
        .map_while(Result::ok)
        .enumerate()
    {
        step.advance(position as u64, total);
        last.push(line);
        if last.len() > 15 {
            last.remove(0);
        }
    }
    last
}

/// Returns the sources of a program of ours, one file after the other.
fn sources(folder: &Path) -> Result<String> {
    let entries = fs::read_dir(folder)?.filter_map(Result::ok);
    let mut files: Vec<_> = entries.map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|found| found == "go"));
    files.sort();
    files
        .iter()
        .map(|file| {
            fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
        })
        .collect()
}

fn field<'a>(module: &'a str, keyword: &str) -> Option<&'a str> {
    module
        .lines()
        .find_map(|line| line.strip_prefix(keyword))
        .map(str::trim)
}

/// Returns the version of the module that a package comes from; for a program of ours, of the first module it requires.
fn required_version<'a>(module: &'a str, package: &str) -> Option<&'a str> {
    let requires = module.lines().filter_map(|line| {
        let mut words = line
            .trim()
            .trim_start_matches("require ")
            .split_whitespace();
        Some((words.next()?, words.next()?))
    });
    let mut versions =
        requires.filter(|(path, version)| version.starts_with('v') && path.contains('.'));
    if package == "." {
        return versions.next().map(|(_, version)| version);
    }
    versions
        .filter(|(path, _)| package.starts_with(path))
        .max_by_key(|(path, _)| path.len())
        .map(|(_, version)| version)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULE: &str = "module m\n\ntool github.com/a/b/cmd/x\n\nrequire (\n\tgithub.com/a/b v1.2.3 // indirect\n\tgithub.com/a v0.1.0\n)\n";

    #[test]
    fn the_version_is_the_one_of_the_tools_module() {
        assert_eq!(field(MODULE, "tool "), Some("github.com/a/b/cmd/x"));
        assert_eq!(
            required_version(MODULE, "github.com/a/b/cmd/x"),
            Some("v1.2.3")
        );
    }

    #[test]
    fn a_program_of_ours_has_the_version_of_its_library() {
        let module = "module m\n\nrequire github.com/F/F v1.24.0\n\nrequire (\n\tx.y/z v1.0.0 // indirect\n)\n";
        assert_eq!(required_version(module, "."), Some("v1.24.0"));
    }
}
