//! What processes get in containers and on a cluster, against the budget that the README states and `mesh/cli/tests` measures.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{SHIPPED, objects, read};
use crate::limits;
use crate::services::{Purpose, identities, purposes};
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
fn a_container_holds_its_application_and_the_heap_of_its_envoy() {
    let limit = |container: &str| {
        let bytes = &SHIPPED.development["services"][container]["mem_limit"];
        bytes.as_str().unwrap().parse::<u64>().unwrap() / 1024 / 1024
    };
    let deployments = objects(&SHIPPED.small, "Deployment");
    for (name, entry) in &SHIPPED.table {
        for purpose in purposes(entry) {
            let sockets = entry.sockets.filter(|_| *purpose == Purpose::Serve);
            let (_, heap) = limits::room(&held(name, sockets));
            let heap = u64::from(limits::ENVOY_HEAP) + heap / 1024 / 1024;
            let identity = purpose.identity(name);
            let pod = &deployments[identity.as_str()]["spec"]["template"]["spec"];
            let application = mebibytes(&pod["containers"][0]["resources"]["limits"]["memory"]);
            // Envoy has code and stacks beside its heap, and files in memory count too.
            let needed = application + heap + 96;
            assert!(limit(&identity) >= needed, "{identity}: {needed} MiB");
        }
    }
    let ingress = &SHIPPED.development["services"]["ingress"]["environment"]["PLAZA_SOCKETS"];
    let sockets = limits::sockets(ingress.as_str().unwrap()).unwrap().number;
    assert!(limit("ingress") >= u64::from(limits::gateway(sockets)));
}

/// What the Envoy of a service is told of sockets.
fn held(service: &str, sockets: Option<u32>) -> Vec<limits::Sockets> {
    let held = sockets.map(|number| limits::Sockets {
        service: service.to_owned(),
        number,
    });
    held.into_iter().collect()
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
