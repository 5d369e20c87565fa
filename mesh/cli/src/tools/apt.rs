//! Programs of the Debian archive. Installing them never starts a service of theirs: the mesh runs its own processes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::progress::Step;

/// A program and the package that has it.
pub struct Program {
    /// How the mesh calls it.
    pub name: &'static str,
    package: &'static str,
    file: &'static str,
    only_tests: bool,
}

/// What comes from the archive.
pub const PROGRAMS: &[Program] = &[
    Program {
        name: "redis",
        package: "redis-server",
        file: "/usr/bin/redis-server",
        only_tests: false,
    },
    Program {
        name: "rabbitmq",
        package: "rabbitmq-server",
        // Not the one in sbin, which insists on being root.
        file: "/usr/lib/rabbitmq/bin/rabbitmq-server",
        only_tests: false,
    },
    Program {
        name: "prometheus",
        package: "prometheus",
        file: "/usr/bin/prometheus",
        only_tests: false,
    },
    Program {
        name: "alertmanager",
        package: "prometheus-alertmanager",
        file: "/usr/bin/prometheus-alertmanager",
        only_tests: false,
    },
    Program {
        name: "postgres",
        package: "postgresql",
        file: "/usr/lib/postgresql",
        only_tests: true,
    },
    Program {
        name: "curl",
        package: "curl",
        file: "/usr/bin/curl",
        only_tests: true,
    },
    Program {
        name: "chromedriver",
        // Brings the browser of its version with it.
        package: "chromium-driver",
        file: "/usr/bin/chromedriver",
        only_tests: true,
    },
    Program {
        name: "node",
        package: "nodejs",
        file: "/usr/bin/node",
        only_tests: true,
    },
    Program {
        name: "npm",
        package: "npm",
        file: "/usr/bin/npm",
        only_tests: true,
    },
];

impl Program {
    /// Returns where the program is, once installed.
    pub fn path(&self) -> PathBuf {
        match self.name {
            "postgres" => postgres_folder()
                .unwrap_or_else(|| PathBuf::from(self.file))
                .join("postgres"),
            _ => PathBuf::from(self.file),
        }
    }
}

/// Returns the folder of the newest Postgres programs.
pub fn postgres_folder() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .filter_map(Result::ok);
    let bins = versions
        .map(|entry| entry.path().join("bin"))
        .filter(|bin| bin.join("initdb").is_file());
    bins.max_by_key(|bin| {
        bin.parent()
            .and_then(Path::file_name)
            .and_then(|name| name.to_str()?.parse::<u32>().ok())
    })
}

/// Installs the packages that are missing, or says which ones a person has to install.
pub fn get_missing(with_tests: bool, with_pip: bool) -> Result<()> {
    let wanted = PROGRAMS
        .iter()
        .filter(|program| with_tests || !program.only_tests);
    let mut missing: Vec<_> = wanted
        .filter(|program| !program.path().is_file())
        .map(|program| program.package)
        .collect();
    if with_pip && !has_pip() {
        missing.push("python3-pip");
    }
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    if !Path::new("/usr/bin/apt-get").is_file() {
        bail!(
            "{names} missing, and this is neither Debian nor Ubuntu: use `docker compose up` instead"
        );
    }
    let Some(root) = root_prefix() else {
        bail!("missing programs: run `sudo apt-get install {names}` and then this again")
    };
    let step = Step::start(format!("installing {names}"));
    let _quiet = StartNothing::begin(root)?;
    apt(root, &["update", "--quiet"])?;
    let mut arguments = vec!["install", "--yes", "--quiet", "--no-install-recommends"];
    arguments.extend(&missing);
    apt(root, &arguments)?;
    step.done();
    Ok(())
}

fn has_pip() -> bool {
    let pip = Command::new("python3")
        .args(["-m", "pip", "--version"])
        .output();
    pip.is_ok_and(|output| output.status.success())
}

/// Returns what to put before a command so that root runs it, when that needs no password.
fn root_prefix() -> Option<&'static [&'static str]> {
    if rustix::process::geteuid().is_root() {
        return Some(&[]);
    }
    let sudo = Command::new("sudo")
        .args(["--non-interactive", "true"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    sudo.is_ok_and(|status| status.success())
        .then_some(&["sudo", "--non-interactive"])
}

fn as_root(root: &[&str], program: &str) -> Command {
    let words: Vec<_> = root
        .iter()
        .chain([&"env", &"DEBIAN_FRONTEND=noninteractive", &program])
        .copied()
        .collect();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).stdin(Stdio::null());
    command
}

fn apt(root: &[&str], arguments: &[&str]) -> Result<()> {
    let output = as_root(root, "apt-get")
        .args(arguments)
        .output()
        .context("cannot run apt-get")?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        bail!(
            "apt-get {} failed: {}",
            arguments.join(" "),
            reason.trim().lines().last().unwrap_or_default()
        );
    }
    Ok(())
}

/// While this lives, package scripts start no service (Debian's policy-rc.d); a policy that is already there stays.
struct StartNothing {
    root: Option<&'static [&'static str]>,
}

const POLICY: &str = "/usr/sbin/policy-rc.d";

impl StartNothing {
    fn begin(root: &'static [&'static str]) -> Result<Self> {
        if Path::new(POLICY).exists() {
            return Ok(Self { root: None });
        }
        let script = format!("printf '#!/bin/sh\\nexit 101\\n' > {POLICY} && chmod 755 {POLICY}");
        if !as_root(root, "sh")
            .args(["-c", &script])
            .status()
            .context("cannot run sh")?
            .success()
        {
            bail!("cannot write {POLICY}, which keeps packages from starting services");
        }
        Ok(Self { root: Some(root) })
    }
}

impl Drop for StartNothing {
    fn drop(&mut self) {
        if let Some(root) = self.root {
            let _ = as_root(root, "rm").args(["-f", POLICY]).status();
        }
    }
}
