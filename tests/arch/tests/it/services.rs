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
fn every_intention_names_a_real_caller_and_denies_the_rest() {
    let known: BTreeSet<String> = table().into_iter().chain(["ingress".to_owned()]).collect();
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
