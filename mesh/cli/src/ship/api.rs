//! The API of all services as one document.

use std::fmt::Write as _;

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::schema::members;
use crate::generate::Files;
use crate::services::Description;

/// Where it is.
pub const DOCUMENT: &str = "docs/openapi.yaml";

/// Returns the document.
pub fn files(descriptions: &[Description]) -> Result<Files> {
    let mut yaml =
        String::from("# Written by `cargo mesh generate`; the same is served at /openapi.json.\n");
    write_yaml(&mut yaml, &document(descriptions)?, 0);
    Ok(Files::from([(DOCUMENT.to_owned(), yaml)]))
}

/// Returns a service's document, with its name before those of schemas that another service has too, and means something else by.
fn own(description: &Description, all: &[Description]) -> Result<Value> {
    let schemas = |service: &Description| service.openapi["components"]["schemas"].clone();
    let mut document = description.openapi.clone();
    for (name, schema) in members(&schemas(description)) {
        let differs = |other: &Description| {
            let theirs = &schemas(other)[name];
            !theirs.is_null() && theirs != schema
        };
        if all.iter().any(differs) {
            let renamed = format!("{}.{name}", description.name);
            let reference = |name: &str| format!("\"#/components/schemas/{name}\"");
            let text = document.to_string();
            let text = text.replace(&reference(name), &reference(&renamed));
            document = serde_json::from_str(&text)?;
            let schemas = document["components"]["schemas"].as_object_mut();
            if let Some(schemas) = schemas
                && let Some(schema) = schemas.remove(name)
            {
                schemas.insert(renamed, schema);
            }
        }
    }
    Ok(document)
}

/// Brings the services' documents together: paths and components are theirs alone, or the same in all.
fn document(descriptions: &[Description]) -> Result<Value> {
    let (mut paths, mut components) = (Map::new(), Map::new());
    for description in descriptions {
        let own = own(description, descriptions)?;
        for (path, operations) in members(&own["paths"]) {
            let entry = paths.entry(path.clone()).or_insert_with(|| json!({}));
            for (method, operation) in members(operations) {
                let mut operation = operation.clone();
                operation["tags"] = json!([description.name]);
                entry[method] = operation;
            }
        }
        for (kind, parts) in members(&own["components"]) {
            let entry = components.entry(kind.clone()).or_insert_with(|| json!({}));
            for (name, part) in members(parts) {
                entry[name] = part.clone();
            }
        }
    }
    let tags: Vec<_> = descriptions
        .iter()
        .map(|service| json!({ "name": service.name, "description": service.about }))
        .collect();
    Ok(json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Plaza",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "http://localhost:8080" }],
        "tags": tags,
        "paths": paths,
        "components": components,
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
}
