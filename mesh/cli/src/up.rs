//! `cargo mesh up`: from whatever state there is to a mesh whose every service answers through the ingress.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

use crate::consul::Consul;
use crate::http::{self, Target};
use crate::mesh::Mesh;
use crate::progress::Step;
use crate::services::{self, Description};
use crate::supervisor::{self, Supervisor};
use crate::{compose, down, generate, logs, processes, tools};

/// How the mesh is started.
#[derive(Args)]
pub struct Options {
    /// Runs optimised builds of the services.
    #[arg(long)]
    release: bool,
    /// Listens on another port, for example `prometheus=9190`; remembered until `down --volumes`.
    #[arg(long = "port", value_name = "NAME=NUMBER", value_parser = named_port)]
    ports: Vec<(String, u16)>,
}

/// Set when a person or a machine asks this program to end.
pub static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// How long a mesh may take until every service answers.
const PATIENCE: Duration = Duration::from_mins(2);
/// How often a process may be started again before that counts as failure.
const MANY_RESTARTS: u32 = 6;

fn named_port(text: &str) -> Result<(String, u16)> {
    let (name, port) = text.split_once('=').context("write it as NAME=NUMBER")?;
    Ok((
        name.to_owned(),
        port.parse()
            .context("the port is not a number below 65536")?,
    ))
}

/// Brings the development mesh up.
pub fn run(options: &Options) -> Result<ExitCode> {
    let mut mesh = Mesh::development(options.release)?;
    for (name, port) in &options.ports {
        let Some(known) = mesh.ports.get_mut(name) else {
            bail!(
                "no port is called {name}; there are {}",
                mesh.ports.keys().cloned().collect::<Vec<_>>().join(", ")
            );
        };
        *known = *port;
    }
    let _alone = lock(&mesh)?;
    let descriptions = prepare(&mesh, false)?;
    start(&mesh)?;
    wait(&mesh, &descriptions)?;
    print(&mesh, &descriptions);
    Ok(ExitCode::SUCCESS)
}

/// Keeps a second command off the same mesh.
pub fn lock(mesh: &Mesh) -> Result<File> {
    let path = mesh.state.join("lock");
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    if file.try_lock().is_err() {
        bail!(
            "another `cargo mesh` works on the mesh `{}` of this checkout: wait until it is done",
            mesh.name
        );
    }
    Ok(file)
}

/// Gets the programs, builds the services and puts copies of them where the mesh runs them.
pub fn prepare(mesh: &Mesh, with_tests: bool) -> Result<Vec<Description>> {
    tools::get_missing(&mesh.checkout, with_tests)?;
    let table = mesh.table()?;
    let names: Vec<_> = table.keys().map(String::as_str).collect();
    let step = Step::start(format!("building {}", names.join(", ")));
    services::build(&mesh.checkout, &names, mesh.release)?;
    step.done();
    let target = services::target(&mesh.checkout, mesh.release);
    for name in &names {
        copy_when_changed(&target.join(name), &mesh.binary(name))?;
    }
    copy_when_changed(&std::env::current_exe()?, &mesh.binary("mesh"))?;
    let described: Result<Vec<_>> = names
        .iter()
        .map(|name| services::describe(&mesh.binary(name)))
        .collect();
    let described = described?;
    for file in generate::differences(&mesh.checkout, &described, &table)? {
        eprintln!("! {file} is not what the code says: run `cargo mesh generate`");
    }
    Ok(described)
}

/// Copies a binary, so that a later build cannot change what a running mesh restarts.
fn copy_when_changed(from: &Path, to: &Path) -> Result<()> {
    let new = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    if fs::read(to).is_ok_and(|old| old == new) {
        return Ok(());
    }
    fs::create_dir_all(to.parent().context("a binary has a folder")?)?;
    let draft = to.with_extension("draft");
    fs::copy(from, &draft)
        .and_then(|_| fs::rename(&draft, to))
        .with_context(|| format!("cannot write {}", to.display()))
}

/// Starts what does not run; a running supervisor changes only what is different.
pub fn start(mesh: &Mesh) -> Result<()> {
    let before = Mesh::load(&mesh.state).ok();
    let supervisor = Supervisor::of(mesh);
    let alive = supervisor.is_alive();
    let moved = before
        .as_ref()
        .is_some_and(|before| before.ports != mesh.ports || before.programs != mesh.programs);
    if alive && moved {
        down::stop(mesh)?;
    }
    if !alive || moved {
        processes::end(&mesh.state, Duration::from_secs(5))?;
        if let Some(problem) = down::taken_port(mesh) {
            bail!("{problem}");
        }
        let _ = fs::remove_dir_all(&mesh.run);
        let _ = fs::remove_dir_all(mesh.state.join("proxies"));
    }
    crate::secrets::private_folder(&mesh.run)?;
    let settings = compose::write(mesh)?;
    mesh.save()?;
    if !alive || moved {
        return supervisor::launch(mesh, &settings);
    }
    supervisor.reload()?;
    for process in supervisor.processes()? {
        if !process.is_running
            && process.name != "setup"
            && process.status != "Pending"
            && process.status != "Restarting"
        {
            supervisor.start(&process.name)?;
        }
    }
    Ok(())
}

/// Waits until everything answers, or says in one sentence what does not.
pub fn wait(mesh: &Mesh, descriptions: &[Description]) -> Result<()> {
    let mut step = Step::start("starting the mesh");
    let supervisor = Supervisor::of(mesh);
    let consul = Consul::new(mesh.port("consul_http"), mesh.secrets()?.get("management")?);
    let restarts: BTreeMap<_, _> = supervisor
        .processes()?
        .into_iter()
        .map(|process| (process.name, process.restarts))
        .collect();
    let deadline = Instant::now() + PATIENCE;
    while let Some(missing) = missing(mesh, descriptions, &consul) {
        if INTERRUPTED.load(Ordering::Relaxed) {
            bail!("interrupted");
        }
        step.note(&missing.why);
        for process in supervisor
            .processes()
            .context("the supervisor ended: run `cargo mesh up` again")?
        {
            let before = restarts.get(&process.name).copied().unwrap_or(0);
            if process.restarts >= before + MANY_RESTARTS {
                bail!(
                    "{} ends again and again (exit code {}); the last lines of its log:\n{}",
                    process.name,
                    process.exit_code,
                    last_lines(mesh, &process.name)
                );
            }
        }
        if Instant::now() > deadline {
            let process = &missing.process;
            bail!(
                "{} after {} s: look at `cargo mesh logs {process}`; its last lines:\n{}",
                missing.why,
                PATIENCE.as_secs(),
                last_lines(mesh, process)
            );
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    step.done();
    Ok(())
}

fn last_lines(mesh: &Mesh, process: &str) -> String {
    let lines = logs::tail(&mesh.log(process), 10);
    if lines.is_empty() {
        "  (nothing)".to_owned()
    } else {
        lines
            .iter()
            .map(|line| format!("  {line}"))
            .collect::<Vec<_>>()
            .join("\n")
    }
}

/// What is still waited for, and whose log tells more.
struct Missing {
    process: String,
    why: String,
}

fn missing(mesh: &Mesh, descriptions: &[Description], consul: &Consul) -> Option<Missing> {
    let missing = |process: &str, why: String| {
        Some(Missing {
            process: process.to_owned(),
            why,
        })
    };
    for (process, port) in [
        ("redis", "redis"),
        ("documents", "documents"),
        ("jaeger", "otlp"),
        ("prometheus", "prometheus"),
    ] {
        if crate::ports::is_free(mesh.port(port)) {
            return missing(process, format!("{process} does not listen"));
        }
    }
    if http::get(&Target::Port(mesh.port("consul_http")), "/v1/status/leader").is_err() {
        return missing("consul", "consul does not answer".to_owned());
    }
    for (service, entry) in mesh.table().ok()? {
        let wanted = usize::from(entry.instances);
        let healthy = consul.read(&format!("/v1/health/connect/{service}?passing=true"));
        let healthy = healthy
            .ok()
            .and_then(|list| list.as_array().map(Vec::len))
            .unwrap_or(0);
        if healthy < wanted {
            return missing(
                &format!("{service}-1"),
                format!("{service} is not ready ({healthy} of {wanted} instances in Consul)"),
            );
        }
    }
    let unanswered = descriptions
        .iter()
        .find_map(|service| Some((service, unanswered(mesh, service)?)));
    unanswered.and_then(|(service, why)| {
        missing(
            "ingress",
            format!(
                "{} does not answer through the ingress ({why})",
                service.name
            ),
        )
    })
}

/// Returns why a service does not answer through the ingress, or nothing when it does.
fn unanswered(mesh: &Mesh, service: &Description) -> Option<String> {
    let path = probe_path(service)?;
    match http::get(&Target::Port(mesh.port("ingress")), &path) {
        Ok(answer)
            if answer.header("x-envoy-upstream-service-time").is_some()
                && answer.status < 500
                && answer.status != 403 =>
        {
            None
        }
        Ok(answer) => Some(format!("GET {path} is answered {}", answer.status)),
        Err(error) => Some(format!("GET {path}: {error}")),
    }
}

/// Returns a path that the service answers to GET, the simplest one it has.
fn probe_path(service: &Description) -> Option<String> {
    let routes = service.routes.iter().filter(|route| route.method == "GET");
    let route = routes.min_by_key(|route| (route.params.len(), route.template.len()))?;
    let mut path = route.template.clone();
    for (name, kind) in &route.params {
        path = path.replace(
            &format!("{{{name}}}"),
            if kind == "integer" { "1" } else { "x" },
        );
    }
    Some(path)
}

fn print(mesh: &Mesh, descriptions: &[Description]) {
    let http = |name: &str| format!("http://127.0.0.1:{}", mesh.port(name));
    println!("the mesh is up");
    println!("  ingress     {}", http("ingress"));
    println!(
        "  consul      {}/ui/   (token: {})",
        http("consul_http"),
        mesh.state.join("secrets/management").display()
    );
    println!("  jaeger      {}/api/services", http("jaeger"));
    println!("  prometheus  {}/targets", http("prometheus"));
    println!("try");
    for service in descriptions {
        if let Some(path) = probe_path(service) {
            println!("  curl -i {}{path}", http("ingress"));
        }
    }
    if descriptions.iter().any(|service| service.name == "users") {
        let person = Value::from(
            r#"{"name":"Ada","email":"ada@example.org","password":"correct horse battery"}"#,
        );
        let person = person.as_str().unwrap_or_default();
        println!(
            "  curl -i {}/api/users/register -H 'content-type: application/json' -d '{person}'",
            http("ingress")
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_probe_takes_the_simplest_route_and_fills_it() {
        let service: Description = serde_json::from_value(json!({
            "name": "users",
            "routes": [
                { "method": "POST", "template": "/a" },
                { "method": "GET", "template": "/users/{id}/{name}", "params": { "id": "integer", "name": "string" } },
            ],
        }))
        .unwrap();
        assert_eq!(probe_path(&service).as_deref(), Some("/users/1/x"));
    }

    #[test]
    fn a_port_is_named() {
        assert_eq!(
            named_port("redis=7000").unwrap(),
            ("redis".to_owned(), 7000)
        );
        assert!(named_port("redis").is_err());
    }
}
