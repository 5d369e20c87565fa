//! The instances of one service: which run, how one is started and how one is drained.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use loopback::Target;
use serde_json::Value;

use crate::plan::{Plan, Policy};

/// What the supervisor may take; it waits until a process that it stops has ended.
const SUPERVISOR: Duration = Duration::from_secs(40);
/// What Consul may take.
const CONSUL: Duration = Duration::from_secs(3);
/// How long requests may take to end before the instance is told to end itself.
const DRAIN: Duration = Duration::from_secs(15);
/// How often a draining instance is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// What the supervisor calls processes that it will start by itself.
const ON_THEIR_WAY: [&str; 4] = ["Pending", "Launching", "Launched", "Restarting"];
/// So many looks in a row must have found no request, old or new: proxies learn one after the other.
const QUIET_LOOKS: u32 = 3;

/// The instances of one service.
pub(crate) struct Fleet<'a> {
    plan: std::borrow::Cow<'a, Plan>,
    policy: std::borrow::Cow<'a, Policy>,
}

impl<'a> Fleet<'a> {
    pub(crate) fn new(plan: &'a Plan, policy: &'a Policy) -> Self {
        use std::borrow::Cow::Borrowed;
        Self {
            plan: Borrowed(plan),
            policy: Borrowed(policy),
        }
    }

    pub(crate) fn into_owned(self) -> Fleet<'static> {
        use std::borrow::Cow::Owned;
        Fleet {
            plan: Owned(self.plan.into_owned()),
            policy: Owned(self.policy.into_owned()),
        }
    }

    /// The instances that run, in the order in which they are started.
    pub(crate) fn running(&self) -> Result<Vec<String>> {
        let running = self.processes()?;
        let all = self.policy.instances.iter();
        Ok(all.filter(|name| running.contains(name)).cloned().collect())
    }

    /// Starts or drains until `desired` instances run: the last that was started is the first that goes.
    pub(crate) fn scale(&self, running: &[String], desired: u32) -> Result<()> {
        let desired = usize::try_from(desired)?;
        if running.len() > desired {
            for instance in running.iter().skip(desired).rev() {
                self.drain(instance)?;
            }
            return Ok(());
        }
        let spare = self.policy.instances.iter();
        let spare = spare.filter(|name| !running.contains(name));
        for instance in spare.take(desired - running.len()) {
            self.start(instance)?;
        }
        Ok(())
    }

    fn start(&self, instance: &str) -> Result<()> {
        let running = self.processes()?;
        for process in [sidecar(instance), instance.to_owned()] {
            if !running.contains(&process) {
                self.supervise("POST", "start", &process)?;
            }
        }
        tracing::info!(instance, "instance was started");
        Ok(())
    }

    /// No new requests, then an end for those it has, then none for the application, then none for its sidecar.
    fn drain(&self, instance: &str) -> Result<()> {
        self.out_of_service(instance, true)?;
        let waited = self.wait_until_quiet(instance);
        // The application tells its sockets to connect again elsewhere, and leaves Consul.
        if let Err(error) = self.supervise("PATCH", "stop", instance) {
            let _ = self.out_of_service(instance, false);
            return Err(error);
        }
        self.wait_until_ended(instance)?;
        self.forget_metrics(instance);
        self.supervise("PATCH", "stop", &sidecar(instance))?;
        self.wait_until_ended(&sidecar(instance))?;
        tracing::info!(
            instance,
            quiet = waited.is_ok(),
            "instance was drained and stopped"
        );
        Ok(())
    }

    /// Waits until no request is under way and none has come for a while; an error says why that never was.
    fn wait_until_quiet(&self, instance: &str) -> Result<()> {
        let path = format!("/v1/agent/service/{instance}");
        let service = self.consul("GET", &path, &self.token()?)?.json()?;
        let port = service["Meta"]["admin_port"].as_str();
        let target = Target::Port(port.context("it names no admin port")?.parse()?);
        let (deadline, mut before, mut quiet) = (Instant::now() + DRAIN, None, 0);
        while quiet < QUIET_LOOKS {
            if Instant::now() > deadline {
                bail!("requests are under way after {DRAIN:?}");
            }
            std::thread::sleep(LOOK);
            let text = loopback::get(&target, "/metrics")?.text();
            let total = sum(&text, "http_requests_total");
            let is_quiet = sum(&text, "http_requests_in_flight") < 0.5
                && before.is_some_and(|before: f64| (total - before).abs() < 0.5);
            quiet = if is_quiet { quiet + 1 } else { 0 };
            before = Some(total);
        }
        Ok(())
    }

    /// Takes the sidecar's endpoint out of what other proxies are told, or back in.
    fn out_of_service(&self, instance: &str, out: bool) -> Result<()> {
        let path = format!(
            "/v1/agent/service/maintenance/{instance}-sidecar-proxy?enable={out}&reason=drained"
        );
        let answer = self.consul("PUT", &path, &self.token()?)?;
        // Workers have no sidecar service that anybody calls, and an instance that never came up has none yet.
        if answer.is_success() || answer.status == 404 {
            return Ok(());
        }
        bail!(
            "Consul answers {} to {path}: {}",
            answer.status,
            answer.text()
        )
    }

    /// An Envoy that is stopped on purpose is no target that is down.
    fn forget_metrics(&self, instance: &str) {
        let file = self.plan.proxies.join(format!("{instance}.registration"));
        let path = format!("/v1/agent/service/deregister/envoy-{instance}");
        let forgotten = fs::remove_file(file)
            .map_err(anyhow::Error::from)
            .and_then(|()| self.secret("envoy"))
            .and_then(|token| self.consul("PUT", &path, &token));
        if let Err(error) = forgotten {
            tracing::warn!(
                instance,
                cause = format!("{error:#}"),
                "metrics of a sidecar stay registered"
            );
        }
    }

    fn wait_until_ended(&self, process: &str) -> Result<()> {
        let deadline = Instant::now() + SUPERVISOR;
        while self.processes()?.iter().any(|name| name == process) {
            if Instant::now() > deadline {
                bail!("{process} does not end");
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// The names of all processes that run, or are about to: one that is just started again is no place for another.
    fn processes(&self) -> Result<Vec<String>> {
        let target = Target::Socket(self.plan.supervisor.clone());
        let answer =
            loopback::get(&target, "/processes").context("the supervisor does not answer")?;
        let answer = answer.json()?;
        let processes = answer["data"].as_array().into_iter().flatten();
        let running = processes.filter(|process| {
            let status = process["status"].as_str().unwrap_or_default();
            process["is_running"] == Value::Bool(true) || ON_THEIR_WAY.contains(&status)
        });
        Ok(running
            .filter_map(|process| process["name"].as_str().map(str::to_owned))
            .collect())
    }

    fn supervise(&self, method: &str, action: &str, process: &str) -> Result<()> {
        let target = Target::Socket(self.plan.supervisor.clone());
        let path = format!("/process/{action}/{process}");
        let answer = loopback::send(&target, method, &path, &[], &[], SUPERVISOR)?;
        if !answer.is_success() {
            bail!("the supervisor refused {path}: {}", answer.text());
        }
        Ok(())
    }

    fn consul(&self, method: &str, path: &str, token: &str) -> Result<loopback::Answer> {
        let headers = [("x-consul-token", token)];
        let target = Target::Port(self.plan.consul);
        loopback::send(&target, method, path, &headers, &[], CONSUL)
            .context("Consul does not answer")
    }

    fn token(&self) -> Result<String> {
        self.secret(&format!("service-{}", self.policy.identity))
    }

    fn secret(&self, name: &str) -> Result<String> {
        let path = self.plan.secrets.join(name);
        let text = fs::read_to_string(&path);
        let text = text.with_context(|| format!("cannot read {}", path.display()))?;
        Ok(text.trim().to_owned())
    }
}

fn sidecar(instance: &str) -> String {
    format!("{instance}-envoy")
}

/// Adds up all series of a metric in Prometheus's text format.
fn sum(text: &str, metric: &str) -> f64 {
    let series = text.lines().filter(|line| {
        let rest = line.strip_prefix(metric);
        rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
    });
    series
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_of_one_metric_add_up() {
        let text = "# TYPE http_requests_total counter\nhttp_requests_total{route=\"/a b\"} 2\n\
                    http_requests_total{route=\"/c\"} 3\nhttp_requests_total_other 9\n";
        assert!((sum(text, "http_requests_total") - 5.0).abs() < f64::EPSILON);
        assert!(sum(text, "http_requests_in_flight").abs() < f64::EPSILON);
    }
}
