//! Rows of the contracts that are about containers and clusters, read from the files as Compose and helm read them.

mod budget;
mod cluster;
mod containers;
mod rolls;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use serde_json::Value;

use super::check::{BASE, DEVELOPMENT, OVERLAY, PRODUCTION, compose, documents, render};
use crate::services::Table;
use crate::{mesh, services, tools};

/// Everything that leaves the checkout.
struct Shipped {
    checkout: PathBuf,
    table: Table,
    development: Value,
    production: Value,
    /// The chart by its own values, and by those of production.
    small: Vec<Value>,
    large: Vec<Value>,
}

static SHIPPED: LazyLock<Shipped> = LazyLock::new(|| {
    let checkout = mesh::checkout().unwrap();
    let tools = tools::checkers(&checkout).unwrap();
    let chart = |values: &[&str]| {
        let rendered = render(&tools, &checkout, values).unwrap();
        documents(&tools, &rendered).unwrap()
    };
    Shipped {
        table: services::table(&checkout).unwrap(),
        development: compose(&tools, &checkout, "", &[BASE, DEVELOPMENT]).unwrap(),
        production: compose(&tools, &checkout, PRODUCTION, &[BASE, OVERLAY]).unwrap(),
        small: chart(&[]),
        large: chart(&["--values=deploy/helm/values-production.yaml"]),
        checkout,
    }
});

#[test]
fn no_value_of_development_is_shipped() {
    let of_development = SHIPPED
        .table
        .values()
        .flat_map(|entry| entry.development_env.keys());
    let variables: Vec<_> = of_development.collect();
    assert!(!variables.is_empty());
    let files = [
        ("compose", SHIPPED.development.to_string()),
        ("compose, in production", SHIPPED.production.to_string()),
        ("the chart", Value::from(SHIPPED.small.clone()).to_string()),
        (
            "the chart, in production",
            Value::from(SHIPPED.large.clone()).to_string(),
        ),
    ];
    for (variable, (name, text)) in variables
        .iter()
        .flat_map(|one| files.iter().map(move |file| (one, file)))
    {
        assert!(!text.contains(variable.as_str()), "{name} has {variable}");
    }
}

/// Services that carry a product; the others are a face over Consul and a page over all.
fn products() -> impl Iterator<Item = &'static String> {
    let others = ["portal", "registry"];
    SHIPPED
        .table
        .keys()
        .filter(move |name| !others.contains(&name.as_str()))
}

fn containers(project: &Value) -> impl Iterator<Item = (&String, &Value)> {
    project["services"].as_object().unwrap().iter()
}

fn container(name: &str) -> &'static Value {
    let found = &SHIPPED.development["services"][name];
    assert!(found.is_object(), "no container is called {name}");
    found
}

fn objects(chart: &'static [Value], kind: &str) -> BTreeMap<&'static str, &'static Value> {
    let of_kind = chart.iter().filter(|object| object["kind"] == kind);
    of_kind
        .map(|object| (object["metadata"]["name"].as_str().unwrap(), object))
        .collect()
}

fn read(path: &str) -> String {
    fs::read_to_string(SHIPPED.checkout.join(path)).unwrap()
}
