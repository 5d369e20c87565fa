//! Files that follow from the services' route tables: ingress routes, intentions, protocols, `OpenAPI` documents.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::mesh;
use crate::services::{self, Description, Route, Table};

/// Folders of which every JSON file is generated.
const FOLDERS: &[&str] = &["consul/services", "consul/intentions", "consul/routes"];

type Files = BTreeMap<String, String>;

/// Writes every generated file.
pub fn run() -> Result<ExitCode> {
    let checkout = mesh::checkout()?;
    let table = services::table(&checkout)?;
    let descriptions = describe(&checkout, &table)?;
    let changed = differences(&checkout, &descriptions, &table)?;
    let files = files(&descriptions, &table)?;
    for path in &changed {
        let target = checkout.join(path);
        match files.get(path) {
            Some(content) => {
                fs::create_dir_all(target.parent().context("a file has a folder")?)?;
                fs::write(&target, content)
            }
            None => fs::remove_file(&target),
        }
        .with_context(|| format!("cannot write {path}"))?;
        println!(
            "{} {path}",
            if files.contains_key(path) {
                "wrote"
            } else {
                "removed"
            }
        );
    }
    println!(
        "{} files are generated, {} changed",
        files.len(),
        changed.len()
    );
    Ok(ExitCode::SUCCESS)
}

/// Builds the services and asks each one.
pub fn describe(checkout: &Path, table: &Table) -> Result<Vec<Description>> {
    let names: Vec<_> = table.keys().map(String::as_str).collect();
    services::build(checkout, &names, false)?;
    let target = services::target(checkout, false);
    names
        .iter()
        .map(|name| services::describe(&target.join(name)))
        .collect()
}

/// Returns the paths of generated files that are not what they should be, those that should not exist included.
pub fn differences(
    checkout: &Path,
    descriptions: &[Description],
    table: &Table,
) -> Result<Vec<String>> {
    let files = files(descriptions, table)?;
    let mut changed: BTreeSet<_> = files
        .iter()
        .filter(|(path, content)| {
            fs::read_to_string(checkout.join(path)).ok().as_ref() != Some(*content)
        })
        .map(|(path, _)| path.clone())
        .collect();
    for folder in FOLDERS {
        let entries = fs::read_dir(checkout.join(folder))
            .into_iter()
            .flatten()
            .filter_map(Result::ok);
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        changed.extend(names.map(|name| format!("{folder}/{name}")).filter(|path| {
            Path::new(path)
                .extension()
                .is_some_and(|found| found == "json")
                && !files.contains_key(path)
        }));
    }
    Ok(changed.into_iter().collect())
}

/// Returns all generated files by path.
fn files(descriptions: &[Description], table: &Table) -> Result<Files> {
    let mut files = Files::new();
    let priorities = Priorities::of(descriptions);
    for service in descriptions {
        let name = &service.name;
        let listeners = table
            .get(name)
            .map(|entry| entry.listeners.clone())
            .unwrap_or_default();
        files.insert(
            format!("consul/services/{name}.json"),
            pretty(&defaults(name))?,
        );
        files.insert(
            format!("consul/intentions/{name}.json"),
            pretty(&intentions(service, descriptions))?,
        );
        if !service.routes.is_empty() {
            files.insert(
                format!("consul/routes/{name}.json"),
                pretty(&http_route(service, &listeners, &priorities))?,
            );
        }
        if !service.openapi.is_null() {
            files.insert(
                format!("services/{name}/openapi.json"),
                pretty(&service.openapi)?,
            );
        }
    }
    Ok(files)
}

fn pretty(value: &Value) -> Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

/// The API gateway routes only to services of the protocol `http`. Sidecars speak `http2` to each other all the same: each is
/// registered so (see `mesh/discovery`), and calls to peers leave as HTTP/2; Consul's local cluster then follows the caller.
fn defaults(name: &str) -> Value {
    json!({
        "Kind": "service-defaults",
        "Name": name,
        "Protocol": "http",
        "UpstreamConfig": { "Defaults": { "Protocol": "http2" } },
    })
}

/// The ingress may use the routes, with every method, so that the service itself answers 405; a caller what its client types use.
fn intentions(service: &Description, all: &[Description]) -> Value {
    let mut sources = Vec::new();
    let paths: BTreeSet<_> = service.routes.iter().map(pattern).collect();
    if !paths.is_empty() {
        let permissions: Vec<_> = paths
            .iter()
            .map(|path| json!({ "Action": "allow", "HTTP": { "PathRegex": path } }))
            .collect();
        sources.push(json!({ "Name": "ingress", "Permissions": permissions }));
    }
    for caller in all {
        let paths: BTreeSet<_> = caller
            .calls
            .iter()
            .filter(|call| call.service == service.name)
            .map(|call| &call.path)
            .collect();
        let permissions: Vec<_> =
            paths.iter().map(|path| json!({ "Action": "allow", "HTTP": { "PathExact": path, "Methods": ["POST"] } })).collect();
        if !permissions.is_empty() {
            sources.push(json!({ "Name": caller.name, "Permissions": permissions }));
        }
    }
    if sources.is_empty() {
        sources.push(json!({ "Name": "*", "Action": "deny" }));
    }
    json!({ "Kind": "service-intentions", "Name": service.name, "Sources": sources })
}

fn http_route(service: &Description, listeners: &[String], priorities: &Priorities) -> Value {
    let parents: Vec<_> = listeners
        .iter()
        .map(
            |listener| json!({ "Kind": "api-gateway", "Name": "ingress", "SectionName": listener }),
        )
        .collect();
    json!({
        "Kind": "http-route",
        "Name": service.name,
        "Parents": parents,
        "Rules": [{
            "Matches": priorities.matches(service),
            "Filters": { "RetryFilter": { "NumRetries": 1, "RetryOnConnectFailure": true } },
            "Services": [{ "Name": service.name }],
        }],
    })
}

/// Returns the regular expression of a route's path; a trailing slash is accepted.
fn pattern(route: &Route) -> String {
    let path = route.template.trim_end_matches('/');
    if path.is_empty() {
        return "/".to_owned();
    }
    let segments = path.split('/').map(|segment| {
        match segment
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'))
        {
            Some(name) if route.params.get(name).is_some_and(|kind| kind == "integer") => {
                "[0-9]+".to_owned()
            }
            Some(_) => "[^/]+".to_owned(),
            None => escape(segment),
        }
    });
    segments.collect::<Vec<_>>().join("/") + "/?"
}

fn escape(literal: &str) -> String {
    literal.chars().fold(String::new(), |mut text, character| {
        if "\\.+*?()|[]{}^$".contains(character) {
            text.push('\\');
        }
        text.push(character);
        text
    })
}

/// One way to match requests at the ingress.
#[derive(Clone, Debug)]
struct Match {
    service: String,
    template: String,
    method: Option<String>,
    regex: String,
}

/// The matches of all services. Consul tries longer expressions first, whatever they mean; where routes of two services overlap, the
/// more specific one is made the longer one with empty groups.
struct Priorities(Vec<Match>);

impl Priorities {
    fn of(descriptions: &[Description]) -> Self {
        let mut matches: Vec<Match> = Vec::new();
        for service in descriptions {
            for route in &service.routes {
                let regex = pattern(route);
                let template = route.template.clone();
                matches.push(Match {
                    service: service.name.clone(),
                    template,
                    method: Some(route.method.clone()),
                    regex,
                });
            }
        }
        let mut matches = merge_methods(matches);
        matches.sort_by(general_first);
        for index in 0..matches.len() {
            let (general, rest) = matches.split_at_mut(index);
            let current = &mut rest[0];
            let others = general.iter().filter(|other| {
                other.service != current.service && overlap(&other.template, &current.template)
            });
            let longest = others.map(|other| other.regex.len()).max().unwrap_or(0);
            while current.regex.len() <= longest {
                current.regex.push_str("(?:)");
            }
        }
        Self(matches)
    }

    fn matches(&self, service: &Description) -> Vec<Value> {
        let mut own: Vec<_> = self
            .0
            .iter()
            .filter(|entry| entry.service == service.name)
            .collect();
        own.sort_by(|one, other| {
            (&one.template, &one.method).cmp(&(&other.template, &other.method))
        });
        let path = |entry: &Match| json!({ "Match": "regex", "Value": entry.regex });
        own.into_iter()
            .map(|entry| match &entry.method {
                Some(method) => json!({ "Method": method, "Path": path(entry) }),
                None => json!({ "Path": path(entry) }),
            })
            .collect()
    }
}

/// A path that one service has alone is matched with every method. Where several have it, each takes its own methods, and the first
/// by name the rest.
fn merge_methods(matches: Vec<Match>) -> Vec<Match> {
    let mut owners: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for entry in &matches {
        owners
            .entry(entry.regex.clone())
            .or_default()
            .insert(entry.service.clone());
    }
    let mut merged: BTreeMap<(String, String, Option<String>), Match> = BTreeMap::new();
    for entry in matches {
        let services = &owners[&entry.regex];
        let first = services.first() == Some(&entry.service);
        let open = Match {
            method: None,
            ..entry.clone()
        };
        if services.len() > 1 {
            merged.insert(
                (
                    entry.service.clone(),
                    entry.regex.clone(),
                    entry.method.clone(),
                ),
                entry,
            );
        }
        if services.len() == 1 || first {
            merged.insert((open.service.clone(), open.regex.clone(), None), open);
        }
    }
    merged.into_values().collect()
}

fn general_first(one: &Match, other: &Match) -> Ordering {
    let rank = |entry: &Match| {
        let segments = entry.template.trim_end_matches('/').split('/');
        let ranks: Vec<_> = segments
            .map(|segment| u8::from(!segment.starts_with('{')))
            .collect();
        (
            ranks,
            entry.method.is_some(),
            entry.template.clone(),
            entry.service.clone(),
        )
    };
    rank(one).cmp(&rank(other))
}

fn overlap(one: &str, other: &str) -> bool {
    let segments = |template: &str| {
        template
            .trim_end_matches('/')
            .split('/')
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let (one, other) = (segments(one), segments(other));
    let open = |segment: &str| segment.starts_with('{');
    one.len() == other.len()
        && one
            .iter()
            .zip(&other)
            .all(|(a, b)| a == b || open(a) || open(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str, routes: &[(&str, &str)]) -> Description {
        let routes: Vec<_> = routes
            .iter()
            .map(|(method, template)| json!({ "method": method, "template": template }))
            .collect();
        serde_json::from_value(json!({ "name": name, "routes": routes })).unwrap()
    }

    #[test]
    fn a_path_is_escaped_and_takes_a_trailing_slash() {
        let route: Route =
            serde_json::from_value(json!({ "method": "GET", "template": "/a.b/{id}/{name}/", "params": { "id": "integer" } })).unwrap();
        assert_eq!(pattern(&route), r"/a\.b/[0-9]+/[^/]+/?");
    }

    #[test]
    fn a_literal_of_one_service_wins_over_a_parameter_of_another() {
        let all = [
            service("posts", &[("GET", "/posts/{a_long_name_of_it}")]),
            service("likes", &[("GET", "/posts/a")]),
        ];

        let priorities = Priorities::of(&all);

        let length = |index: usize| {
            priorities.matches(&all[index])[0]["Path"]["Value"]
                .as_str()
                .unwrap()
                .len()
        };
        assert!(length(1) > length(0), "{:?}", priorities.0);
    }

    #[test]
    fn one_path_of_two_services_is_told_apart_by_method() {
        let all = [
            service("users", &[("POST", "/register")]),
            service("registry", &[("GET", "/register")]),
        ];

        let priorities = Priorities::of(&all);

        assert_eq!(priorities.matches(&all[0]).len(), 1);
        let first = priorities.matches(&all[1]);
        assert_eq!(
            (
                first.len(),
                first[0]["Method"].is_null(),
                &first[1]["Method"]
            ),
            (2, true, &json!("GET"))
        );
        let open = first[0]["Path"]["Value"].as_str().unwrap().len();
        assert!(
            priorities.matches(&all[0])[0]["Path"]["Value"]
                .as_str()
                .unwrap()
                .len()
                > open
        );
    }

    #[test]
    fn only_declared_callers_are_let_in() {
        let mut caller = service("discussions", &[]);
        caller.calls = serde_json::from_value(
            json!([{ "service": "users", "path": "/plaza.users.v1.Users/Get" }]),
        )
        .unwrap();
        let users = service("users", &[]);

        let entry = intentions(&users, &[caller, users.clone()]);

        assert_eq!(entry["Sources"].as_array().unwrap().len(), 1);
        assert_eq!(
            entry["Sources"][0]["Permissions"][0]["HTTP"],
            json!({ "PathExact": "/plaza.users.v1.Users/Get", "Methods": ["POST"] })
        );
    }

    #[test]
    fn a_changed_route_shows_in_every_file_that_follows_from_it() {
        let checkout = std::env::temp_dir().join(format!("plaza-generate-{}", std::process::id()));
        let table: Table = toml::from_str("[users]").unwrap();
        let before = [service("users", &[("GET", "/users/{name}")])];
        for (path, content) in files(&before, &table).unwrap() {
            fs::create_dir_all(checkout.join(&path).parent().unwrap()).unwrap();
            fs::write(checkout.join(path), content).unwrap();
        }
        let unchanged = differences(&checkout, &before, &table).unwrap();
        let after = [service("users", &[("GET", "/people/{name}")])];
        let changed = differences(&checkout, &after, &table).unwrap();
        fs::remove_dir_all(&checkout).unwrap();
        assert!(unchanged.is_empty(), "{unchanged:?}");
        for kind in ["intentions", "routes"] {
            let path = format!("consul/{kind}/users.json");
            assert!(
                changed.contains(&path),
                "{path} is missing from {changed:?}"
            );
        }
    }

    #[test]
    fn a_service_that_nobody_calls_refuses_all() {
        let users = service("users", &[]);
        assert_eq!(intentions(&users, &[])["Sources"][0]["Action"], "deny");
    }
}
