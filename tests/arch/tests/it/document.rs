//! The API's document is one that generated clients can be stable by: `docs/operations.txt` keeps what they know.

use std::{collections::BTreeMap, fs};

use serde_json::Value;

use crate::root;

fn document() -> Value {
    let text = fs::read(root().join("services/portal/plaza.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// Every operation, by method and path.
fn operations(document: &Value) -> BTreeMap<String, &Value> {
    let paths = document["paths"].as_object().unwrap();
    let each = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().iter();
        methods.map(move |(method, operation)| {
            (format!("{} {path}", method.to_uppercase()), operation)
        })
    });
    each.collect()
}

fn id(operation: &Value) -> &str {
    operation["operationId"].as_str().unwrap()
}

#[test]
fn operations_keep_the_names_that_clients_know_them_by() {
    let kept = fs::read_to_string(root().join("docs/operations.txt")).unwrap();
    let lines = kept.lines().filter(|line| !line.starts_with('#'));
    let kept: BTreeMap<&str, &str> = lines.map(|line| line.split_once(' ').unwrap()).collect();
    let document = document();
    let operations = operations(&document);
    for (id, operation) in &kept {
        let now = operations
            .get(*operation)
            .map(|operation| self::id(operation));
        assert_eq!(
            now,
            Some(*id),
            "clients call {operation} {id}: it keeps that name"
        );
    }
    let new = operations
        .iter()
        .filter(|(_, operation)| !kept.contains_key(id(operation)));
    let new: Vec<_> = new
        .map(|(name, operation)| format!("{} {name}", id(operation)))
        .collect();
    assert!(new.is_empty(), "add to docs/operations.txt: {new:#?}");
}

#[test]
fn every_operation_has_a_name_of_its_own() {
    let document = document();
    for (name, operation) in operations(&document) {
        let id = id(operation);
        let is_name = id.starts_with(|first: char| first.is_ascii_lowercase())
            && id.chars().all(|letter| letter.is_ascii_alphanumeric());
        assert!(
            is_name,
            "give {name} a name in its route table: `.id(\"…\")`"
        );
    }
}

#[test]
fn every_operation_and_parameter_says_what_it_is() {
    let document = document();
    for (name, operation) in operations(&document) {
        for said in ["summary", "description"] {
            let text = operation[said].as_str().unwrap_or_default();
            assert!(text.len() > 3, "{name} has no {said}: `.summary(\"…\")`");
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let about = parameter["description"].as_str().unwrap_or_default();
            assert!(!about.is_empty(), "{name}: {parameter}");
        }
        for (status, answer) in operation["responses"].as_object().unwrap() {
            let answer = resolved(&document, answer);
            for content in answer["content"].as_object().into_iter().flatten() {
                let is_json = content.0.ends_with("json") && content.1["schema"] != Value::Null;
                let whole = content.1["schema"]["type"] == "object";
                let shown = !content.1["example"].is_null();
                assert!(!is_json || whole || shown, "{name} {status} has no example");
            }
        }
    }
}

fn resolved<'a>(document: &'a Value, part: &'a Value) -> &'a Value {
    let place = part["$ref"].as_str();
    place.map_or(part, |place| document.pointer(&place[1..]).unwrap())
}

#[test]
fn a_thing_has_one_name() {
    let document = document();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let plain = name.chars().all(|letter| letter.is_ascii_alphanumeric());
        assert!(plain, "{name} are two things: give one another `title`");
        assert!(!is_unnamed(schema), "{name}: {schema}");
    }
    for (name, operation) in operations(&document) {
        for answer in operation["responses"].as_object().unwrap().values() {
            let json = &resolved(&document, answer)["content"]["application/json"]["schema"];
            assert!(
                !is_unnamed(json),
                "{name} lists things without a name: {json}"
            );
        }
    }
}

/// Whether it is a list of things that have members and no name.
fn is_unnamed(schema: &Value) -> bool {
    schema["items"].get("properties").is_some() || schema["items"].get("allOf").is_some()
}
