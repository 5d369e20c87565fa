//! The API of all services as one document.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Result, bail};
use serde_json::{Map, Value, json};

use super::schema::members;
use crate::generate::{Files, pretty};
use crate::services::Description;

/// Where it is.
pub const DOCUMENT: &str = "docs/openapi.yaml";

/// The same for the portal, which serves it at `/openapi.json`.
const SERVED: &str = "services/portal/plaza.json";

/// Returns the document, for readers and for the portal.
pub fn files(descriptions: &[Description]) -> Result<Files> {
    let document = document(descriptions)?;
    let mut yaml = String::from(
        "# Written by `cargo mesh generate`; the portal serves the same as JSON at /openapi.json.\n",
    );
    write_yaml(&mut yaml, &document, 0);
    Ok(Files::from([
        (DOCUMENT.to_owned(), yaml),
        (SERVED.to_owned(), pretty(&document)?),
    ]))
}

/// What the services' documents have together: a name is one thing's alone, whoever has it.
#[derive(Default)]
struct Union {
    paths: Map<String, Value>,
    /// Components by kind and name.
    components: Map<String, Value>,
    /// The path of each shape: two that differ in the names of parameters alone would be one.
    shapes: BTreeMap<String, String>,
    /// The operation of each id.
    ids: BTreeMap<String, String>,
}

impl Union {
    fn add(&mut self, service: &str, document: &Value) -> Result<()> {
        for (path, operations) in members(&document["paths"]) {
            let known = self
                .shapes
                .entry(shape(path))
                .or_insert_with(|| path.clone());
            if known != path {
                bail!("{known} and {path} of {service} differ in names alone: give them the same");
            }
            let entry = self.paths.entry(path.clone()).or_insert_with(|| json!({}));
            for (method, operation) in members(operations) {
                if entry.get(method).is_some() {
                    bail!("{method} {path} of {service} is another service's already");
                }
                entry[method] = operation.clone();
                let id = operation["operationId"].as_str().unwrap_or_default();
                let other = self.ids.insert(id.to_owned(), format!("{method} {path}"));
                if let Some(other) = other.filter(|_| !id.is_empty()) {
                    bail!("{other} and {method} {path} are both called {id}: no two may be");
                }
            }
        }
        for (kind, parts) in members(&document["components"]) {
            let entry = self.components.entry(kind.clone());
            let entry = entry.or_insert_with(|| json!({}));
            for (name, part) in members(parts) {
                if entry.get(name).is_some_and(|known| known != part) {
                    bail!(
                        "{name} of {service} is something else in another service: \
                         give its type a name of its own by `#[schema(title = …)]`"
                    );
                }
                entry[name] = part.clone();
            }
        }
        Ok(())
    }
}

/// The path without the names of its parameters.
fn shape(path: &str) -> String {
    let parts = path.split('/');
    let parts = parts.map(|part| if part.starts_with('{') { "{}" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

/// Brings the services' documents together.
fn document(descriptions: &[Description]) -> Result<Value> {
    let mut union = Union::default();
    for service in descriptions {
        union.add(&service.name, &service.openapi)?;
    }
    let tags: Vec<_> = descriptions
        .iter()
        .map(|service| json!({ "name": service.name, "description": service.about }))
        .collect();
    Ok(json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Plaza",
            "description": "Everything that the services answer through the ingress.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
            "contact": { "name": "Those who run this Plaza" },
        },
        "servers": [
            { "url": "/", "description": "Where this document is served" },
            { "url": "http://localhost:8080", "description": "A mesh on this machine" },
        ],
        "tags": tags,
        "paths": union.paths,
        "components": union.components,
    }))
}

/// Writes a value as YAML; texts as JSON writes them, which is YAML too.
fn write_yaml(text: &mut String, value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    let is_block = |value: &Value| match value {
        Value::Object(map) => !map.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    };
    let line = |text: &mut String, head: &str, value: &Value| {
        if is_block(value) {
            let _ = writeln!(text, "{indent}{head}");
            write_yaml(text, value, depth + 1);
        } else {
            let _ = writeln!(text, "{indent}{head} {value}");
        }
    };
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let plain = key.chars().all(|character| character.is_ascii_alphabetic());
                let key = if plain {
                    key.clone()
                } else {
                    json!(key).to_string()
                };
                line(text, &format!("{key}:"), value);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| line(text, "-", item)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s4_25_the_document_is_yaml() {
        let mut text = String::new();
        let value = json!({ "a": [{ "b": "x: y", "c": {} }], "/p/{id}": 1 });
        write_yaml(&mut text, &value, 0);
        assert_eq!(
            text,
            "\"/p/{id}\": 1\na:\n  -\n    b: \"x: y\"\n    c: {}\n"
        );
    }

    fn service(name: &str, path: &str, id: &str, schema: &Value) -> Description {
        let operation = json!({ "operationId": id, "tags": [name] });
        serde_json::from_value(json!({
            "name": name,
            "openapi": {
                "paths": { path: { "get": operation } },
                "components": { "schemas": { "Thing": schema } },
            },
        }))
        .unwrap()
    }

    #[test]
    fn the_file_and_what_is_served_are_the_same_document() {
        let text = json!({ "type": "string" });
        let services = [
            service("a", "/a/{id}", "getA", &text),
            service("b", "/b/{id}", "getB", &text),
        ];
        let files = files(&services).unwrap();
        let served: Value = serde_json::from_str(&files[SERVED]).unwrap();
        let mut yaml = files[DOCUMENT].lines().next().unwrap().to_owned() + "\n";
        write_yaml(&mut yaml, &served, 0);
        assert_eq!(yaml, files[DOCUMENT]);
        assert_eq!(served["components"]["schemas"]["Thing"], text);
        assert_eq!(members(&served["paths"]).count(), 2);
    }

    #[test]
    fn a_name_is_one_things_alone() {
        let (text, number) = (json!({ "type": "string" }), json!({ "type": "integer" }));
        let first = service("a", "/a/{id}", "getA", &text);
        for (second, complaint) in [
            (
                service("b", "/b", "getB", &number),
                "Thing of b is something else",
            ),
            (service("b", "/b", "getA", &text), "are both called getA"),
            (
                service("b", "/a/{name}", "getB", &text),
                "differ in names alone",
            ),
            (
                service("b", "/a/{id}", "getB", &text),
                "another service's already",
            ),
        ] {
            let refused = document(&[first.clone(), second]).unwrap_err().to_string();
            assert!(refused.contains(complaint), "{refused}");
        }
    }
}
