//! What tests and checks use from npm: the versions and hashes of lock files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::progress::Step;
use crate::random;

/// Packages that one of the project's folders asks for.
pub struct Packages {
    name: &'static str,
    /// Where the project says which.
    folder: &'static str,
    what: &'static str,
}

/// A client for tests.
pub const SOCKETIO: Packages = Packages {
    name: "socketio",
    folder: "mesh/testkit/socketio",
    what: "the client of Socket.IO",
};

/// Runs Postman collections in tests.
pub const NEWMAN: Packages = Packages {
    name: "newman",
    folder: "mesh/testkit/newman",
    what: "newman",
};

/// Reads the API's document in tests as strangers do.
pub const CLIENTS: Packages = Packages {
    name: "openapi-clients",
    folder: "mesh/testkit/openapi",
    what: "generators of clients",
};

/// Lints the API's document.
pub const OPENAPI: Packages = Packages {
    name: "openapi",
    folder: "mesh/tools/openapi",
    what: "the linter of the API's document",
};

const MANIFESTS: &[&str] = &["package.json", "package-lock.json"];

impl Packages {
    /// Returns their folder in the cache, there or not.
    pub fn path(&self, checkout: &Path) -> Result<PathBuf> {
        let mut texts = Vec::new();
        for name in MANIFESTS {
            let path = checkout.join(self.folder).join(name);
            let text =
                fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            texts.push(text);
        }
        let version = random::fingerprint(texts.iter().map(Vec::as_slice));
        super::cached(self.name, &format!("{version:016x}"))
    }

    /// Downloads them when they are not in the cache, and returns their folder.
    pub fn get_missing(&self, checkout: &Path) -> Result<PathBuf> {
        let folder = self.path(checkout)?;
        if folder.is_dir() {
            return Ok(folder);
        }
        let step = Step::start(format!("getting {}", self.what));
        super::install(&folder, |draft| {
            let from = checkout.join(self.folder);
            for name in MANIFESTS {
                fs::copy(from.join(name), draft.join(name))?;
            }
            let output = Command::new("npm")
                .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
                .current_dir(draft)
                .output()
                .context("cannot run npm: run `sudo apt-get install nodejs npm`")?;
            if !output.status.success() {
                let reason = String::from_utf8_lossy(&output.stderr);
                bail!("npm ci failed in {}: {}", self.folder, reason.trim());
            }
            Ok(())
        })?;
        step.done();
        Ok(folder)
    }
}
