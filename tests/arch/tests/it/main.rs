//! The rules, each a test, over the sources as they are.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod coverage;
mod document;
mod glossary;
mod promises;
mod release;
mod rows;
mod services;
mod sources;

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The folder of the sources: asked for as the test runs, since a target folder that checkouts
/// share may hold a binary that another one built.
fn root() -> PathBuf {
    let package = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    Path::new(&package).join("../..").canonicalize().unwrap()
}

/// The Rust files below a folder, as path from the root and text.
fn rust_files(folder: &str) -> Vec<(String, String)> {
    let (root, mut folders, mut files) = (root(), vec![root().join(folder)], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
        {
            let hidden = entry
                .file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with(['.', '_']);
            if hidden || entry.ends_with("target") {
                continue;
            }
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                let path = entry.strip_prefix(&root).unwrap().display().to_string();
                files.push((path, fs::read_to_string(&entry).unwrap()));
            }
        }
    }
    assert!(!files.is_empty(), "nothing is below {folder}");
    files
}
