//! How many instances of a service run: the policies of `mesh/services.toml`, for the autoscaler here and as objects for
//! Kubernetes (KEDA's `ScaledObject`, and a `HorizontalPodAutoscaler` for clusters without it).

use std::path::PathBuf;

use anyhow::{Result, bail};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::mesh::Mesh;
use crate::secrets;
use crate::services::{Description, Entry, Purpose, Table, purposes};

/// The file with the objects for Kubernetes: inside the chart, which can read no other.
pub const OBJECTS: &str = "deploy/helm/files/scaling.json";

/// Seconds between two looks, here and on Kubernetes.
const EVERY: u64 = 5;
const EVERY_ON_KUBERNETES: u64 = 15;
/// What is older is no data.
const WINDOW: &str = "30s";
/// Share of the requested CPU at which Kubernetes alone, without KEDA, adds instances.
const CPU_PERCENT: u64 = 70;

/// The policy of one service.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// Never fewer instances; `instances` where nothing is said.
    #[serde(default)]
    pub min: Option<u16>,
    /// Never more.
    pub max: u16,
    /// Requests that one instance should have under way.
    #[serde(default)]
    pub in_flight: Option<f64>,
    /// `WebSockets` that one instance should hold.
    #[serde(default)]
    pub sockets: Option<f64>,
    /// Seconds that the oldest message in a queue of the service should have waited at most.
    #[serde(default)]
    pub queue_age: Option<f64>,
    /// For so many seconds the load must have been low before an instance goes.
    #[serde(default = "five_minutes")]
    pub down_after: u64,
}

fn five_minutes() -> u64 {
    300
}

/// One thing that is measured.
struct Metric {
    name: &'static str,
    query: String,
    target: f64,
    of_instances: bool,
}

/// The policy of one kind of process.
struct Policy<'a> {
    purpose: Purpose,
    scale: &'a Scale,
    min: u16,
    metrics: Vec<Metric>,
}

/// Returns the policies of a service, whose background work may run in processes of its own.
fn policies<'a>(service: &str, entry: &'a Entry, apart: bool) -> Vec<Policy<'a>> {
    let Some(scale) = &entry.scale else {
        return Vec::new();
    };
    let kinds = if apart {
        &[Purpose::Serve, Purpose::Work][..]
    } else {
        &[Purpose::Serve][..]
    };
    let policy = |purpose: &Purpose| {
        let serves = *purpose == Purpose::Serve;
        let works = *purpose == Purpose::Work || !apart;
        let identity = purpose.identity(service);
        let metrics = [
            scale.in_flight.filter(|_| serves).map(|target| {
                let series = format!(
                    "avg_over_time(http_requests_in_flight{}[{WINDOW}])",
                    of(&identity)
                );
                each("in_flight", &series, &identity, target)
            }),
            scale.sockets.filter(|_| serves).map(|target| {
                let series = format!(
                    "last_over_time({service}_sockets{}[{WINDOW}])",
                    of(&identity)
                );
                each("sockets", &series, &identity, target)
            }),
            scale
                .queue_age
                .filter(|_| works)
                .map(|target| oldest(&identity, target)),
        ];
        Policy {
            purpose: *purpose,
            scale,
            min: if serves {
                scale.min.unwrap_or(entry.instances)
            } else {
                1
            },
            metrics: metrics.into_iter().flatten().collect(),
        }
    };
    kinds
        .iter()
        .map(policy)
        .filter(|policy| !policy.metrics.is_empty())
        .collect()
}

fn of(identity: &str) -> String {
    format!("{{job=\"services\",service=\"{identity}\"}}")
}

/// A metric of instances. A fresh one has not counted anything yet: that it was scraped says that its value is 0.
fn each(name: &'static str, series: &str, identity: &str, target: f64) -> Metric {
    let alive = format!("min_over_time(up{}[{WINDOW}]) == 1", of(identity));
    Metric {
        name,
        query: format!("sum by (instance) ({series}) or 0 * sum by (instance) ({alive})"),
        target,
        of_instances: true,
    }
}

/// The age of the oldest message in any queue of the service.
fn oldest(identity: &str, target: f64) -> Metric {
    let series = of(identity);
    Metric {
        name: "queue_age",
        query: format!(
            "max(last_over_time(queue_oldest_seconds{series}[{WINDOW}])) or 0 * max(min_over_time(up{series}[{WINDOW}]) == 1)"
        ),
        target,
        of_instances: false,
    }
}

/// Returns how many instances of a service there may be.
pub fn most(entry: &Entry) -> u16 {
    let max = entry.scale.as_ref().map_or(0, |scale| scale.max);
    max.max(entry.instances)
}

/// Returns the ids of instances that run only when the load wants them.
pub fn spares(purpose: Purpose, service: &str, entry: &Entry) -> Vec<String> {
    let Some(scale) = &entry.scale else {
        return Vec::new();
    };
    let most = Entry {
        instances: most(entry),
        workers: if entry.workers == 0 {
            0
        } else {
            scale.max.max(entry.workers)
        },
        ..entry.clone()
    };
    let running = purpose.instances(service, entry).len();
    purpose.instances(service, &most).split_off(running)
}

/// Returns the names of all processes that need not run.
pub fn idle_processes(table: &Table) -> Vec<String> {
    let of = |(service, entry): (&String, &Entry)| {
        let kinds = purposes(entry).iter();
        kinds
            .flat_map(|purpose| spares(*purpose, service, entry))
            .collect::<Vec<_>>()
    };
    let instances = table.iter().flat_map(of);
    instances
        .flat_map(|instance| [format!("{instance}-envoy"), instance])
        .collect()
}

/// Says what is wrong with the policies of a table.
pub fn check(table: &Table) -> Result<()> {
    for (service, entry) in table {
        let Some(scale) = &entry.scale else { continue };
        let min = scale.min.unwrap_or(entry.instances);
        if min == 0 || min > entry.instances || entry.instances > scale.max {
            bail!("scale of {service}: 1 ≤ min ≤ instances ≤ max must hold");
        }
        let targets = [scale.in_flight, scale.sockets, scale.queue_age];
        if !targets.iter().flatten().any(|target| *target > 0.0) {
            bail!("scale of {service} needs a target above 0: in_flight, sockets or queue_age");
        }
    }
    Ok(())
}

/// Returns the file that tells the autoscaler of a mesh what to do.
pub fn plan_file(mesh: &Mesh) -> PathBuf {
    mesh.state.join("autoscaler.json")
}

/// Writes what the autoscaler of a mesh does. That of tests only looks: they would not know how many instances answer.
pub fn write_plan(mesh: &Mesh) -> Result<()> {
    let table = mesh.table()?;
    check(&table)?;
    let mut all = Vec::new();
    for (service, entry) in &table {
        for policy in policies(service, entry, entry.workers > 0) {
            let mut instances = policy.purpose.instances(service, entry);
            instances.extend(spares(policy.purpose, service, entry));
            all.push(json!({
                "identity": policy.purpose.identity(service),
                "instances": instances,
                "min": policy.min,
                "max": policy.scale.max,
                "down_after_seconds": policy.scale.down_after,
                "metrics": policy.metrics.iter().map(Metric::as_plan).collect::<Vec<_>>(),
            }));
        }
    }
    let plan = json!({
        "act": mesh.name != "test",
        "every_seconds": EVERY,
        "prometheus": mesh.port("prometheus"),
        "consul": mesh.port("consul_http"),
        "supervisor": mesh.run.join("supervisor.sock"),
        "secrets": mesh.state.join("secrets"),
        "proxies": mesh.state.join("proxies"),
        "policies": all,
    });
    secrets::write_private(&plan_file(mesh), &serde_json::to_vec_pretty(&plan)?)
}

/// Returns what is registered for the autoscaler's metrics.
pub fn registration(mesh: &Mesh) -> Value {
    let port = mesh.port("autoscaler");
    json!({
        "ID": "autoscaler",
        "Name": "autoscaler",
        "Address": "127.0.0.1",
        "Port": port,
        "Meta": { "metrics_port": port.to_string() },
        "Check": { "Name": "alive", "HTTP": format!("http://127.0.0.1:{port}/livez"), "Interval": "10s", "Timeout": "1s", "Status": "passing" },
    })
}

/// Returns the objects for Kubernetes by the name of what they scale: the `spec` of a `ScaledObject` and that of a
/// `HorizontalPodAutoscaler`. What only the chart knows (target and address of Prometheus) it adds itself.
pub fn objects(table: &Table, descriptions: &[Description]) -> Result<Value> {
    check(table)?;
    let works = |service: &str| {
        let mut found = descriptions.iter();
        found.any(|found| found.name == service && !found.roles.is_empty())
    };
    let mut objects = Map::new();
    for (service, entry) in table {
        for policy in policies(service, entry, works(service)) {
            objects.insert(
                policy.purpose.identity(service),
                json!({
                    "scaledObject": policy.scaled_object(),
                    "horizontalPodAutoscaler": policy.horizontal_pod_autoscaler(),
                }),
            );
        }
    }
    Ok(Value::Object(objects))
}

impl Metric {
    fn as_plan(&self) -> Value {
        json!({ "name": self.name, "query": self.query, "target": self.target, "of_instances": self.of_instances })
    }

    fn as_trigger(&self) -> Value {
        // Kubernetes divides by the number of instances itself.
        let (kind, query) = if self.of_instances {
            ("AverageValue", format!("sum({})", self.query))
        } else {
            ("Value", self.query.clone())
        };
        json!({
            "type": "prometheus",
            "name": self.name.replace('_', "-"),
            "metricType": kind,
            // No value is an error and not 0: a dead scrape takes no instance away.
            "metadata": { "query": query, "threshold": self.target.to_string(), "ignoreNullValues": "false" },
        })
    }
}

impl Policy<'_> {
    fn scaled_object(&self) -> Value {
        json!({
            "minReplicaCount": self.min,
            "maxReplicaCount": self.scale.max,
            "pollingInterval": EVERY_ON_KUBERNETES,
            "fallback": { "failureThreshold": 3, "replicas": self.min, "behavior": "currentReplicas" },
            "advanced": { "horizontalPodAutoscalerConfig": { "behavior": self.behavior() } },
            "triggers": self.metrics.iter().map(Metric::as_trigger).collect::<Vec<_>>(),
        })
    }

    fn horizontal_pod_autoscaler(&self) -> Value {
        let cpu = json!({ "name": "cpu", "target": { "type": "Utilization", "averageUtilization": CPU_PERCENT } });
        json!({
            "minReplicas": self.min,
            "maxReplicas": self.scale.max,
            "metrics": [{ "type": "Resource", "resource": cpu }],
            "behavior": self.behavior(),
        })
    }

    fn behavior(&self) -> Value {
        json!({
            "scaleUp": {
                "stabilizationWindowSeconds": 0,
                "policies": [{ "type": "Percent", "value": 100, "periodSeconds": 15 }],
            },
            "scaleDown": {
                "stabilizationWindowSeconds": self.scale.down_after,
                "policies": [{ "type": "Pods", "value": 1, "periodSeconds": 60 }],
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table {
        toml::from_str(text).unwrap()
    }

    const LIVE: &str = "[live]\ninstances = 2\nscale = { max = 4, in_flight = 20, sockets = 1_000, queue_age = 30 }\n";

    #[test]
    fn instances_that_may_run_are_those_between_the_usual_number_and_the_most() {
        let table = table(LIVE);
        assert_eq!(
            spares(Purpose::Serve, "live", &table["live"]),
            ["live-3", "live-4"]
        );
        assert!(spares(Purpose::Work, "live", &table["live"]).is_empty());
        let idle = ["live-3-envoy", "live-3", "live-4-envoy", "live-4"];
        assert_eq!(idle_processes(&table), idle);
    }

    #[test]
    fn queue_age_is_a_matter_of_the_workers_where_they_are_apart() {
        let table = table(LIVE);
        let names = |apart| {
            let policies = policies("live", &table["live"], apart);
            let names = |policy: &Policy<'_>| {
                policy
                    .metrics
                    .iter()
                    .map(|metric| metric.name)
                    .collect::<Vec<_>>()
            };
            policies.iter().map(names).collect::<Vec<_>>()
        };
        assert_eq!(names(false), [["in_flight", "sockets", "queue_age"]]);
        assert_eq!(
            names(true),
            [vec!["in_flight", "sockets"], vec!["queue_age"]]
        );
    }

    #[test]
    fn kubernetes_gets_the_same_targets_and_keeps_what_runs_without_data() {
        let live = json!({ "name": "live", "roles": ["x"] });
        let live: Description = serde_json::from_value(live).unwrap();
        let objects = objects(&table(LIVE), &[live]).unwrap();
        let object = &objects["live"]["scaledObject"];
        assert_eq!(
            (&object["minReplicaCount"], &object["maxReplicaCount"]),
            (&json!(2), &json!(4))
        );
        assert_eq!(object["fallback"]["behavior"], "currentReplicas");
        let trigger = &object["triggers"][1];
        assert_eq!(trigger["metadata"]["threshold"], "1000");
        assert_eq!(trigger["metadata"]["ignoreNullValues"], "false");
        assert_eq!(trigger["metricType"], "AverageValue");
        assert_eq!(
            objects["live-work"]["scaledObject"]["triggers"][0]["metricType"],
            "Value"
        );
        assert_eq!(objects["live"]["horizontalPodAutoscaler"]["maxReplicas"], 4);
    }

    #[test]
    fn limits_that_cannot_hold_are_refused() {
        assert!(check(&table(LIVE)).is_ok());
        for wrong in [
            "[a]\ninstances = 3\nscale = { max = 2, in_flight = 1 }\n",
            "[a]\nscale = { min = 2, max = 3, in_flight = 1 }\n",
            "[a]\nscale = { max = 2 }\n",
        ] {
            assert!(check(&table(wrong)).is_err(), "{wrong}");
        }
    }
}
