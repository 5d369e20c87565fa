//! Claims about what happens when something breaks: one after the other, nothing beside them.

mod independence;

use std::process::Command;

use testkit::{Mesh, eventually};
use tokio::sync::Mutex;

/// Held by the claim that is being tested: breaking two things at once proves neither.
pub(crate) static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// Sends a signal to the process of an instance of this mesh, and gives its id.
pub(crate) fn signal(instance: &str, signal: &str) -> u32 {
    let pid = Mesh::current()
        .process(instance)
        .unwrap_or_else(|| panic!("{instance} runs"));
    let sent = Command::new("kill")
        .args([&format!("-{signal}"), &pid.to_string()])
        .status();
    assert!(sent.expect("kill can be run").success(), "{instance} {pid}");
    pid
}

/// Waits until an instance runs again as another process and its service answers `path`.
pub(crate) async fn back(instance: &str, old: u32, path: &str) {
    let mesh = Mesh::current();
    eventually(&format!("{instance} is back"), || async {
        match mesh.process(instance) {
            Some(pid) if pid != old => {}
            other => return Err(format!("process {other:?}")),
        }
        match mesh.get(path).await {
            reply if reply.status == 200 => Ok(()),
            reply => Err(format!("{path}: {} {}", reply.status, reply.text)),
        }
    })
    .await;
}
