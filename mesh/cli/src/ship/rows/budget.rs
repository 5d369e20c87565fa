//! What processes get in containers and on a cluster, against the budget that the README states and `mesh/cli/tests` measures.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{SHIPPED, objects, read};
use crate::services::identities;
use crate::ship::compare::array;

/// MiB by kind of process.
fn budget() -> BTreeMap<String, u64> {
    let readme = read("README.md");
    let (_, section) = readme.split_once("## The budget").unwrap();
    let rows = section.split("\n## ").next().unwrap().lines();
    let rows = rows.filter_map(|line| {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let name = cells.next()?.trim_matches('`').to_owned();
        Some((name, cells.next()?.parse().ok()?))
    });
    rows.collect()
}

/// MiB of what Kubernetes calls `110Mi`.
fn mebibytes(quantity: &Value) -> u64 {
    let text = quantity.as_str().unwrap();
    text.strip_suffix("Mi").unwrap().parse().unwrap()
}

#[test]
fn a_container_may_take_more_than_its_budget() {
    let budget = budget();
    let limit = |container: &str| {
        let bytes = &SHIPPED.development["services"][container]["mem_limit"];
        bytes.as_str().unwrap().parse::<u64>().unwrap() / 1024 / 1024
    };
    let own = [
        "consul",
        "prometheus",
        "rabbitmq",
        "jaeger",
        "alertmanager",
        "mail",
        "redis",
    ];
    for name in own {
        assert!(
            limit(name) * 4 >= budget[name] * 5,
            "{name}: {}",
            limit(name)
        );
    }
    let both = budget["service"] + budget["sidecar"];
    for name in identities(&SHIPPED.table) {
        assert!(limit(&name) * 4 >= both * 5, "{name}: {}", limit(&name));
    }
}

#[test]
fn a_pod_asks_for_its_budget() {
    let budget = budget();
    for chart in [&SHIPPED.small, &SHIPPED.large] {
        for (name, deployment) in objects(chart, "Deployment") {
            let pod = &deployment["spec"]["template"];
            for container in array(&pod["spec"]["containers"]) {
                let (asks, most) = (
                    mebibytes(&container["resources"]["requests"]["memory"]),
                    mebibytes(&container["resources"]["limits"]["memory"]),
                );
                assert!(
                    asks >= budget["service"] && most >= 2 * budget["service"],
                    "{name}"
                );
            }
            let sidecar = &pod["metadata"]["annotations"];
            let asks = &sidecar["consul.hashicorp.com/sidecar-proxy-memory-request"];
            assert!(mebibytes(asks) >= budget["sidecar"], "{name}");
        }
    }
}
