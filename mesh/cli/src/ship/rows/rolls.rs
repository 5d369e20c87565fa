//! Pods read their settings when they start: every setting that is changed has to make new pods.

use std::collections::BTreeMap;

use serde_json::Value;

use super::SHIPPED;
use crate::ship::check::{documents, render};
use crate::tools;

/// Settings of the chart that reach every pod, each with another value than its own.
const REACH_ALL: &[&str] = &[
    "allowedOrigins={https://other.example}",
    "logFilter=debug",
    "consul=http://other:8500",
    "environment=development",
    "secrets=others",
    "telemetry.otlp=http://other:4317",
    "drain.application=11",
    "drain.sidecar=21",
    "image.tag=other",
    "resources.limits.memory=300Mi",
    "sidecarResources.memoryLimit=300Mi",
];

/// The templates of all pods, by name.
fn pods(settings: &[&str]) -> BTreeMap<String, Value> {
    let tools = tools::checkers(&SHIPPED.checkout).unwrap();
    // Values of the environment are texts, also where they look like numbers.
    let flag = |one: &str| {
        if one.contains(".env.") {
            "--set-string"
        } else {
            "--set"
        }
    };
    let set: Vec<_> = settings
        .iter()
        .map(|one| format!("{}={one}", flag(one)))
        .collect();
    let set: Vec<_> = set.iter().map(String::as_str).collect();
    let rendered = render(&tools, &SHIPPED.checkout, &set).unwrap();
    let objects = documents(&tools, &rendered).unwrap();
    let deployments = objects
        .into_iter()
        .filter(|one| one["kind"] == "Deployment");
    deployments
        .map(|mut one| {
            let name = one["metadata"]["name"].as_str().unwrap().to_owned();
            (name, one["spec"]["template"].take())
        })
        .collect()
}

#[test]
fn each_changed_setting_makes_new_pods_of_all_that_read_it() {
    let before = pods(&[]);
    for setting in REACH_ALL {
        for (name, pod) in pods(&[setting]) {
            assert_ne!(before[&name], pod, "{setting} does not reach {name}");
        }
    }
    let mailing = ["notifications", "notifications-work"];
    for setting in [
        "mail.host=other",
        "mail.port=26",
        "mail.tls=none",
        "mail.from=x@y",
    ] {
        for (name, pod) in pods(&[setting]) {
            let same = before[&name] == pod;
            assert_eq!(same, !mailing.contains(&name.as_str()), "{setting}: {name}");
        }
    }
}

#[test]
fn a_setting_of_one_service_leaves_the_pods_of_others_alone() {
    let before = pods(&[]);
    for setting in [
        "services.likes.env.LIKES_NOTICE_SECONDS=5",
        "services.likes.resources.limits.memory=300Mi",
        "ingress.host=other.example",
        "telemetry.percent=7",
    ] {
        for (name, pod) in pods(&[setting]) {
            let own = setting.starts_with("services.") && name == "likes";
            assert_eq!(before[&name] == pod, !own, "{setting}: {name}");
        }
    }
}
