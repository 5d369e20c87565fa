//! The table of services, the crates and the files of Consul agree.

use std::{collections::BTreeSet, fs};

use serde_json::Value;

use crate::root;

fn table() -> BTreeSet<String> {
    let text = fs::read_to_string(root().join("mesh/services.toml")).unwrap();
    toml::from_str::<toml::Table>(&text)
        .unwrap()
        .keys()
        .cloned()
        .collect()
}

#[test]
fn every_crate_has_an_entry_and_every_entry_a_crate() {
    let crates: BTreeSet<String> = fs::read_dir(root().join("services"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("Cargo.toml").is_file())
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(crates, table());
}

#[test]
fn every_service_has_its_files_in_consul_and_its_openapi() {
    for service in table() {
        for kind in ["services", "intentions", "routes"] {
            let path = root().join(format!("consul/{kind}/{service}.json"));
            assert!(
                path.is_file(),
                "{} is missing: run `cargo mesh generate`",
                path.display()
            );
        }
        let path = root().join(format!("services/{service}/openapi.json"));
        let document: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        assert!(
            !document["paths"].as_object().unwrap().is_empty(),
            "{service}"
        );
    }
}

#[test]
fn s1_12_the_model_of_a_service_is_apart_from_its_routes() {
    for service in table() {
        let source = root().join("services").join(&service).join("src");
        for part in ["model", "http"] {
            let (file, folder) = (source.join(format!("{part}.rs")), source.join(part));
            assert!(file.is_file() || folder.is_dir(), "{service} has no {part}");
        }
        assert!(source.join("main.rs").is_file(), "{service} is no program");
    }
}

/// Why a POST minds no `Idempotency-Key`, for those that do not.
fn needs_no_key(path: &str) -> Option<&'static str> {
    const TAKEN: &str =
        "a second one is refused as taken, and there is no person yet who owns keys";
    const TOKEN: &str = "a token more harms nobody, and no token may be kept as an answer";
    const READ: &str = "it only says whose token this is";
    const STATE: &str = "says how it shall be: said twice it is the same";
    const LEASE: &str = "an instance that is left over goes away with its first missed heartbeats";
    Some(match path {
        "/api/users/register"
        | "/users/register"
        | "/register"
        | "/api/auth/register"
        | "/auth/register" => TAKEN,
        "/api/users/login" | "/users/login" | "/login" | "/api/auth/login" | "/auth/login"
        | "/auth/signin" => TOKEN,
        "/auth/validate" => READ,
        "/api/auth/logout"
        | "/users/follow/{username}"
        | "/users/unfollow/{username}"
        | "/likes/{post_id}"
        | "/registry/heartbeat/{instance_id}" => STATE,
        "/registry/register" => LEASE,
        _ => return None,
    })
}

#[test]
fn d26_every_post_may_be_repeated_or_has_a_reason_not_to() {
    let mut without: Vec<String> = Vec::new();
    let (mut keyed, mut excused) = (0, 0);
    for service in table() {
        let path = root().join(format!("services/{service}/openapi.json"));
        let document: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        for (path, operations) in document["paths"].as_object().unwrap() {
            let Some(post) = operations.get("post") else {
                continue;
            };
            let parameters = post["parameters"].as_array().into_iter().flatten();
            let keys = parameters.filter(|parameter| parameter["name"] == "Idempotency-Key");
            match (keys.count(), needs_no_key(path)) {
                (1, None) => keyed += 1,
                (0, Some(_)) => excused += 1,
                (_, reason) => without.push(format!("{service}: POST {path} ({reason:?})")),
            }
        }
    }
    assert!(
        without.is_empty(),
        "make them `.idempotent()`, or say why not: {without:#?}"
    );
    assert!(keyed >= 12 && excused == 18, "{keyed} and {excused}");
}

#[test]
fn every_intention_names_a_real_caller_and_denies_the_rest() {
    // Workers have an identity of their own.
    let workers = table().into_iter().map(|service| format!("{service}-work"));
    let known = table().into_iter().chain(workers);
    let known: BTreeSet<String> = known.chain(["ingress".to_owned()]).collect();
    for service in table() {
        let path = root().join(format!("consul/intentions/{service}.json"));
        let entry: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        for source in entry["Sources"].as_array().unwrap() {
            let caller = source["Name"].as_str().unwrap();
            assert!(
                known.contains(caller),
                "{service} is opened to `{caller}`, which is nobody"
            );
            assert!(
                source["Permissions"].is_array(),
                "{caller} may do anything to {service}"
            );
        }
    }
    let all: Value = serde_json::from_slice(
        &fs::read(root().join("consul/config/deny-by-default.json")).unwrap(),
    )
    .unwrap();
    assert_eq!(
        (&all["Name"], &all["Sources"][0]["Action"]),
        (&Value::from("*"), &Value::from("deny"))
    );
}
