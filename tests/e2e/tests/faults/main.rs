//! Claims about what happens when something breaks: one after the other, nothing beside them but
//! what does without mails for a while.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod absence;
mod broker;
mod gateway;
mod independence;
mod likes;
mod live;
mod market;
mod movies;
mod notifications;
mod post;
mod scaling;
mod socketio;
mod telemetry;
mod why;

use std::process::Command;

use testkit::{Mesh, eventually};
use tokio::sync::Mutex;

/// Held by the claim that is being tested: breaking two things at once proves neither.
pub(crate) static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// Held by a claim that breaks or reads mails; taken before [`ONE_AT_A_TIME`].
pub(crate) static POST_OFFICE: Mutex<()> = Mutex::const_new(());

/// Sends a signal to the process of an instance of this mesh, and gives its id.
pub(crate) fn signal(instance: &str, signal: &str) -> u32 {
    let pid = Mesh::current()
        .process(instance)
        .unwrap_or_else(|| panic!("{instance} runs"));
    send_signal(pid, signal);
    pid
}

/// Sends a signal to a process of this mesh.
pub(crate) fn send_signal(pid: u32, signal: &str) {
    let sent = Command::new("kill")
        .args([&format!("-{signal}"), &pid.to_string()])
        .status();
    assert!(sent.expect("kill can be run").success(), "{pid}");
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
