//! Files that follow from the services' route tables: ingress routes, intentions, protocols, `OpenAPI` documents, objectives.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::edge::addresses;
use crate::priorities::Priorities;
use crate::services::{self, Description, PUBLIC, Route, Table};
use crate::{mesh, observe, scaling, ship, stores};

/// Folders of which every JSON file is generated.
const FOLDERS: &[&str] = &[
    "consul/services",
    "consul/intentions",
    "consul/routes",
    observe::DASHBOARDS,
    "deploy/helm/files/dashboards",
];

/// Contents by path.
pub type Files = BTreeMap<String, String>;

/// Writes every generated file.
pub fn run() -> Result<ExitCode> {
    let checkout = mesh::checkout()?;
    let table = services::table(&checkout)?;
    let descriptions = describe(&checkout, &table)?;
    let files = all(&checkout, &table, &descriptions)?;
    let changed = differences(&checkout, &files);
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

/// Returns everything that is generated for a checkout.
pub fn all(checkout: &Path, table: &Table, descriptions: &[Description]) -> Result<Files> {
    let mut files = mesh_files(descriptions)?;
    files.extend(stores::files(descriptions)?);
    files.extend(ship::files(checkout, table, descriptions)?);
    files.insert(
        scaling::OBJECTS.to_owned(),
        pretty(&scaling::objects(table, descriptions)?)?,
    );
    Ok(files)
}

/// Returns the paths of generated files that are not what they should be, those that should not exist included.
pub fn differences(checkout: &Path, files: &Files) -> Vec<String> {
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
    changed.into_iter().collect()
}

/// Returns the files that the mesh itself is told by, and those that watch it.
pub fn mesh_files(descriptions: &[Description]) -> Result<Files> {
    let mut files = observe::files(descriptions)?;
    files.extend(addresses::files(descriptions)?);
    let priorities = Priorities::of(descriptions);
    for service in descriptions {
        let name = &service.name;
        for identity in service.identities() {
            let entry = pretty(&defaults(&identity))?;
            files.insert(format!("consul/services/{identity}.json"), entry);
        }
        files.insert(
            format!("consul/intentions/{name}.json"),
            pretty(&intentions(service, descriptions))?,
        );
        for listener in service.listeners() {
            files.insert(
                format!("consul/routes/{}.json", route_name(name, listener)),
                pretty(&http_route(service, listener, &priorities))?,
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

/// Writes JSON as people read it.
pub fn pretty(value: &Value) -> Result<String> {
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
pub fn intentions(service: &Description, all: &[Description]) -> Value {
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
            sources.extend(
                caller
                    .identities()
                    .iter()
                    .map(|identity| json!({ "Name": identity, "Permissions": permissions })),
            );
        }
    }
    if sources.is_empty() {
        sources.push(json!({ "Name": "*", "Action": "deny" }));
    }
    json!({ "Kind": "service-intentions", "Name": service.name, "Sources": sources })
}

/// Consul has a route for each listener: its parents would all get the same matches.
fn route_name(service: &str, listener: &str) -> String {
    if listener == PUBLIC {
        service.to_owned()
    } else {
        format!("{service}-{listener}")
    }
}

fn http_route(service: &Description, listener: &str, priorities: &Priorities) -> Value {
    json!({
        "Kind": "http-route",
        "Name": route_name(&service.name, listener),
        "Parents": [{ "Kind": "api-gateway", "Name": "ingress", "SectionName": listener }],
        "Rules": [{
            "Matches": priorities.matches(service, listener),
            "Filters": { "RetryFilter": { "NumRetries": 1, "RetryOnConnectFailure": true } },
            "Services": [{ "Name": service.name }],
        }],
    })
}

/// Returns the regular expression of a route's path; a trailing slash is accepted.
pub fn pattern(route: &Route) -> String {
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
            priorities.matches(&all[index], PUBLIC)[0]["Path"]["Value"]
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

        assert_eq!(priorities.matches(&all[0], PUBLIC).len(), 1);
        let first = priorities.matches(&all[1], PUBLIC);
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
            priorities.matches(&all[0], PUBLIC)[0]["Path"]["Value"]
                .as_str()
                .unwrap()
                .len()
                > open
        );
    }

    #[test]
    fn s2_69_paths_of_two_listeners_do_not_meet() {
        let mut registry = service("registry", &[("POST", "/register"), ("GET", "/registry")]);
        registry.routes[0].listener = "registry".to_owned();
        let all = [service("users", &[("POST", "/register")]), registry];

        let files = mesh_files(&all).unwrap();

        let matches = |name: &str| {
            let path = format!("consul/routes/{name}.json");
            let route: Value = serde_json::from_str(&files[&path]).unwrap();
            let section = route["Parents"][0]["SectionName"].clone();
            (section, route["Rules"][0]["Matches"].clone())
        };
        let regex = |path: &str| json!([{ "Path": { "Match": "regex", "Value": path } }]);
        assert_eq!(matches("users"), (json!("public"), regex("/register/?")));
        let own = (json!("registry"), regex("/register/?"));
        assert_eq!(matches("registry-registry"), own);
        assert_eq!(matches("registry"), (json!("public"), regex("/registry/?")));
    }

    #[test]
    fn d15_a_socket_and_a_page_share_a_path() {
        let page = service("portal", &[("GET", "/")]);
        let mut sockets = service("live", &[("GET", "/"), ("GET", "/ws/reviews")]);
        for route in &mut sockets.routes {
            route.socket = true;
        }
        let all = [sockets, page];

        let priorities = Priorities::of(&all);

        let page = priorities.matches(&all[1], PUBLIC);
        let path = |value: &str| json!({ "Match": "regex", "Value": value });
        assert_eq!(page, [json!({ "Path": path("/") })]);
        let sockets = priorities.matches(&all[0], PUBLIC);
        assert_eq!(sockets[0]["Headers"][0]["Name"], "upgrade");
        // Consul tries the longer expression first.
        assert_eq!(sockets[0]["Path"], path("/(?:)"));
        assert!(sockets[1]["Headers"].is_null());
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
        let before = [service("users", &[("GET", "/users/{name}")])];
        for (path, content) in mesh_files(&before).unwrap() {
            fs::create_dir_all(checkout.join(&path).parent().unwrap()).unwrap();
            fs::write(checkout.join(path), content).unwrap();
        }
        let unchanged = differences(&checkout, &mesh_files(&before).unwrap());
        let after = [service("users", &[("GET", "/people/{name}")])];
        let changed = differences(&checkout, &mesh_files(&after).unwrap());
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
