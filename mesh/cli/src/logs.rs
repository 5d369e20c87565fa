//! `cargo mesh logs`: what the processes wrote, merged or one by one.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;

use crate::mesh::Mesh;

/// Whose output is shown.
#[derive(Args)]
pub struct Options {
    /// Processes or services (all of them when none is named).
    names: Vec<String>,
    /// Goes on showing what is written.
    #[arg(short, long)]
    follow: bool,
    /// How many lines of each are shown first.
    #[arg(short = 'n', long, default_value_t = 20)]
    lines: usize,
}

/// Shows logs of the development mesh.
pub fn run(options: &Options) -> Result<ExitCode> {
    let mesh = Mesh::development(false)?;
    let files = chosen(&mesh, &options.names)?;
    let mut positions = BTreeMap::new();
    for (name, file) in &files {
        for line in tail(file, options.lines) {
            println!("{name} | {line}");
        }
        positions.insert(
            name.clone(),
            fs::metadata(file).map_or(0, |metadata| metadata.len()),
        );
    }
    if !options.follow {
        return Ok(ExitCode::SUCCESS);
    }
    loop {
        for (name, file) in &files {
            let position = positions.entry(name.clone()).or_default();
            for line in written_since(file, position).lines() {
                println!("{name} | {line}");
            }
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn chosen(mesh: &Mesh, names: &[String]) -> Result<Vec<(String, PathBuf)>> {
    let folder = mesh.state.join("logs");
    let Ok(entries) = fs::read_dir(&folder) else {
        bail!("no logs yet: run `cargo mesh up`")
    };
    let files = entries.filter_map(Result::ok).map(|entry| entry.path());
    let mut files: Vec<_> = files
        .filter_map(|file| Some((process_of(&file)?, file)))
        .collect();
    files
        .retain(|(process, _)| names.is_empty() || names.iter().any(|name| belongs(process, name)));
    files.sort();
    if files.is_empty() {
        bail!("nothing called {} has written a log", names.join(" or "));
    }
    Ok(files)
}

fn process_of(file: &Path) -> Option<String> {
    let name = file.file_name()?.to_str()?.strip_suffix(".log")?;
    (!name.contains(".log") && !name.contains("-20")).then(|| name.to_owned()) // older ones carry their date
}

/// A name is a process, or a service with all its instances and their sidecars.
fn belongs(process: &str, name: &str) -> bool {
    process == name
        || process
            .strip_prefix(name)
            .is_some_and(|rest| rest.starts_with('-'))
}

/// Returns the last lines of a log.
pub fn tail(file: &Path, lines: usize) -> Vec<String> {
    const WINDOW: u64 = 64 * 1024;
    let Ok(mut file) = File::open(file) else {
        return Vec::new();
    };
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    let mut bytes = Vec::new();
    let read = file
        .seek(SeekFrom::Start(length.saturating_sub(WINDOW)))
        .and_then(|_| file.read_to_end(&mut bytes));
    if read.is_err() {
        return Vec::new();
    }
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<_> = text.lines().filter(|line| !line.is_empty()).collect();
    all[all.len().saturating_sub(lines)..]
        .iter()
        .map(|line| (*line).to_owned())
        .collect()
}

fn written_since(file: &Path, position: &mut u64) -> String {
    let mut bytes = Vec::new();
    let length = fs::metadata(file).map_or(0, |metadata| metadata.len());
    if length < *position {
        *position = 0; // a fresh file after rotation
    }
    if length > *position
        && let Ok(mut file) = File::open(file)
        && file.seek(SeekFrom::Start(*position)).is_ok()
        && file.read_to_end(&mut bytes).is_ok()
    {
        let whole = bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |last| last + 1);
        bytes.truncate(whole);
        *position += whole as u64;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_name_chooses_all_its_instances() {
        assert!(belongs("users-1", "users"));
        assert!(belongs("users-1-envoy", "users-1"));
        assert!(!belongs("users-1", "user"));
    }
}
