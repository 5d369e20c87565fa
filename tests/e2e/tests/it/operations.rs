//! What the services' documents say they can do: tests that go over all of it need no line for a service to come.

use std::{fs, path::Path};

use reqwest::Method;
use serde_json::{Value, json};

/// An operation of a document.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) method: Method,
    pub(crate) template: String,
    /// It needs a token.
    pub(crate) secured: bool,
    /// It opens a WebSocket.
    pub(crate) socket: bool,
    parameters: Vec<(String, bool)>,
}

/// The operations of a service's committed document: services to come need no line here.
pub(crate) fn operations(service: &str) -> Vec<Operation> {
    let package = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let path = Path::new(&package).join(format!("../../services/{service}/openapi.json"));
    let document: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let each = paths.iter().flat_map(|(template, methods)| {
        let methods = methods.as_object().unwrap().iter();
        methods.map(|(method, operation)| Operation {
            method: method.to_uppercase().parse().unwrap(),
            template: template.clone(),
            secured: is_secured(operation),
            socket: !operation["responses"]["101"].is_null(),
            parameters: parameters(operation),
        })
    });
    each.collect()
}

fn is_secured(operation: &Value) -> bool {
    operation["security"]
        .as_array()
        .is_some_and(|ways| !ways.is_empty() && !ways.contains(&json!({})))
}

/// The parameters of the path, and whether each is a number.
fn parameters(operation: &Value) -> Vec<(String, bool)> {
    let all = operation["parameters"].as_array().into_iter().flatten();
    let of_path = all.filter(|parameter| parameter["in"] == "path");
    of_path
        .map(|parameter| {
            let name = parameter["name"].as_str().unwrap().to_owned();
            (name, parameter["schema"]["type"] == "integer")
        })
        .collect()
}

impl Operation {
    /// The path, with parameters that name nothing.
    pub(crate) fn path(&self) -> String {
        let fill = |path: String, (name, number): &(String, bool)| {
            let value = if *number {
                "999999999"
            } else {
                "nothing-of-this-name"
            };
            path.replace(&format!("{{{name}}}"), value)
        };
        self.parameters.iter().fold(self.template.clone(), fill)
    }
}
