//! What tests about mails share: the mails that came, and processes that are kept away.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use loopback::Target;
use reqwest::Method;
use serde_json::Value;
use testkit::{Frozen, Mesh, Signal, attempt, eventually, eventually_within, mesh, mesh::Person};

use crate::signal;

/// What a machine that is busy with all of this may take.
pub(crate) const SETTLING: Duration = Duration::from_mins(5);
/// What the supervisor may take: it asks a process to end before it makes it.
const SUPERVISION: Duration = Duration::from_secs(45);
/// How long a process that is kept away must not be seen: longer than the supervisor waits before it
/// starts one again.
const UNSEEN: Duration = Duration::from_secs(4);

/// The mails to an address, if their server is there.
pub(crate) async fn mails(address: &str) -> Result<Vec<Value>, String> {
    let page = Mesh::current().address("mail_page");
    let request = mesh::client().get(format!("{page}/api/mails"));
    let found = attempt(request.query(&[("to", address)])).await?;
    Ok(found.expect(200).as_array().unwrap().clone())
}

/// Waits until somebody has so many mails with this subject, and not one more.
pub(crate) async fn mailed(person: &Person, subject: &str, count: usize) {
    eventually_within(SETTLING, subject, || async {
        let mails = mails(&person.email).await?;
        let found = mails.iter().filter(|mail| mail["subject"] == subject);
        match found.count() {
            found if found == count => Ok(()),
            found => Err(format!("{found} of {count}")),
        }
    })
    .await;
}

/// A person's mails and text messages, as soon as there are so many and none of them waits.
pub(crate) async fn settled(person: &Person, count: usize) -> Vec<Value> {
    eventually_within(SETTLING, "the end of every notification", || async {
        let mesh = Mesh::current();
        let path = "/notifications?limit=200";
        let list = mesh.call(Method::GET, path, &person.token, &Value::Null);
        let list = list.await;
        let mut rows = list.json.as_array().cloned().unwrap_or_default();
        rows.retain(|row| row["type"] != "note");
        let open = rows.iter().filter(|row| row["status"] == "queued").count();
        if list.status == 200 && rows.len() >= count && open == 0 {
            assert_eq!(rows.len(), count, "{}", list.text);
            Ok(rows)
        } else {
            Err(format!("{open} of {count} open: {}", list.text))
        }
    })
    .await
}

/// A process that does not run until this is dropped.
pub(crate) struct Away(&'static str);

impl Away {
    /// Kills it, and has the supervisor leave it so.
    pub(crate) async fn of(process: &'static str, pid: impl Fn() -> Option<u32>) -> Self {
        if let Some(pid) = pid() {
            testkit::signal::send(pid, Signal::KILL);
        }
        let away = Self(process);
        let mut seen = None;
        eventually("nothing starts it again", || {
            if pid().is_some() || seen.is_none() {
                // One that ended just now is none that it could stop.
                let _ = supervisor("PATCH", &format!("/process/stop/{process}"));
                seen = Some(Instant::now());
            }
            let gone = seen.is_some_and(|seen| seen.elapsed() > UNSEEN);
            async move {
                gone.then_some(())
                    .ok_or_else(|| format!("{process} was seen"))
            }
        })
        .await;
        away
    }
}

impl Drop for Away {
    fn drop(&mut self) {
        let path = format!("/process/start/{}", self.0);
        let started = supervisor("POST", &path);
        // A second panic would hide the first.
        if !std::thread::panicking() {
            started.unwrap();
        }
    }
}

/// Kills an instance, and freezes what is started instead before it can do anything: neither supervisor nor autoscaler sees a reason to
/// start another.
pub(crate) async fn frozen_instead_of(instance: &str) -> Frozen {
    let killed = signal(instance, Signal::KILL);
    let pid = eventually("another process", || async {
        match Mesh::current().process(instance) {
            Some(pid) if pid != killed => Ok(pid),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    Frozen::new(pid)
}

fn supervisor(method: &str, path: &str) -> Result<(), String> {
    let socket = Target::from(Path::new(Mesh::current().address("process_compose")));
    let answer = loopback::send(&socket, method, path, &[], &[], SUPERVISION);
    let answer = answer.map_err(|error| format!("{error:#}"))?;
    answer
        .is_success()
        .then_some(())
        .ok_or_else(|| answer.text())
}
