//! What the edge knows of the routes: which methods each address has, and where sockets open.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::generate::{Files, pretty};
use crate::services::{Description, Route};

/// The generated file.
const FILE: &str = "consul/ingress/addresses.json";

/// One address that a listener has, of whatever service.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Address {
    /// The template, with `{}` for a parameter and `{int}` for a number.
    path: String,
    /// Without sockets; HEAD goes with GET.
    methods: BTreeSet<String>,
    /// Whether a WebSocket opens there.
    socket: bool,
}

/// Returns the file that the edge is made from.
pub fn files(descriptions: &[Description]) -> Result<Files> {
    let listeners: BTreeSet<_> = descriptions
        .iter()
        .flat_map(Description::listeners)
        .collect();
    let tables: BTreeMap<_, _> = listeners
        .into_iter()
        .map(|listener| (listener, of(descriptions, listener)))
        .collect();
    let text = pretty(&serde_json::to_value(tables)?)?;
    Ok(Files::from([(FILE.to_owned(), text)]))
}

/// The addresses of a listener, the most specific ones first.
fn of(descriptions: &[Description], listener: &str) -> Vec<Address> {
    let mut found: BTreeMap<String, Address> = BTreeMap::new();
    let routes = descriptions
        .iter()
        .flat_map(|service| service.routes_on(listener));
    for route in routes {
        let path = path(route);
        let address = found.entry(path.clone()).or_insert(Address {
            path,
            methods: BTreeSet::new(),
            socket: false,
        });
        if route.socket {
            address.socket = true;
        } else {
            address.methods.insert(route.method.clone());
            if route.method == "GET" {
                address.methods.insert("HEAD".to_owned());
            }
        }
    }
    let mut all: Vec<_> = found.into_values().collect();
    let rank = |address: &Address| -> Vec<bool> {
        let segments = address.path.split('/');
        segments.map(|segment| segment.starts_with('{')).collect()
    };
    all.sort_by_key(rank);
    all
}

fn path(route: &Route) -> String {
    let segments = route.template.trim_end_matches('/').split('/');
    let shapes = segments.map(|segment| {
        let name = segment
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'));
        match name {
            Some(name) if route.params.get(name).is_some_and(|kind| kind == "integer") => "{int}",
            Some(_) => "{}",
            None => segment,
        }
    });
    shapes.collect::<Vec<_>>().join("/")
}

/// Returns the table of a listener as Lua, from the file's text.
pub fn table(text: &str, listener: &str) -> Result<String> {
    let mut listeners: BTreeMap<String, Vec<Address>> =
        serde_json::from_str(text).with_context(|| format!("{FILE} is no table of addresses"))?;
    let lines = listeners.remove(listener).unwrap_or_default();
    let lines: Vec<_> = lines.iter().map(Address::lua).collect();
    Ok(lines.join(",\n  "))
}

impl Address {
    fn lua(&self) -> String {
        let methods: Vec<_> = self
            .methods
            .iter()
            .map(|method| format!("{method} = true"))
            .collect();
        format!(
            "{{ path = \"{}\", shape = \"{}\", methods = {{ {} }}, socket = {} }}",
            pattern(&self.path),
            self.path.replace("{int}", "{}"),
            methods.join(", "),
            self.socket
        )
    }
}

/// The pattern of Lua that fits the same paths as the ingress's route; a trailing slash is accepted.
fn pattern(path: &str) -> String {
    if path.is_empty() {
        return "^/$".to_owned();
    }
    let segments = path.split('/').map(|segment| match segment {
        "{}" => "[^/]+".to_owned(),
        "{int}" => "%d+".to_owned(),
        literal => literal.chars().fold(String::new(), |mut text, character| {
            if !character.is_ascii_alphanumeric() {
                text.push('%');
            }
            text.push(character);
            text
        }),
    });
    format!("^{}/?$", segments.collect::<Vec<_>>().join("/"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn service(name: &str, routes: &Value) -> Description {
        serde_json::from_value(json!({ "name": name, "routes": routes })).unwrap()
    }

    #[test]
    fn an_address_has_the_methods_of_all_services_that_have_it() {
        let users = service(
            "users",
            &json!([{ "method": "POST", "template": "/register" }]),
        );
        let registry = service(
            "registry",
            &json!([{ "method": "GET", "template": "/register/" }]),
        );
        let found = of(&[users, registry], "public");
        assert_eq!(found.len(), 1);
        let methods: Vec<_> = found[0].methods.iter().collect();
        assert_eq!(methods, ["GET", "HEAD", "POST"]);
    }

    #[test]
    fn literals_come_before_parameters_and_sockets_are_no_method() {
        let routes = json!([
            { "method": "GET", "template": "/posts/{name}" },
            { "method": "POST", "template": "/posts/async" },
            { "method": "GET", "template": "/posts/{id}", "params": { "id": "integer" } },
            { "method": "GET", "template": "/", "socket": true },
        ]);
        let table = files(&[service("posts", &routes)]).unwrap();
        let lua = self::table(&table[FILE], "public").unwrap();
        let lines: Vec<_> = lua.lines().map(str::trim).collect();
        assert_eq!(
            lines[0],
            r#"{ path = "^/$", shape = "", methods = {  }, socket = true },"#
        );
        assert!(
            lines[1].contains(r#"path = "^/posts/async/?$""#)
                && lines[1].contains("{ POST = true }")
        );
        assert!(
            lines[2..]
                .iter()
                .all(|line| line.contains("shape = \"/posts/{}\""))
        );
    }

    #[test]
    fn a_pattern_fits_what_the_route_fits() {
        assert_eq!(pattern("/a.b/{int}/x-y/{}"), "^/a%.b/%d+/x%-y/[^/]+/?$");
    }
}
