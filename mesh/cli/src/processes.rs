//! Processes of a mesh as the kernel sees them: found by a mark in their environment, measured, ended by their ids.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::mesh::MARK;

/// Returns the ids of all processes that belong to the mesh with this state folder, but for this one.
pub fn of_mesh(state: &Path) -> Vec<u32> {
    let mark = [
        format!("{MARK}=").as_bytes(),
        state.as_os_str().as_encoded_bytes(),
    ]
    .concat();
    let own = std::process::id();
    all()
        .filter(|id| *id != own && environment_has(*id, &mark))
        .collect()
}

fn all() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn environment_has(id: u32, mark: &[u8]) -> bool {
    let Ok(environment) = fs::read(format!("/proc/{id}/environ")) else {
        return false;
    };
    environment
        .split(|byte| *byte == 0)
        .any(|variable| variable == mark)
}

/// Ends all processes of a mesh: asks them first, forces those that stay.
pub fn end(state: &Path, patience: Duration) -> Result<usize> {
    let found = of_mesh(state);
    signal(&found, Signal::TERM);
    let deadline = Instant::now() + patience;
    while !of_mesh(state).is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
    }
    for _ in 0..40 {
        let left = of_mesh(state);
        if left.is_empty() {
            return Ok(found.len());
        }
        signal(&left, Signal::KILL);
        std::thread::sleep(Duration::from_millis(50));
    }
    bail!("processes of the mesh do not end: {:?}", of_mesh(state))
}

fn signal(ids: &[u32], signal: Signal) {
    for id in ids {
        if let Some(pid) = i32::try_from(*id).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, signal);
        }
    }
}

/// Returns the memory of a process in KiB: its share of shared pages where the kernel tells, else all resident ones.
pub fn memory(id: u32) -> u64 {
    rollup(id, "smaps_rollup", "Pss:")
        .or_else(|| rollup(id, "status", "VmRSS:"))
        .unwrap_or(0)
}

fn rollup(id: u32, file: &str, field: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{id}/{file}")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Returns the children of each process.
pub fn children() -> BTreeMap<u32, Vec<u32>> {
    let mut tree: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for id in all() {
        if let Some(parent) = parent(id) {
            tree.entry(parent).or_default().push(id);
        }
    }
    tree
}

fn parent(id: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    stat.rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(1)?
        .parse()
        .ok()
}

/// Returns the memory in KiB of a process and all below it.
pub fn tree_memory(id: u32, tree: &BTreeMap<u32, Vec<u32>>) -> u64 {
    let below = tree
        .get(&id)
        .into_iter()
        .flatten()
        .map(|child| tree_memory(*child, tree));
    memory(id) + below.sum::<u64>()
}

/// Says which process listens on a loopback port, as far as one may know.
pub fn listener(port: u16) -> Option<String> {
    let inode = ["tcp", "tcp6"].iter().find_map(|table| {
        let text = fs::read_to_string(format!("/proc/net/{table}")).ok()?;
        text.lines()
            .skip(1)
            .find_map(|line| listening_inode(line, port))
    })?;
    let target = format!("socket:[{inode}]");
    let id = all().find(|id| holds(*id, &target))?;
    let name = fs::read_to_string(format!("/proc/{id}/comm")).ok()?;
    Some(format!("{} (pid {id})", name.trim()))
}

fn listening_inode(line: &str, port: u16) -> Option<String> {
    let fields: Vec<_> = line.split_whitespace().collect();
    let (_, hex) = fields.get(1)?.rsplit_once(':')?;
    let listens = *fields.get(3)? == "0A" && u16::from_str_radix(hex, 16) == Ok(port);
    listens.then(|| fields.get(9).map(|inode| (*inode).to_owned()))?
}

fn holds(id: u32, target: &str) -> bool {
    let files = fs::read_dir(format!("/proc/{id}/fd"))
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    files
        .filter_map(|file| fs::read_link(file.path()).ok())
        .any(|link| link.as_os_str() == target)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_marked_process_is_found_and_ended() {
        let state = std::env::temp_dir().join(format!("mesh-{}", crate::random::uuid().unwrap()));
        let mut child = Command::new("sleep")
            .arg("60")
            .env(MARK, &state)
            .spawn()
            .unwrap();
        let waiter = std::thread::spawn(move || child.wait());
        while of_mesh(&state).is_empty() {
            std::thread::yield_now();
        }

        assert_eq!(end(&state, Duration::from_secs(5)).unwrap(), 1);
        assert!(!waiter.join().unwrap().unwrap().success());
    }

    #[test]
    fn a_listener_is_named() {
        let socket = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = socket.local_addr().unwrap().port();
        assert!(
            listener(port)
                .unwrap()
                .contains(&std::process::id().to_string())
        );
    }

    #[test]
    fn this_process_has_memory() {
        assert!(memory(std::process::id()) > 0);
    }
}
