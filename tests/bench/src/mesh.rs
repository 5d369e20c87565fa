//! The mesh that `cargo mesh up` started: its addresses, its processes, and the CPU time that they took.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use loopback::Target;
use serde_json::{Value, json};

/// What Consul and the supervisor may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A running mesh.
pub struct Mesh {
    file: Value,
}

/// CPU time in microseconds, by process.
pub type Cpu = BTreeMap<String, u64>;

impl Mesh {
    /// Reads its file.
    pub fn open(file: Option<&Path>) -> Result<Self> {
        let file =
            file.context("say which mesh by --mesh FILE, or run this by `cargo mesh bench`")?;
        let text = fs::read(file).context("no mesh runs here: run `cargo mesh up` first")?;
        Ok(Self {
            file: serde_json::from_slice(&text)?,
        })
    }

    /// An address by name.
    pub fn address(&self, name: &str) -> Result<&str> {
        let address = self.file["addresses"][name].as_str();
        address.with_context(|| format!("the mesh has no address {name}"))
    }

    /// A program that it runs.
    pub fn program(&self, name: &str) -> Result<PathBuf> {
        let program = self.file["programs"][name].as_str();
        let program = program.with_context(|| format!("the mesh has no program {name}"))?;
        Ok(program.into())
    }

    fn port(&self, name: &str) -> Result<Target> {
        let port = self.file["ports"][name].as_u64();
        let port = port.with_context(|| format!("the mesh has no port {name}"))?;
        Ok(Target::Port(u16::try_from(port)?))
    }

    fn consul(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let token = self.file["tokens"]["management"]
            .as_str()
            .unwrap_or_default();
        let headers = [("x-consul-token", token)];
        let body = if body.is_null() {
            Vec::new()
        } else {
            serde_json::to_vec(body)?
        };
        let target = self.port("consul_http")?;
        let answer = loopback::send(&target, method, path, &headers, &body, PATIENCE)?;
        if !answer.is_success() {
            bail!(
                "Consul answers {} to {path}: {}",
                answer.status,
                answer.text()
            );
        }
        answer.json()
    }

    /// The socket on which the application of a service listens, without any proxy.
    pub fn application(&self, service: &str) -> Result<PathBuf> {
        let path = format!("/v1/health/service/{service}?passing=true");
        let found = self.consul("GET", &path, &Value::Null)?;
        let socket = found[0]["Service"]["SocketPath"].as_str();
        Ok(socket.context("no instance is healthy")?.into())
    }

    /// The settings of all proxies.
    pub fn proxy_defaults(&self) -> Result<Value> {
        self.consul("GET", "/v1/config/proxy-defaults/global", &Value::Null)
    }

    /// Changes which share of requests the ingress and the proxies of a service trace, in percent.
    pub fn trace(&self, service: &str, percent: u32) -> Result<()> {
        let run = self.file["run"].as_str().context("the mesh has no run")?;
        for proxy in ["ingress", &format!("{service}-1")] {
            let admin = Target::Socket(Path::new(run).join(proxy).join("admin.sock"));
            let path = format!("/runtime_modify?tracing.random_sampling={percent}");
            let answer = loopback::send(&admin, "POST", &path, &[], &[], PATIENCE)?;
            if !answer.is_success() {
                bail!(
                    "{proxy} does not take another share of traces: {}",
                    answer.text()
                );
            }
        }
        Ok(())
    }

    /// Changes the settings of all proxies.
    pub fn put_proxy_defaults(&self, settings: &Value) -> Result<()> {
        let mut settings = settings.clone();
        for name in ["CreateIndex", "ModifyIndex", "Hash"] {
            settings.as_object_mut().map(|fields| fields.remove(name));
        }
        if self.consul("PUT", "/v1/config", &settings)? != json!(true) {
            bail!("Consul does not take the settings of proxies");
        }
        Ok(())
    }

    /// The CPU time of those processes whose name `is_meant`, their children included.
    pub fn cpu(&self, is_meant: impl Fn(&str) -> bool) -> Result<Cpu> {
        let socket = self.address("process_compose")?;
        let supervisor = Target::Socket(socket.into());
        let answer = loopback::get(&supervisor, "/processes")?.json()?;
        let processes = answer["data"].as_array().into_iter().flatten();
        let meant = processes.filter_map(|process| {
            let name = process["name"].as_str().filter(|name| is_meant(name))?;
            let runs = process["is_running"] == json!(true);
            let pid = process["pid"].as_u64().filter(|_| runs)?;
            Some((name.to_owned(), pid))
        });
        meant
            .map(|(name, pid)| Ok((name, of_process(pid)?)))
            .collect()
    }
}

/// Fields 14 and 15 of `/proc/<pid>/stat`, in ticks of a hundredth of a second as on every Linux that there is.
pub fn of_process(pid: u64) -> Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = stat.rsplit_once(')').context("a line of another form")?;
    let mut fields = rest.split_whitespace().skip(11);
    let mut ticks = || fields.next().and_then(|field| field.parse::<u64>().ok());
    let (user, system) = (ticks(), ticks());
    let ticks = user.zip(system).context("a line of another form")?;
    Ok((ticks.0 + ticks.1) * 10_000)
}

/// What was used between two looks.
pub fn used(before: &Cpu, after: &Cpu) -> u64 {
    let each = after.iter().map(|(name, after)| {
        let before = before.get(name).copied().unwrap_or(*after);
        after.saturating_sub(before)
    });
    each.sum()
}
