//! Secrets of one mesh: made once, kept in files that only their owner reads.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::random;

/// The folder with one file a secret.
#[derive(Clone, Debug)]
pub struct Secrets {
    folder: PathBuf,
}

impl Secrets {
    /// Opens the folder, making it when it is not there.
    pub fn open(folder: PathBuf) -> Result<Self> {
        private_folder(&folder)?;
        Ok(Self { folder })
    }

    /// Returns the file of a secret.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Puts another value in the place of a secret.
    pub fn put(&self, name: &str, value: &str) -> Result<()> {
        write_private(&self.path(name), value.as_bytes())
    }

    /// Returns a secret, making it at first use: `gossip` is a key, all others are UUIDs.
    pub fn get(&self, name: &str) -> Result<String> {
        let path = self.path(name);
        if let Ok(value) = fs::read_to_string(&path)
            && !value.trim().is_empty()
        {
            return Ok(value.trim().to_owned());
        }
        let value = if name == "gossip" {
            random::key()?
        } else {
            random::uuid()?
        };
        write_private(&path, value.as_bytes())?;
        Ok(value)
    }
}

/// Makes a folder, with its parents, that only its owner enters.
pub fn private_folder(path: &Path) -> Result<()> {
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path);
    made.with_context(|| format!("cannot make the folder {}", path.display()))
}

/// Writes a file that only its owner reads, whole or not at all.
pub fn write_private(path: &Path, content: &[u8]) -> Result<()> {
    let draft = path.with_extension("draft");
    let written = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)
        .and_then(|mut file| {
            file.write_all(content)?;
            file.sync_all()
        });
    written
        .and_then(|()| fs::rename(&draft, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_secret_is_made_once_and_private() {
        let folder = std::env::temp_dir().join(format!("mesh-secrets-{}", random::uuid().unwrap()));
        let secrets = Secrets::open(folder.clone()).unwrap();

        let first = secrets.get("users").unwrap();
        let second = secrets.get("users").unwrap();

        assert_eq!(first, second);
        assert_eq!(
            fs::metadata(secrets.path("users"))
                .unwrap()
                .permissions()
                .mode()
                & 0o777,
            0o600
        );
        fs::remove_dir_all(folder).unwrap();
    }
}
