//! `cargo mesh rotate`: a secret that others may know is made anew, everybody who needs it gets the new one, and the old one is dead
//! when the command ends.

use std::collections::BTreeSet;
use std::process::{Command as Process, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use serde_json::Value;

use crate::consul::Consul;
use crate::http::{self, Target};
use crate::mesh::Mesh;
use crate::ready::stop_when_interrupted;
use crate::services::{self, Purpose};
use crate::supervisor::Supervisor;
use crate::{compose, random, scaling, setup, up};

/// How long an instance may take until it is back.
const PATIENCE: Duration = Duration::from_mins(2);
/// How long every part of the mesh may take to hear of an end.
const HEARING: Duration = Duration::from_secs(30);

/// What is made anew.
#[derive(Subcommand)]
pub enum Command {
    /// The Consul token of a service, or of its workers (`likes-work`); its instances start again, one after the other.
    ConsulToken {
        /// The service.
        service: String,
    },
    /// The key that tokens of people are signed with; everybody has to log in again.
    SigningKey,
}

/// Does it on the mesh of `up`.
pub fn run(command: &Command) -> Result<ExitCode> {
    let mesh = Mesh::development(false)?;
    let mesh = Mesh::load(&mesh.state)?;
    let _alone = up::lock(&mesh)?;
    if !Supervisor::of(&mesh).is_alive() {
        bail!(
            "the mesh `{}` does not run: start it with `cargo mesh up`",
            mesh.name
        );
    }
    match command {
        Command::ConsulToken { service } => consul_token(&mesh, service)?,
        Command::SigningKey => signing_key(&mesh)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Until the last step the old token is good, so that an interruption shuts nobody out: the next time ends both.
fn consul_token(mesh: &Mesh, identity: &str) -> Result<()> {
    let known = services::identities(&mesh.table()?);
    if !known.iter().any(|name| name == identity) {
        bail!("`{identity}` has no token; there are {}", known.join(", "));
    }
    let (secrets, name) = (mesh.secrets()?, Mesh::token_name(identity));
    let (consul, old, new) = (
        setup::management(mesh)?,
        secrets.get(&name)?,
        random::uuid()?,
    );
    setup::put_service_token(&consul, mesh, identity, &new)?;
    secrets.put(&name, &new)?;
    mesh.save()?;
    for instance in running_instances(mesh, identity)? {
        println!("{instance} starts again with the new token");
        restart(mesh, &consul, identity, &instance)?;
    }
    let ended = setup::retire(&consul, mesh, identity)?;
    let dead = Consul::new(mesh.target("consul_http"), old);
    within(HEARING, "Consul still knows the old token", || {
        Ok(!dead.is_known()?)
    })?;
    println!("{identity} has a new token; Consul refuses the old one ({ended} deleted)");
    Ok(())
}

fn running_instances(mesh: &Mesh, identity: &str) -> Result<Vec<String>> {
    let mut instances = Vec::new();
    for (service, entry) in &mesh.table()? {
        for purpose in services::purposes(entry) {
            if purpose.identity(service) == identity {
                instances.extend(purpose.instances(service, entry));
                instances.extend(scaling::spares(*purpose, service, entry));
            }
        }
    }
    let running = Supervisor::of(mesh).processes()?;
    let running: BTreeSet<_> = running
        .into_iter()
        .filter(|process| process.is_running)
        .map(|process| process.name)
        .collect();
    instances.retain(|instance| running.contains(instance));
    Ok(instances)
}

/// The application first: it says that it goes, so that no request is sent to a sidecar that is about to end.
fn restart(mesh: &Mesh, consul: &Consul, identity: &str, instance: &str) -> Result<()> {
    let supervisor = Supervisor::of(mesh);
    let back = || {
        within(PATIENCE, "it is not back", || {
            let admin = Target::Socket(mesh.run.join(instance).join("admin.sock"));
            let envoy = http::get(&admin, "/ready").is_ok_and(|answer| answer.is_success());
            Ok(envoy && consul.is_passing(identity, instance))
        })
        .with_context(|| format!("{instance}: see `cargo mesh logs {instance}`"))
    };
    for process in [instance.to_owned(), format!("{instance}-envoy")] {
        supervisor.restart(&process)?;
        back()?;
    }
    Ok(())
}

fn within(
    patience: Duration,
    otherwise: &str,
    mut is_so: impl FnMut() -> Result<bool>,
) -> Result<()> {
    let deadline = Instant::now() + patience;
    while !is_so()? {
        stop_when_interrupted()?;
        if Instant::now() > deadline {
            bail!("{otherwise} after {} s", patience.as_secs());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// `users` does it by itself, beside its instances: they look into their store four times a second, and tell everybody.
fn signing_key(mesh: &Mesh) -> Result<()> {
    let before = key_ids(mesh)?;
    let instance = Purpose::Serve.instances("users", &mesh.table()?["users"]);
    let instance = instance.first().context("`users` has no instance")?;
    let mut users = Process::new(mesh.binary("users"));
    users
        .args(["operate", "withdraw-keys"])
        .current_dir(&mesh.state)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    for (name, value) in compose::environment(mesh, instance)? {
        users.env(name, value);
    }
    let output = users.output().context("cannot run `users`")?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        bail!("the keys cannot be withdrawn: {}", reason.trim());
    }
    within(HEARING, "a key of before is still served", || {
        let now = key_ids(mesh)?;
        Ok(!now.is_empty() && now.is_disjoint(&before))
    })?;
    println!("tokens are signed with a new key; those of before are refused everywhere");
    Ok(())
}

/// The names of the keys that anybody may check tokens with.
fn key_ids(mesh: &Mesh) -> Result<BTreeSet<String>> {
    let answer = http::get(&mesh.target("ingress"), "/.well-known/jwks.json")?;
    if !answer.is_success() {
        bail!("`users` does not tell its keys: {}", answer.status);
    }
    let set = answer.json()?;
    let keys = set["keys"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let name = |key: &Value| key["kid"].as_str().map(str::to_owned);
    Ok(keys.iter().filter_map(name).collect())
}
