//! Every body that the documents of the services know, with the secret where another type belongs.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::Mesh;

use super::Canary;

pub(super) async fn send(canary: &mut Canary) {
    let mesh = Mesh::current();
    let person = mesh.person().await;
    let mut tried = 0;
    for service in mesh.services.keys() {
        let document = mesh.describe(service)["openapi"].clone();
        for (method, path, schema) in bodies(&document) {
            for body in misfits(canary, &document, &schema) {
                let request = mesh
                    .request(method.clone(), &path)
                    .bearer_auth(&person.token);
                let what = format!("{method} {path} {body}");
                canary.ask(&what, request.json(&body)).await;
                tried += 1;
            }
        }
    }
    assert!(tried > 300, "only {tried} bodies were tried");
}

/// Method, path and schema of everything with a body in JSON.
fn bodies(document: &Value) -> Vec<(Method, String, Value)> {
    let mut found = Vec::new();
    for (template, operations) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in operations.as_object().into_iter().flatten() {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            if let Ok(method) = method.to_uppercase().parse()
                && !schema.is_null()
            {
                found.push((method, filled(template), schema.clone()));
            }
        }
    }
    found
}

/// A path with something for each of its parameters.
fn filled(template: &str) -> String {
    let part = |part| match part {
        part if str::starts_with(part, "{") => "1",
        part => part,
    };
    template.split('/').map(part).collect::<Vec<_>>().join("/")
}

/// The whole body, and each member of it, in every type that is not the right one.
fn misfits(canary: &Canary, document: &Value, schema: &Value) -> Vec<Value> {
    let schema = resolved(document, schema);
    let example = schema["examples"][0].clone();
    let mut bodies: Vec<Value> = canary.shapes();
    for (member, schema) in schema["properties"].as_object().into_iter().flatten() {
        let types = types(document, schema);
        for shape in canary.shapes() {
            if !fits(&shape, &types) {
                let mut body = if example.is_object() {
                    example.clone()
                } else {
                    json!({})
                };
                body[member] = shape;
                bodies.push(body);
            }
        }
    }
    bodies
}

fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(place) => document.pointer(&place[1..]).unwrap(),
        None => schema,
    }
}

/// The types of JSON that a schema takes.
fn types(document: &Value, schema: &Value) -> Vec<String> {
    let schema = resolved(document, schema);
    let named = match &schema["type"] {
        Value::Array(types) => types.clone(),
        one => vec![one.clone()],
    };
    let others = ["oneOf", "anyOf", "allOf"]
        .iter()
        .filter_map(|name| schema[*name].as_array());
    let mut types: Vec<String> = others
        .flatten()
        .flat_map(|one| types(document, one))
        .collect();
    // Only some texts are in an enumeration.
    let closed = schema["enum"].is_array();
    types.extend(
        named
            .iter()
            .filter_map(|one| one.as_str())
            .filter(|_| !closed)
            .map(str::to_owned),
    );
    types
}

/// Whether a value is of one of the types: what may be kept and shown is no misfit.
fn fits(value: &Value, types: &[String]) -> bool {
    let fits = |name: &str| match name {
        "string" => value.is_string(),
        "integer" | "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => value.is_null(),
    };
    types.iter().any(|name| fits(name))
}
