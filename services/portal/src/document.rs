//! One OpenAPI document of all services, each of which has written its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use chassis::Service as _;
use serde_json::{Map, Value, json};

use crate::{Portal, model::Documented};

/// The documents of the other services, as they were when this was built.
const OTHERS: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/documents.rs"));
/// Where schemas are referred to.
const SCHEMAS: &str = "#/components/schemas/";
/// The schema that is the same everywhere; all others get the name of their service before theirs.
const SHARED: &str = "Problem";

static DOCUMENTS: LazyLock<Vec<(String, Value)>> = LazyLock::new(|| {
    let own = chassis::describe::<Portal>()["openapi"].take();
    let others = OTHERS.iter().filter_map(|(name, text)| {
        let document = serde_json::from_str(text);
        let document = document.inspect_err(|error| {
            tracing::error!(service = name, cause = %error, "openapi document left out");
        });
        Some(((*name).to_owned(), document.ok()?))
    });
    [(Portal::NAME.to_owned(), own)]
        .into_iter()
        .chain(others)
        .collect()
});

static SERVICES: LazyLock<Vec<Documented>> = LazyLock::new(|| {
    let describe = |(name, document): &(String, Value)| Documented {
        name: name.clone(),
        description: text(&document["info"]["description"]),
        operations: operations(document).count(),
    };
    DOCUMENTS.iter().map(describe).collect()
});

/// Every service that has a document.
pub(crate) fn services() -> &'static [Documented] {
    &SERVICES
}

/// The union of all documents.
pub(crate) fn merged() -> Value {
    merge(&DOCUMENTS)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn operations(document: &Value) -> impl Iterator<Item = (&String, &String, &Value)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().into_iter().flatten();
        methods.map(move |(method, operation)| (path, method, operation))
    })
}

/// Puts documents together; where two describe the same operation, the first counts.
fn merge(documents: &[(String, Value)]) -> Value {
    let (mut schemas, mut tags) = (Map::new(), Vec::new());
    let mut paths = Paths::default();
    for (name, document) in documents {
        for (schema, definition) in document["components"]["schemas"]
            .as_object()
            .into_iter()
            .flatten()
        {
            let mut definition = definition.clone();
            rename(&mut definition, name);
            schemas.entry(global(schema, name)).or_insert(definition);
        }
        for (path, method, operation) in operations(document) {
            let mut operation = operation.clone();
            rename(&mut operation, name);
            paths.add(path, method, operation, name);
        }
        tags.push(json!({ "name": name, "description": document["info"]["description"] }));
    }
    let bearer = json!({ "type": "http", "scheme": "bearer", "bearerFormat": "JWT" });
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Plaza",
            "description": "Everything that the services answer through the ingress.",
            "version": env!("CARGO_PKG_VERSION"),
        },
        "servers": [{ "url": "/" }],
        "tags": tags,
        "paths": paths.all,
        "components": { "schemas": schemas, "securitySchemes": { "bearer": bearer } },
    })
}

/// The name of a schema of `service` among those of all.
fn global(schema: &str, service: &str) -> String {
    if schema == SHARED {
        schema.to_owned()
    } else {
        format!("{service}.{schema}")
    }
}

/// Makes every reference in `value` one to the schemas of all.
fn rename(value: &mut Value, service: &str) {
    match value {
        Value::String(text) => {
            if let Some(schema) = text.strip_prefix(SCHEMAS) {
                *text = format!("{SCHEMAS}{}", global(schema, service));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, service)),
        Value::Object(members) => members
            .values_mut()
            .for_each(|member| rename(member, service)),
        _ => {}
    }
}

/// The paths of all documents.
#[derive(Default)]
struct Paths {
    all: Map<String, Value>,
    /// The first template of each shape: OpenAPI takes two that differ in names alone for one.
    templates: BTreeMap<String, String>,
    ids: BTreeSet<String>,
}

impl Paths {
    fn add(&mut self, path: &str, method: &str, mut operation: Value, service: &str) {
        let template = self
            .templates
            .entry(shape(path))
            .or_insert_with(|| path.to_owned());
        name_parameters(&mut operation, path, template);
        let id = text(&operation["operationId"]);
        if !self.ids.insert(id.clone()) {
            operation["operationId"] = format!("{service}_{id}").into();
        }
        let methods = self
            .all
            .entry(template.clone())
            .or_insert_with(|| json!({}));
        if methods.get(method).is_some() {
            tracing::warn!(
                service,
                method,
                path,
                "operation is another service's already"
            );
            return;
        }
        methods[method] = operation;
    }
}

fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

/// The path without the names of its parameters.
fn shape(path: &str) -> String {
    let part = |part: &str| {
        if part.starts_with('{') {
            "{}".to_owned()
        } else {
            part.to_owned()
        }
    };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

/// Gives the parameters of `operation` at `path` the names that they have in `template`.
fn name_parameters(operation: &mut Value, path: &str, template: &str) {
    let renamed: BTreeMap<&str, &str> = names(path).zip(names(template)).collect();
    let parameters = operation
        .get_mut("parameters")
        .and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        let name = text(&parameter["name"]);
        if let (Some(new), true) = (renamed.get(name.as_str()), parameter["in"] == "path") {
            parameter["name"] = (*new).into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(path: &str, parameter: &str, schema: &Value) -> Value {
        let reference = format!("{SCHEMAS}Thing");
        json!({
            "info": { "description": "Things" },
            "paths": { path: { "get": {
                "operationId": "get_things",
                "parameters": [{ "name": parameter, "in": "path" }],
                "responses": { "200": { "schema": { "$ref": reference } }, "404": { "$ref": "#/components/schemas/Problem" } },
            } } },
            "components": { "schemas": { "Thing": schema, "Problem": { "type": "object" } } },
        })
    }

    #[test]
    fn schemas_of_one_name_do_not_clash() {
        let (one, other) = (
            json!({ "type": "string" }),
            json!({ "items": { "$ref": "#/components/schemas/Thing" } }),
        );
        let merged = merge(&[
            ("a".into(), document("/a/{id}", "id", &one)),
            ("b".into(), document("/b/{id}", "id", &other)),
        ]);
        let schemas = merged["components"]["schemas"].as_object().unwrap();
        assert_eq!(
            schemas.keys().collect::<Vec<_>>(),
            ["Problem", "a.Thing", "b.Thing"]
        );
        assert_eq!(
            schemas["b.Thing"]["items"]["$ref"],
            "#/components/schemas/b.Thing"
        );
        let responses = &merged["paths"]["/b/{id}"]["get"]["responses"];
        assert_eq!(
            responses["200"]["schema"]["$ref"],
            "#/components/schemas/b.Thing"
        );
        assert_eq!(responses["404"]["$ref"], "#/components/schemas/Problem");
        assert_eq!(
            merged["paths"]["/b/{id}"]["get"]["operationId"],
            "b_get_things"
        );
    }

    #[test]
    fn templates_that_differ_in_names_alone_become_one() {
        let mut second = document("/posts/{id}", "id", &json!({}));
        second["paths"]["/posts/{id}"]["put"] = second["paths"]["/posts/{id}"]["get"].take();
        second["paths"]["/posts/{id}"]
            .as_object_mut()
            .unwrap()
            .remove("get");
        let first = document("/posts/{post_id}", "post_id", &json!({}));
        let merged = merge(&[("a".into(), first), ("b".into(), second)]);
        let paths = merged["paths"].as_object().unwrap();
        assert_eq!(paths.keys().collect::<Vec<_>>(), ["/posts/{post_id}"]);
        assert_eq!(
            paths["/posts/{post_id}"]["put"]["parameters"][0]["name"],
            "post_id"
        );
    }
}
