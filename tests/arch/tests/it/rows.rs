//! Rows of the contracts that the sources themselves answer.

use std::{collections::BTreeMap, fs};

use serde_json::Value;

use crate::root;

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The operations of a service's document: `POST /item`.
fn operations(service: &str) -> Vec<String> {
    let document = read(&format!("services/{service}/openapi.json"));
    let document: Value = serde_json::from_str(&document).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let each = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().keys();
        methods.map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    each.collect()
}

fn services() -> Vec<String> {
    let table: toml::Table = toml::from_str(&read("mesh/services.toml")).unwrap();
    table.keys().cloned().collect()
}

/// The port of a service that is started alone, where nothing says another.
#[test]
fn s1_09_services_have_the_ports_of_their_products() {
    let ports = [
        ("products", 5001),
        ("orders", 5002),
        ("notifications", 5003),
        // The microblog says 5100 of the same service, the shop 5000: `PORT=5000` makes it that.
        ("users", 5100),
    ];
    for (service, port) in ports {
        let source = read(&format!("services/{service}/src/lib.rs"));
        let line = format!("const PORT: u16 = {port};");
        assert!(source.contains(&line), "{service} is not at {port}");
    }
    assert!(read("mesh/cli/src/ports.rs").contains("(\"consul_http\", 8500)"));
    assert!(read("docker-compose.override.yml").contains("127.0.0.1:8500:8500"));
}

/// By HTTP/2, as gRPC speaks it (S0-12); what is `RESTful` is each service's face to the outside.
#[test]
fn s1_10_what_services_ask_each_other_goes_over_http() {
    let mut asked = 0;
    for service in services() {
        let entry = read(&format!("consul/intentions/{service}.json"));
        let entry: Value = serde_json::from_str(&entry).unwrap();
        let sources = entry["Sources"].as_array().unwrap().iter();
        for source in sources.filter(|source| source["Name"] != "ingress") {
            for permission in source["Permissions"].as_array().into_iter().flatten() {
                let http = &permission["HTTP"];
                let path = http["PathExact"].as_str().unwrap_or_default();
                assert!(path.starts_with("/plaza."), "{service}: {permission}");
                assert_eq!(http["Methods"], serde_json::json!(["POST"]), "{service}");
                asked += 1;
            }
        }
        let defaults = read(&format!("consul/services/{service}.json"));
        let defaults: Value = serde_json::from_str(&defaults).unwrap();
        assert_eq!(defaults["Protocol"], "http", "{service}");
    }
    assert!(asked > 10, "services ask {asked} times");
}

#[test]
fn s4_10_every_endpoint_is_in_the_document_of_all() {
    let document = read("docs/openapi.yaml");
    let paths = document.split("\npaths:\n").nth(1).unwrap();
    // Methods of each path, by their indentation.
    let mut known: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut path = String::new();
    for line in paths.lines() {
        let name = line.trim().trim_end_matches(':').trim_matches('"');
        match line.len() - line.trim_start().len() {
            2 => name.clone_into(&mut path),
            4 => known
                .entry(path.clone())
                .or_default()
                .push(name.to_uppercase()),
            _ => {}
        }
    }
    let missing: Vec<_> = services()
        .iter()
        .flat_map(|service| operations(service))
        .filter(|operation| {
            let (method, path) = operation.split_once(' ').unwrap();
            let methods = known.get(path);
            !methods.is_some_and(|methods| methods.iter().any(|known| known == method))
        })
        .collect();
    assert!(missing.is_empty(), "docs/openapi.yaml lacks {missing:?}");
}

#[test]
fn s4_29_the_three_services_of_the_market_are_three_of_ours() {
    let services = services();
    for (theirs, ours, operation) in [
        ("Auth", "users", "POST /auth/login"),
        ("Backend API", "items", "POST /buy/{id}"),
        ("Notifier", "notifications", "GET /notifications"),
    ] {
        assert!(services.iter().any(|service| service == ours), "{theirs}");
        let operations = operations(ours);
        assert!(
            operations.iter().any(|own| own == operation),
            "{theirs}: {operations:?}"
        );
    }
}
