//! `/docs` and `/openapi.json`.

use std::{collections::BTreeSet, fs, path::Path};

use portal::Portal;
use serde_json::Value;
use testkit::TestService;

const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

async fn merged() -> Value {
    let portal = TestService::<Portal>::start(&["--consul-http-addr=http://127.0.0.1:1"]).await;
    portal.get("/openapi.json").await.expect(200).clone()
}

/// The documents beside the crates of the other services.
fn documents() -> Vec<(String, Value)> {
    let package = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let services = Path::new(&package).parent().unwrap().to_owned();
    let read = |folder: &Path| {
        let text = fs::read(folder.join("openapi.json")).ok()?;
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        Some((name, serde_json::from_slice(&text).unwrap()))
    };
    let folders = fs::read_dir(services).unwrap();
    folders
        .filter_map(|entry| read(&entry.unwrap().path()))
        .collect()
}

/// The path without the names of its parameters.
fn shape(path: &str) -> String {
    let parts = path
        .split('/')
        .map(|part| if part.starts_with('{') { "{}" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

fn operations(document: &Value) -> Vec<(String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let each = paths.iter().flat_map(|(path, methods)| {
        METHODS.iter().filter_map(move |method| {
            let operation = methods.get(method)?;
            Some((format!("{method} {}", shape(path)), operation.clone()))
        })
    });
    each.collect()
}

#[tokio::test]
async fn s2_03_the_document_has_every_operation_of_every_service_once() {
    let merged = merged().await;
    let found = operations(&merged);
    let documents = documents();
    assert!(documents.len() > 1, "users and discussions at least");
    let mut expected = 0;
    for (service, document) in &documents {
        for (operation, _) in operations(document) {
            let of = found
                .iter()
                .filter(|(one, _)| *one == operation)
                .collect::<Vec<_>>();
            assert_eq!(of.len(), 1, "{service}: {operation}");
            assert_eq!(
                of[0].1["tags"][0],
                service.as_str(),
                "{operation} is of one service"
            );
            expected += 1;
        }
    }
    let own = found
        .iter()
        .filter(|(_, operation)| operation["tags"][0] == "portal");
    let has_own_file = documents.iter().any(|(name, _)| name == "portal");
    let own = if has_own_file { 0 } else { own.count() };
    assert_eq!(found.len(), expected + own);
    let ids: BTreeSet<_> = found
        .iter()
        .map(|(_, operation)| operation["operationId"].to_string())
        .collect();
    assert_eq!(ids.len(), found.len(), "ids are unique");
}

#[tokio::test]
async fn s2_03_every_reference_of_the_document_leads_somewhere() {
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            Value::Object(members) => members.iter().for_each(|(name, member)| match member {
                Value::String(text) if name == "$ref" => found.push(text.clone()),
                _ => references(member, found),
            }),
            _ => {}
        }
    }
    let merged = merged().await;
    let mut found = Vec::new();
    references(&merged, &mut found);
    assert!(found.len() > 20, "{found:?}");
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(merged.pointer(pointer).is_some(), "{reference}");
    }
    assert_eq!(merged["openapi"], "3.1.0");
    assert_eq!(merged["servers"][0]["url"], "/");
    assert!(merged["components"]["securitySchemes"]["bearer"].is_object());
}

#[tokio::test]
async fn s2_03_the_documentation_is_the_one_of_all() {
    let portal = TestService::<Portal>::start(&["--consul-http-addr=http://127.0.0.1:1"]).await;
    let page = portal.get("/docs").await;
    assert_eq!(page.status, 200);
    assert!(
        page.text.contains("<title>Plaza API</title>"),
        "{}",
        page.text
    );
}
