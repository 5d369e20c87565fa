//! Rows about Kubernetes, in the chart as helm renders it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{SHIPPED, objects, products, read};
use crate::ship::compare::array;

/// As `control-plane/connect-inject/constants` of `hashicorp/consul-k8s` has them: one that is misspelt would be ignored.
const ANNOTATIONS: &[&str] = &[
    "connect-inject",
    "connect-service",
    "connect-service-port",
    "connect-service-upstreams",
    "enable-metrics",
    "enable-metrics-merging",
    "enable-sidecar-proxy-lifecycle",
    "enable-sidecar-proxy-lifecycle-shutdown-drain-listeners",
    "prometheus-scrape-port",
    "proxy-config-map",
    "sidecar-proxy-cpu-request",
    "sidecar-proxy-lifecycle-shutdown-grace-period-seconds",
    "sidecar-proxy-memory-limit",
    "sidecar-proxy-memory-request",
    "transparent-proxy",
];

#[test]
fn s0_20_production_runs_at_least_two_of_every_service() {
    let (deployments, scaled) = (
        objects(&SHIPPED.large, "Deployment"),
        objects(&SHIPPED.large, "ScaledObject"),
    );
    for (name, deployment) in &deployments {
        let fixed = deployment["spec"]["replicas"].as_u64();
        let least = scaled
            .get(name)
            .and_then(|object| object["spec"]["minReplicaCount"].as_u64());
        assert!(fixed.or(least).unwrap() >= 2, "{name}: {fixed:?} {least:?}");
        assert_ne!(fixed.is_some(), least.is_some(), "{name} has two masters");
    }
    assert!(deployments.len() > SHIPPED.table.len());
}

#[test]
fn s0_22_kubernetes_runs_them_scales_them_and_keeps_some_of_them_up() {
    let budgets = objects(&SHIPPED.large, "PodDisruptionBudget");
    for (name, deployment) in objects(&SHIPPED.large, "Deployment") {
        let pod = &deployment["spec"]["template"]["spec"];
        let application = &pod["containers"][0];
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            assert!(
                application[probe]["httpGet"].is_object(),
                "{name} has no {probe}"
            );
        }
        assert!(
            application["resources"]["limits"]["memory"].is_string(),
            "{name}"
        );
        assert_eq!(
            budgets[name]["spec"]["selector"],
            deployment["spec"]["selector"]
        );
        assert_eq!(
            pod["topologySpreadConstraints"][0]["topologyKey"],
            "kubernetes.io/hostname"
        );
    }
    let scaled = objects(&SHIPPED.large, "ScaledObject");
    let still: Vec<_> = products()
        .filter(|name| !scaled.contains_key(name.as_str()))
        .collect();
    assert!(still.is_empty(), "nothing scales {still:?}");
}

#[test]
fn s0_23_discussions_scale_by_the_people_who_are_there() {
    let scaled = objects(&SHIPPED.large, "ScaledObject");
    let queries = |name: &str| {
        let triggers = array(&scaled[name]["spec"]["triggers"]);
        triggers
            .map(|trigger| trigger["metadata"]["query"].to_string())
            .collect::<Vec<_>>()
    };
    // Chats are sockets of `live`; what is read and written over REST is that of `discussions`.
    assert!(
        queries("live")
            .iter()
            .all(|query| query.contains("live_sockets")),
        "{:?}",
        queries("live")
    );
    assert!(
        queries("discussions")
            .iter()
            .all(|query| query.contains("http_requests_in_flight"))
    );
}

#[test]
fn s0_24_every_service_scales_by_its_own_load_alone() {
    let scaled = objects(&SHIPPED.large, "ScaledObject");
    for (name, object) in &scaled {
        let spec = &object["spec"];
        assert_eq!(spec["scaleTargetRef"]["name"], **name);
        assert!(
            spec["maxReplicaCount"].as_u64() > spec["minReplicaCount"].as_u64(),
            "{name}"
        );
        for trigger in array(&spec["triggers"]) {
            let query = trigger["metadata"]["query"].as_str().unwrap();
            let services: BTreeSet<_> = query
                .split("service=\"")
                .skip(1)
                .filter_map(|rest| rest.split('"').next())
                .collect();
            assert_eq!(services, BTreeSet::from([*name]), "{query}");
        }
    }
    for name in products() {
        assert!(scaled.contains_key(name.as_str()), "{name}");
    }
}

#[test]
fn s4_19_each_service_has_its_manifests() {
    let kinds = [
        "Deployment",
        "Service",
        "ConfigMap",
        "ServiceAccount",
        "PodDisruptionBudget",
        "ServiceDefaults",
    ];
    for kind in kinds {
        let there = objects(&SHIPPED.small, kind);
        for name in SHIPPED.table.keys() {
            assert!(there.contains_key(name.as_str()), "{name} has no {kind}");
        }
    }
    let (routes, intentions) = (
        objects(&SHIPPED.small, "HTTPRoute"),
        objects(&SHIPPED.small, "ServiceIntentions"),
    );
    for name in SHIPPED.table.keys() {
        assert!(
            routes.contains_key(name.as_str()),
            "nothing leads to {name}"
        );
        assert!(
            intentions.contains_key(name.as_str()),
            "nobody may call {name}"
        );
    }
}

#[test]
fn s4_20_the_chart_says_what_it_stands_on_and_the_guide_how_to_install_it() {
    let chart = read("deploy/helm/Chart.yaml");
    let needs = chart
        .lines()
        .find_map(|line| line.trim().strip_prefix("plaza/needs:"))
        .unwrap();
    let guide = read("docs/operators.md").to_lowercase().replace(' ', "-");
    for need in needs.split(", ") {
        let name = need.split('(').next().unwrap().trim();
        assert!(
            name.contains("apiGateway") || guide.contains(name),
            "{name}"
        );
    }
    for command in ["helm-install", "helm-upgrade", "helm-rollback"] {
        assert!(guide.contains(command), "{command}");
    }
}

#[test]
fn s4_20_production_traces_one_request_in_ten() {
    let share = |chart| {
        let defaults = objects(chart, "ProxyDefaults")["global"];
        let tracing = &defaults["spec"]["config"]["envoy_listener_tracing_json"];
        let tracing: Value = serde_json::from_str(tracing.as_str().unwrap()).unwrap();
        tracing["random_sampling"]["value"].as_u64()
    };
    assert_eq!(share(&SHIPPED.small), Some(100));
    assert_eq!(share(&SHIPPED.large), Some(10));
}

#[test]
fn s4_21_nothing_of_an_efk_stack_is_left() {
    let rendered = serde_json::to_string(&SHIPPED.large).unwrap() + &SHIPPED.production.to_string();
    for name in ["fluentd", "fluent-bit", "elasticsearch", "kibana"] {
        assert!(!rendered.to_lowercase().contains(name), "{name}");
    }
    assert!(!SHIPPED.checkout.join("helms-manifests").exists());
}

#[test]
fn s4_22_logs_are_lines_on_standard_output_that_somebody_else_collects() {
    for (name, settings) in objects(&SHIPPED.large, "ConfigMap") {
        let data = settings["data"].as_object().unwrap();
        if SHIPPED.table.contains_key(name) {
            assert_eq!(data["RUST_LOG"], "info", "{name}");
        }
    }
    for (name, deployment) in objects(&SHIPPED.large, "Deployment") {
        let pod = &deployment["spec"]["template"]["spec"];
        let mounts = array(&pod["containers"][0]["volumeMounts"]);
        let mounts: Vec<_> = mounts
            .filter_map(|mount| mount["mountPath"].as_str())
            .collect();
        assert_eq!(mounts, ["/tmp"], "{name} writes no log files");
    }
    assert!(read("docs/operators.md").contains("JSON lines on standard output"));
}

#[test]
fn s4_23_an_update_or_a_lost_node_takes_no_service_away() {
    for (name, deployment) in objects(&SHIPPED.large, "Deployment") {
        let rolling = &deployment["spec"]["strategy"]["rollingUpdate"];
        assert_eq!(rolling["maxUnavailable"], 0, "{name}");
        let pod = &deployment["spec"]["template"];
        let annotation = |key: &str| {
            pod["metadata"]["annotations"][format!("consul.hashicorp.com/{key}")].as_str()
        };
        assert_eq!(
            annotation("enable-sidecar-proxy-lifecycle-shutdown-drain-listeners"),
            Some("true")
        );
        let settings = &objects(&SHIPPED.large, "ConfigMap")[name]["data"];
        let seconds = |value: Option<&str>| value.unwrap().parse::<u64>().unwrap();
        let application = seconds(settings["DRAIN_SECONDS"].as_str());
        let sidecar = seconds(annotation(
            "sidecar-proxy-lifecycle-shutdown-grace-period-seconds",
        ));
        let grace = pod["spec"]["terminationGracePeriodSeconds"]
            .as_u64()
            .unwrap();
        assert!(
            sidecar > application && grace > application + sidecar,
            "{name}"
        );
    }
    for (name, budget) in objects(&SHIPPED.large, "PodDisruptionBudget") {
        assert_eq!(budget["spec"]["maxUnavailable"], 1, "{name}");
    }
}

#[test]
fn s4_20_annotations_are_those_that_consul_reads() {
    for (name, deployment) in objects(&SHIPPED.large, "Deployment") {
        let annotations = deployment["spec"]["template"]["metadata"]["annotations"]
            .as_object()
            .unwrap();
        let of_consul = annotations
            .keys()
            .filter_map(|key| key.strip_prefix("consul.hashicorp.com/"));
        for annotation in of_consul {
            assert!(ANNOTATIONS.contains(&annotation), "{name}: {annotation}");
        }
    }
}
