//! The throw-away Postgres of a mesh of tests.

use std::fs;
use std::io::Write;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::Process;
use crate::mesh::Mesh;
use crate::{secrets, tools};

/// Services that a mesh of tests keeps in Postgres, as production does (S3-28), each in a database of its name. The suites of
/// all run on both stores.
pub const SERVICES: &[&str] = &["users", "movies"];

/// Where it is, without a database.
pub fn url(mesh: &Mesh) -> String {
    format!("postgres://postgres@127.0.0.1:{}", mesh.port("postgres"))
}

/// Returns where the throw-away Postgres has its files: outside the private state folder, which its user may not enter.
pub fn data(mesh: &Mesh) -> PathBuf {
    let mut name = mesh.run.clone().into_os_string();
    name.push("-postgres");
    PathBuf::from(name)
}

/// The server.
pub(super) fn process(mesh: &Mesh) -> Result<Process> {
    let arguments = [
        "-D".to_owned(),
        data(mesh).to_string_lossy().into_owned(),
        "-c".to_owned(),
        "listen_addresses=127.0.0.1".to_owned(),
        "-c".to_owned(),
        format!("port={}", mesh.port("postgres")),
        "-c".to_owned(),
        "unix_socket_directories=".to_owned(),
        "-c".to_owned(),
        "fsync=off".to_owned(),
        "-c".to_owned(),
        "max_connections=200".to_owned(),
    ];
    let mut command = as_its_user(mesh.program("postgres")?);
    command.extend(arguments);
    let rest: Vec<_> = command[1..].iter().map(String::as_str).collect();
    Ok(Process::new(Path::new(&command[0]), &rest))
}

/// What runs a program of Postgres, which refuses to run as root: root runs it as the user of the Debian package.
fn as_its_user(program: &Path) -> Vec<String> {
    let mut command = Vec::new();
    if rustix::process::geteuid().is_root() {
        command.extend(["/usr/sbin/runuser", "-u", "postgres", "--"].map(str::to_owned));
    }
    command.push(program.to_string_lossy().into_owned());
    command
}

/// Makes a Postgres with an empty database for each service that is kept there.
pub fn init(mesh: &Mesh) -> Result<()> {
    let folder = data(mesh);
    secrets::private_folder(&folder)?;
    if rustix::process::geteuid().is_root() {
        let (user, group) = ids()?;
        chown(&folder, Some(user), Some(group))?;
    }
    let folder = folder.to_string_lossy();
    let mut arguments = vec!["--no-sync", "--auth=trust", "--username=postgres"];
    arguments.extend(["--encoding=UTF8", "--no-locale", "-D", &folder]);
    run("initdb", &arguments, "")?;
    // Without a server: one statement a line.
    let databases = SERVICES.join("\nCREATE DATABASE ");
    let databases = format!("CREATE DATABASE {databases}\n");
    run(
        "postgres",
        &["--single", "-D", &folder, "postgres"],
        &databases,
    )
}

/// Runs a program of Postgres to its end.
fn run(program: &str, arguments: &[&str], input: &str) -> Result<()> {
    let path = tools::postgres_folder()
        .context("Postgres is missing: run `sudo apt-get install postgresql`")?
        .join(program);
    let command = as_its_user(&path);
    let mut child = Command::new(&command[0])
        .args(&command[1..])
        .args(arguments)
        .current_dir("/tmp")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {program}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{program} failed: {}", said.trim());
    }
    Ok(())
}

fn ids() -> Result<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd")?;
    let line = users
        .lines()
        .find(|line| line.starts_with("postgres:"))
        .context("there is no user postgres")?;
    let fields: Vec<_> = line.split(':').collect();
    Ok((
        fields.get(2).unwrap_or(&"").parse()?,
        fields.get(3).unwrap_or(&"").parse()?,
    ))
}
