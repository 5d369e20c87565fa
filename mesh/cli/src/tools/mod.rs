//! The programs of a mesh: which there are, where they lie, and how a missing one is got.

mod apt;
mod checkers;
mod envoy;
mod go;
mod npm;
pub mod pip;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

pub use apt::postgres_folder;
pub use checkers::{Checkers, checkers};
pub use npm::{CLIENTS, NEWMAN, OPENAPI, SOCKETIO};

/// Returns the path of every program, there or not.
pub fn programs(checkout: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let mut programs = BTreeMap::new();
    for tool in go::TOOLS {
        programs.insert((*tool).to_owned(), go::path(checkout, tool)?);
    }
    programs.insert("envoy".to_owned(), envoy::path(checkout)?);
    for program in apt::PROGRAMS {
        programs.insert(program.name.to_owned(), program.path());
    }
    Ok(programs)
}

/// Gets every program that is not there.
pub fn get_missing(checkout: &Path, with_tests: bool) -> Result<()> {
    apt::get_missing(with_tests, !envoy::path(checkout)?.is_file())?;
    envoy::get_missing(checkout)?;
    go::TOOLS
        .iter()
        .try_for_each(|tool| go::get_missing(checkout, tool))?;
    if with_tests {
        SOCKETIO.get_missing(checkout)?;
        NEWMAN.get_missing(checkout)?;
        CLIENTS.get_missing(checkout)?;
        pip::get_missing(checkout)?;
    }
    Ok(())
}

/// Returns the folder of one version of one program in the cache.
fn cached(program: &str, version: &str) -> Result<PathBuf> {
    Ok(cache()?.join(program).join(version))
}

/// Returns the cache that all checkouts share.
pub fn cache() -> Result<PathBuf> {
    let set = std::env::var_os("XDG_CACHE_HOME")
        .filter(|value| !value.is_empty())
        .map(PathBuf::from);
    let base =
        set.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
    Ok(base
        .context("neither XDG_CACHE_HOME nor HOME is set: set one, programs are kept there")?
        .join("plaza"))
}

/// Fills a folder of the cache whole or not at all: `fill` works in a draft beside it.
fn install(target: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let parent = target.parent().context("the cache has no parent")?;
    let draft = parent.join(format!(".draft-{}", std::process::id()));
    let _ = fs::remove_dir_all(&draft);
    fs::create_dir_all(&draft).with_context(|| format!("cannot make {}", draft.display()))?;
    let filled = fill(&draft).and_then(|()| match fs::rename(&draft, target) {
        Err(_) if target.exists() => Ok(()), // another run was faster
        renamed => renamed.with_context(|| format!("cannot make {}", target.display())),
    });
    let _ = fs::remove_dir_all(&draft);
    filled
}
