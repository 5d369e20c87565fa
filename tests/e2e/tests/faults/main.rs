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

use reqwest::Method;
use testkit::{Mesh, attempt, eventually};
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

/// A process that is frozen until this is dropped: it takes connections, and answers nothing.
pub(crate) struct Frozen(u32);

impl Frozen {
    pub(crate) fn new(pid: u32) -> Self {
        send_signal(pid, "STOP");
        Self(pid)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        // A second panic would hide the first.
        let _ = Command::new("kill")
            .args(["-CONT", &self.0.to_string()])
            .status();
    }
}

/// Waits until an instance runs again as another process, is ready, and its service answers `path`.
pub(crate) async fn back(instance: &str, old: u32, path: &str) {
    let mesh = Mesh::current();
    eventually(&format!("{instance} is back"), || async {
        match mesh.process(instance) {
            Some(pid) if pid != old => {}
            other => return Err(format!("process {other:?}")),
        }
        is_ready(instance).await?;
        match mesh.get(path).await {
            reply if reply.status == 200 => Ok(()),
            reply => Err(format!("{path}: {} {}", reply.status, reply.text)),
        }
    })
    .await;
}

/// Whether an instance is ready, and Consul says so: its peers may answer for it.
async fn is_ready(instance: &str) -> Result<(), String> {
    let mesh = Mesh::current();
    let path = format!("agent/health/service/id/{instance}");
    let known = attempt(mesh.consul(Method::GET, &path, &mesh.tokens.management)).await?;
    // The registration of the process before it passes until it is replaced: its port is dead.
    let port = known.json["Service"]["Meta"]["admin_port"].as_str();
    let url = format!("http://127.0.0.1:{}/readyz", port.unwrap_or("1"));
    let ready = attempt(testkit::mesh::client().get(url)).await?;
    if (known.status, ready.status) == (200, 200) {
        Ok(())
    } else {
        Err(format!("{} {}", known.text, ready.text))
    }
}
