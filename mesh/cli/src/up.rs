//! `cargo mesh up`: from whatever state there is to a mesh whose every service answers through the ingress.

use std::fs::{self, File, Metadata};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::mesh::Mesh;
use crate::progress::Step;
use crate::services::{self, Description, PUBLIC, Route};
use crate::supervisor::{self, Supervisor};
use crate::{compose, demo, down, generate, processes, ready, scaling, secrets, tools};

/// The package and the program that follow the load.
const AUTOSCALER: (&str, &str) = ("mesh-autoscaler", "autoscaler");

/// How the mesh is started.
#[derive(Args)]
pub struct Options {
    /// Runs optimised builds of the services.
    #[arg(long)]
    release: bool,
    /// Listens on another port, for example `prometheus=9190`; remembered until `down --volumes`.
    #[arg(long = "port", value_name = "NAME=NUMBER", value_parser = named_port)]
    ports: Vec<(String, u16)>,
    /// Writes a small world through the public API, where it is not there yet: people, posts, polls, movies, things to buy.
    #[arg(long)]
    demo: bool,
}

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
    ready::wait(&mesh, &descriptions)?;
    let demo = options.demo.then(|| demo::write(&mesh)).transpose()?;
    print(&mesh, &descriptions);
    if let Some(demo) = demo {
        println!("{demo}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Keeps a second command off the same mesh.
pub fn lock(mesh: &Mesh) -> Result<File> {
    let path = mesh.state.with_extension("lock");
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
    let packages: Vec<_> = names.iter().copied().chain([AUTOSCALER.0]).collect();
    services::build(&mesh.checkout, &packages, mesh.release)?;
    step.done();
    let target = services::target(&mesh.checkout, mesh.release);
    for name in names.iter().chain([&AUTOSCALER.1]) {
        copy_when_changed(&target.join(name), &mesh.binary(name))?;
    }
    // By this name it is there even when a build has replaced it meanwhile.
    copy_when_changed(Path::new("/proc/self/exe"), &mesh.binary("mesh"))?;
    let described: Result<Vec<_>> = names
        .iter()
        .map(|name| services::describe(&mesh.binary(name)))
        .collect();
    let described = described?;
    let files = generate::all(&mesh.checkout, &mesh.table()?, &described)?;
    for file in generate::differences(&mesh.checkout, &files) {
        eprintln!("! {file} is not what the code says: run `cargo mesh generate`");
    }
    Ok(described)
}

/// Copies a binary with its time, so that a later build cannot change what a running mesh restarts.
fn copy_when_changed(from: &Path, to: &Path) -> Result<()> {
    let new = fs::metadata(from).with_context(|| format!("cannot read {}", from.display()))?;
    let (size, time) = (new.len(), new.modified()?);
    let is_same = |old: Metadata| old.len() == size && old.modified().is_ok_and(|old| old == time);
    if fs::metadata(to).is_ok_and(is_same) {
        return Ok(());
    }
    fs::create_dir_all(to.parent().context("a binary has a folder")?)?;
    let draft = to.with_extension("draft");
    fs::copy(from, &draft)
        .and_then(|_| File::options().write(true).open(&draft)?.set_modified(time))
        .and_then(|()| fs::rename(&draft, to))
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
    secrets::private_folder(&mesh.run)?;
    let settings = compose::write(mesh)?;
    mesh.save()?;
    if !alive || moved {
        return supervisor::launch(mesh, &settings);
    }
    supervisor.reload()?;
    let idle = scaling::idle_processes(&mesh.table()?);
    for process in supervisor.processes()? {
        if !process.is_running
            && !idle.contains(&process.name)
            && process.name != "setup"
            && process.status != "Pending"
            && process.status != "Restarting"
        {
            supervisor.start(&process.name)?;
        }
    }
    Ok(())
}

/// The simplest path of a service that anybody may read without knowing anything.
fn open_path(service: &Description) -> Option<&str> {
    let documented = &service.openapi["paths"];
    let open = |route: &&Route| {
        // Sockets, and what is left out of the document, show nothing to a plain GET.
        let plain = documented[route.documented()]["get"]["responses"]["200"].is_object();
        let get = route.method == "GET" && plain;
        get && route.auth != "required" && route.params.is_empty()
    };
    let routes = service.routes_on(PUBLIC).filter(open);
    routes
        .map(|route| route.template.as_str())
        .min_by_key(|path| path.len())
}

fn print(mesh: &Mesh, descriptions: &[Description]) {
    let http = |name: &str| format!("http://127.0.0.1:{}", mesh.port(name));
    println!("the mesh is up");
    println!("  ingress     {}", http("ingress"));
    let listeners = descriptions.iter().flat_map(Description::listeners);
    for listener in listeners.filter(|listener| *listener != PUBLIC) {
        println!("  {listener:<10}  {}", http(listener));
    }
    println!(
        "  consul      {}/ui/   (token: {})",
        http("consul_http"),
        mesh.state.join("secrets/management").display()
    );
    println!("  jaeger      {}/api/services", http("jaeger"));
    println!("  prometheus  {}/targets", http("prometheus"));
    println!(
        "  mail        {}/   (what services send)",
        http("mail_page")
    );
    println!("try");
    for service in descriptions {
        if let Some(path) = open_path(service) {
            println!("  curl -i {}{path}", http("ingress"));
        }
    }
    if descriptions.iter().any(|service| service.name == "users") {
        let person =
            r#"{"name":"Ada","email":"ada@example.org","password":"correct horse battery"}"#;
        println!(
            "  curl -i {}/api/users/register -H 'content-type: application/json' -d '{person}'",
            http("ingress")
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_named() {
        assert_eq!(
            named_port("redis=7000").unwrap(),
            ("redis".to_owned(), 7000)
        );
        assert!(named_port("redis").is_err());
    }
}
