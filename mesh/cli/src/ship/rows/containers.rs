//! Rows about containers, in the projects as Compose sees them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{SHIPPED, container, containers, objects, read};
use crate::services::identities;
use crate::ship::compare::array;

#[test]
fn s0_21_every_program_of_ours_is_an_image_of_one_dockerfile() {
    let ours = containers(&SHIPPED.development).filter(|(_, service)| service["build"].is_object());
    let names = ours.map(|(name, service)| {
        assert_eq!(
            service["build"]["dockerfile"], "services/Dockerfile",
            "{name}"
        );
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(service["cap_drop"][0], "ALL", "{name}");
        name.clone()
    });
    let ours: BTreeSet<_> = names.collect();
    let missing: Vec<_> = identities(&SHIPPED.table)
        .into_iter()
        .filter(|name| !ours.contains(name))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    let dockerfile = read("services/Dockerfile");
    assert!(
        dockerfile.contains("\nUSER 65532:65532\n"),
        "nobody is root"
    );
}

#[test]
fn s1_11_each_service_has_a_database_that_no_other_may_open() {
    let mut owners = BTreeMap::new();
    for (name, service) in containers(&SHIPPED.development) {
        for (variable, url) in service["environment"].as_object().into_iter().flatten() {
            let Some(owner) = variable.strip_suffix("_DATABASE_URL") else {
                continue;
            };
            let url = url.as_str().unwrap();
            let wanted = format!(
                "postgres://{0}:${{secret.database-{0}}}@postgres:5432/{0}",
                owner.to_lowercase()
            );
            assert_eq!(url, wanted, "{name}");
            assert_eq!(name.trim_end_matches("-work"), owner.to_lowercase());
            owners.insert(url, name);
        }
    }
    assert!(owners.len() > 5, "{owners:?}");
    // Of more than one kind.
    for kind in ["mongodb", "redis"] {
        assert!(container(kind)["image"].is_string());
    }
}

#[test]
fn s3_32_compose_starts_everything_without_a_variable() {
    for name in identities(&SHIPPED.table) {
        assert!(container(&name)["build"].is_object(), "{name}");
    }
    for (name, service) in containers(&SHIPPED.development) {
        for (other, how) in service["depends_on"].as_object().into_iter().flatten() {
            let once = how["condition"] == "service_completed_successfully";
            let restart = container(other)["restart"].as_str();
            assert_eq!(
                once,
                matches!(restart, Some("no" | "on-failure")),
                "{name} waits for {other}"
            );
        }
    }
}

#[test]
fn s3_33_containers_answer_to_the_names_of_the_movie_platform() {
    for (name, container_of) in [("auth-service", "users"), ("movie-service", "movies")] {
        let aliases: Vec<_> =
            array(&container(container_of)["networks"]["default"]["aliases"]).collect();
        assert_eq!(aliases, [name]);
    }
    assert!(container("redis").is_object());
    let guide = read("docs/operators.md");
    assert!(guide.contains("`auth-service`") && guide.contains("`movie-service`"));
}

#[test]
fn s3_34_every_container_keeps_its_last_lines_for_whoever_asks() {
    for (name, service) in containers(&SHIPPED.development) {
        assert_eq!(service["logging"]["driver"], "json-file", "{name}");
        assert!(
            service["logging"]["options"]["max-size"].is_string(),
            "{name}"
        );
    }
}

#[test]
fn s3_35_what_has_to_last_is_in_volumes_with_names() {
    for (name, target) in [
        ("postgres", "/var/lib/postgresql/data"),
        ("mongodb", "/data/db"),
        ("redis", "/data"),
        ("rabbitmq", "/var/lib/rabbitmq"),
        ("prometheus", "/data/prometheus"),
        ("grafana", "/var/lib/grafana"),
        ("consul", "/plaza"),
    ] {
        let volume = array(&container(name)["volumes"]).find(|volume| volume["target"] == target);
        let volume = volume.unwrap_or_else(|| panic!("{name} keeps nothing in {target}"));
        let source = volume["source"].as_str().unwrap();
        assert_eq!(volume["type"], "volume", "{name}");
        assert!(
            SHIPPED.development["volumes"].get(source).is_some(),
            "{name}: {source}"
        );
    }
    let external = SHIPPED.development["volumes"].as_object().unwrap().values();
    assert!(
        external
            .into_iter()
            .all(|volume| volume["external"] != true),
        "`down --volumes` removes all"
    );
}

#[test]
fn s3_37_three_of_a_service_are_behind_one_address() {
    for name in SHIPPED.table.keys() {
        let service = container(name);
        assert!(
            service.get("ports").is_none() && service.get("container_name").is_none(),
            "{name}"
        );
        // Each copy has an Envoy of its own and tells Consul; the ingress spreads what comes over them.
        assert_eq!(service["build"]["target"], "sidecar", "{name}");
    }
    assert!(array(&container("ingress")["ports"]).any(|port| port["published"] == "8080"));
}

#[test]
fn s3_38_production_goes_on_top_and_restarts_whatever_ends() {
    for (name, service) in containers(&SHIPPED.production) {
        let once = ["prepare", "setup", "databases", "mongodb-users"].contains(&name.as_str());
        assert!(
            once || service["restart"] == "always",
            "{name}: {}",
            service["restart"]
        );
        let environment = service["environment"].as_object().into_iter().flatten();
        let mut default = environment.filter(|(_, value)| **value == "development");
        assert!(default.next().is_none(), "{name}");
        assert_ne!(service["build"]["target"], "mail", "mails are sent");
    }
    let ingress = &SHIPPED.production["services"]["ingress"];
    assert_eq!(ingress["environment"]["TRACE_PERCENT"], "10");
    let alerts = &SHIPPED.production["services"]["prepare"]["environment"];
    assert_eq!(alerts["ALERT_SMTP_HOST"], "mail.example.com", "no catcher");
}

#[test]
fn s3_40_every_instance_says_whether_it_is_well() {
    for name in identities(&SHIPPED.table)
        .iter()
        .map(String::as_str)
        .chain(["ingress"])
    {
        let service = container(name);
        let check: Vec<_> = array(&service["healthcheck"]["test"])
            .filter_map(Value::as_str)
            .collect();
        assert_eq!(
            check,
            ["CMD", "/usr/local/bin/mesh", "container", "health"],
            "{name}"
        );
        assert_eq!(service["restart"], "unless-stopped", "{name}");
    }
}

#[test]
fn s3_41_containers_reach_each_other_by_name_on_one_network() {
    let names: BTreeSet<_> = containers(&SHIPPED.development)
        .map(|(name, _)| name.as_str())
        .collect();
    for (name, service) in containers(&SHIPPED.development) {
        assert!(service.get("network_mode").is_none(), "{name}");
        let networks: Vec<_> = service["networks"].as_object().unwrap().keys().collect();
        assert_eq!(networks, ["default"], "{name}");
        for (variable, url) in service["environment"].as_object().into_iter().flatten() {
            let Some((_, rest)) = url.as_str().unwrap_or_default().split_once("://") else {
                continue;
            };
            let rest = rest.rsplit('@').next().unwrap();
            let host = rest.split([':', '/']).next().unwrap();
            assert!(names.contains(host), "{name}: {variable} is {url}");
        }
    }
}

#[test]
fn s3_42_what_has_to_be_there_first_is_said() {
    let guide = read("docs/operators.md");
    for needed in ["Docker 20.10", "Compose 2.0", "Git"] {
        assert!(guide.contains(needed), "{needed}");
    }
}

#[test]
fn s4_18_each_service_is_a_container_and_a_deployment_of_its_own() {
    let deployments = objects(&SHIPPED.small, "Deployment");
    let mut images = BTreeSet::new();
    for name in SHIPPED.table.keys() {
        let image = container(name)["image"].as_str().unwrap();
        assert!(images.insert(image), "{image} is that of two services");
        let containers = &deployments[name.as_str()]["spec"]["template"]["spec"]["containers"];
        assert_eq!(
            containers.as_array().unwrap().len(),
            1,
            "{name}: the sidecar is injected"
        );
    }
}
