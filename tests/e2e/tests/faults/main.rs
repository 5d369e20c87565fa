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

use reqwest::Method;
use testkit::{Mesh, Signal, attempt, eventually};
use tokio::sync::Mutex;

/// Held by the claim that is being tested: breaking two things at once proves neither.
pub(crate) static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// Held by a claim that breaks or reads mails; taken before [`ONE_AT_A_TIME`].
pub(crate) static POST_OFFICE: Mutex<()> = Mutex::const_new(());

/// Sends a signal to the process of an instance of this mesh, and gives its id.
pub(crate) fn signal(instance: &str, signal: Signal) -> u32 {
    let pid = Mesh::current()
        .process(instance)
        .unwrap_or_else(|| panic!("{instance} runs"));
    testkit::signal::send(pid, signal);
    pid
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
