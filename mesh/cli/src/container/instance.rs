//! One container of a service: its application and its Envoy, started and ended together, the Envoy last.

use std::fs;
use std::net::{IpAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use rustix::process::{Pid, Signal, kill_process};

use crate::http::{self, Target};
use crate::mesh::Mesh;
use crate::secrets;
use crate::template::{self, Values};

/// What runs in this container.
#[derive(Args)]
pub struct Options {
    /// The identity in the mesh: a service, `<service>-work`, or `ingress`.
    #[arg(env = "PLAZA_IDENTITY")]
    identity: String,
    /// The folder with this container's own credentials.
    #[arg(long, default_value = "/credentials")]
    credentials: PathBuf,
    /// A folder that nobody else sees: sockets, and copies of the credentials.
    #[arg(long, default_value = "/run/plaza")]
    private: PathBuf,
    /// The service's program.
    #[arg(long, default_value = "/usr/local/bin/service")]
    program: PathBuf,
    /// Port of the application's admin listener.
    #[arg(long, default_value_t = 9100)]
    admin_port: u16,
}

/// What operators ask the service of this container for.
#[derive(Args)]
pub struct Operate {
    /// What it is (`users operate` lists what there is).
    chore: String,
    #[command(flatten)]
    options: Options,
}

/// How long an application may take to drain; its own deadline is shorter.
const DRAIN: Duration = Duration::from_secs(25);

static STOP: AtomicBool = AtomicBool::new(false);

impl Options {
    fn is_ingress(&self) -> bool {
        self.identity == "ingress"
    }

    fn service(&self) -> &str {
        self.identity
            .strip_suffix("-work")
            .unwrap_or(&self.identity)
    }

    fn command(&self) -> &'static str {
        if self.service() == self.identity {
            "serve"
        } else {
            "work"
        }
    }

    /// Returns the name of this one among those of its service: containers are told apart by their host names.
    fn instance(&self) -> Result<String> {
        if self.is_ingress() {
            return Ok(self.identity.clone());
        }
        let host = fs::read_to_string("/proc/sys/kernel/hostname")?;
        Ok(format!("{}-{}", self.identity, host.trim()))
    }

    fn admin_socket(&self) -> Result<PathBuf> {
        Ok(self.private.join(self.instance()?).join("admin.sock"))
    }
}

/// Runs until it is told to end, or until one of the two ends by itself: then the container ends, and is started again.
pub fn run(options: &Options) -> Result<ExitCode> {
    ctrlc::set_handler(|| STOP.store(true, Ordering::Relaxed)).context("cannot handle signals")?;
    let mesh = own_mesh(options)?;
    let address = own_address(&mesh)?.to_string();
    let mut application = if options.is_ingress() {
        None
    } else {
        let mut command = application(options, &mesh, &address, &[options.command()])?;
        Some(command.spawn().context("cannot start the application")?)
    };
    let mut proxy = proxy(options, &mesh, &address)?
        .spawn()
        .context("cannot start the Envoy")?;
    let code = loop {
        if STOP.load(Ordering::Relaxed) {
            break ExitCode::SUCCESS;
        }
        let ended = |child: &mut Child| child.try_wait().is_ok_and(|status| status.is_some());
        if application.as_mut().is_some_and(ended) || ended(&mut proxy) {
            eprintln!(
                "{}: a process of this container ended by itself",
                options.identity
            );
            break ExitCode::FAILURE;
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    if let Some(application) = &mut application {
        end(application)?;
    }
    end(&mut proxy)?;
    Ok(code)
}

/// Runs the service's program once more, with what it needs, for one thing that it does beside its requests.
pub fn operate(asked: &Operate) -> Result<ExitCode> {
    let mesh = own_mesh(&asked.options)?;
    let address = own_address(&mesh)?.to_string();
    let mut command = application(&asked.options, &mesh, &address, &["operate", &asked.chore])?;
    let ended = command.status().context("cannot start the program")?;
    Ok(if ended.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Takes the credentials into the private folder, where the mesh's files are expected to be writable.
fn own_mesh(options: &Options) -> Result<Mesh> {
    let folder = options.private.join("state");
    secrets::private_folder(&folder.join("secrets"))?;
    for entry in fs::read_dir(options.credentials.join("secrets"))? {
        let entry = entry?;
        let copy = folder.join("secrets").join(entry.file_name());
        secrets::write_private(&copy, &fs::read(entry.path())?)?;
    }
    let mut mesh = Mesh::load(&options.credentials)?;
    mesh.state = folder;
    mesh.run.clone_from(&options.private);
    let file = serde_json::to_vec_pretty(&mesh)?;
    secrets::write_private(&mesh.file(), &file)?;
    Ok(mesh)
}

/// Returns the address by which others reach this container: the one that it reaches Consul from. Nothing is sent for it.
fn own_address(mesh: &Mesh) -> Result<IpAddr> {
    if let Ok(address) = std::env::var("ADVERTISE_ADDR") {
        return address.parse().context("ADVERTISE_ADDR is no address");
    }
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket
        .connect((mesh.host("consul_http"), mesh.port("consul_http")))
        .context("Consul's container has no address")?;
    Ok(socket.local_addr()?.ip())
}

fn application(
    options: &Options,
    mesh: &Mesh,
    address: &str,
    arguments: &[&str],
) -> Result<Command> {
    let instance = options.instance()?;
    let upstreams = options.private.join(&instance);
    secrets::private_folder(&upstreams)?;
    let token = mesh.secrets()?.path(&Mesh::token_name(&options.identity));
    let mut command = Command::new(&options.program);
    command
        .args(arguments)
        .env("PLAZA_INSTANCE", &instance)
        .env("HTTP_ADDR", mesh.application(&instance))
        .env("ADMIN_ADDR", format!("{address}:{}", options.admin_port))
        .env("ADVERTISE_ADDR", address)
        .env(
            "CONSUL_HTTP_ADDR",
            format!("http://{}", mesh.target("consul_http")),
        )
        .env("CONSUL_HTTP_TOKEN_FILE", token)
        .env("UPSTREAMS_DIR", upstreams);
    let values = own_secrets(mesh)?;
    for (name, value) in std::env::vars() {
        if value.contains("${") {
            let filled =
                template::fill_text(&value, &values).with_context(|| format!("in {name}"))?;
            command.env(name, filled);
        }
    }
    Ok(command)
}

/// Returns what variables may ask for: this container's secrets, as `${secret.<name>}`.
fn own_secrets(mesh: &Mesh) -> Result<Values> {
    let mut values = Values::new();
    for entry in fs::read_dir(mesh.state.join("secrets"))? {
        let entry = entry?;
        let name = format!("secret.{}", entry.file_name().to_string_lossy());
        let secret = fs::read_to_string(entry.path())?;
        values.insert(name, secret.trim().into());
    }
    Ok(values)
}

/// This same program becomes the Envoy once Consul knows the instance.
fn proxy(options: &Options, mesh: &Mesh, address: &str) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["proxy", "--service", &options.identity, "--instance"])
        .arg(options.instance()?)
        .arg("--state")
        .arg(&mesh.state)
        .env("ADVERTISE_ADDR", address);
    if let Ok(sockets) = std::env::var("PLAZA_SOCKETS") {
        for sockets in sockets.split(',') {
            command.args(["--sockets", sockets]);
        }
    }
    Ok(command)
}

/// Asks a process to end, and ends it when it does not.
fn end(child: &mut Child) -> Result<()> {
    if child.try_wait()?.is_some() {
        return Ok(());
    }
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::TERM);
    }
    let deadline = Instant::now() + DRAIN;
    while Instant::now() < deadline {
        if child.try_wait()?.is_some() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    child.kill()?;
    child.wait()?;
    Ok(())
}

/// Asks the Envoy, and the application beside it.
pub fn health(options: &Options) -> Result<ExitCode> {
    let envoy = http::get(&Target::Socket(options.admin_socket()?), "/ready")?;
    if !envoy.is_success() {
        bail!("Envoy: {}", envoy.text());
    }
    if !options.is_ingress() {
        let mesh = Mesh::load(Path::new(&options.credentials))?;
        let admin = Target::Host(own_address(&mesh)?.to_string(), options.admin_port);
        let application = http::get(&admin, "/readyz")?;
        if !application.is_success() {
            bail!("{}: {}", options.service(), application.text());
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;

    fn options(identity: &str, folder: &Path) -> Options {
        Options {
            identity: identity.to_owned(),
            credentials: folder.to_owned(),
            private: folder.join("run"),
            program: PathBuf::from("/bin/true"),
            admin_port: 1,
        }
    }

    #[test]
    fn s0_21_secrets_reach_the_application_and_only_it() {
        let folder = std::env::temp_dir().join(format!("plaza-run-{}", random::uuid().unwrap()));
        fs::create_dir_all(folder.join("secrets")).unwrap();
        fs::write(folder.join("secrets/redis"), "canary").unwrap();
        let mesh = serde_json::json!({
            "name": "x", "checkout": "/", "state": "/", "run": "/", "ports": {}, "release": true, "programs": {},
        });
        fs::write(folder.join("mesh.json"), mesh.to_string()).unwrap();

        let mesh = own_mesh(&options("likes", &folder)).unwrap();

        let values = own_secrets(&mesh).unwrap();
        let url = template::fill_text("redis://:${secret.redis}@redis:6379/0", &values).unwrap();
        assert_eq!(url, "redis://:canary@redis:6379/0");
        assert!(template::fill_text("${secret.management}", &values).is_err());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn workers_are_told_by_their_identity() {
        let worker = options("likes-work", Path::new("/"));
        assert_eq!((worker.service(), worker.command()), ("likes", "work"));
        let server = options("likes", Path::new("/"));
        assert_eq!((server.service(), server.command()), ("likes", "serve"));
    }
}
