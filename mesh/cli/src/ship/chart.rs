//! What the chart reads: the identities of the mesh, its config entries as objects of Kubernetes, and copies of rules and dashboards,
//! since a chart reads no file outside itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use crate::generate::{Files, pretty};
use crate::services::{Description, Entry, Purpose, Table};
use crate::template::{self, Values};
use crate::{observe, setup, stores};

/// The chart's folder of files.
pub const FOLDER: &str = "deploy/helm/files";

/// Ports in a pod; each pod has a network of its own.
const HTTP_PORT: u16 = 8000;
const ADMIN_PORT: u16 = 9100;
/// The first of the ports on which a sidecar listens for calls to peers.
const UPSTREAM_PORT: u16 = 9001;

/// Services that ask Consul itself, and so need a token of theirs where they do not register themselves.
const ASK_CONSUL: &[&str] = &["portal", "registry"];

/// Paths that one rule of an `HTTPRoute` may have in every version of the gateway API.
const MATCHES: usize = 8;

/// Returns all of these files.
pub fn files(checkout: &Path, table: &Table, descriptions: &[Description]) -> Result<Files> {
    let mut files = Files::new();
    let mut add = |name: &str, content: &Value| -> Result<()> {
        files.insert(format!("{FOLDER}/{name}.json"), pretty(content)?);
        Ok(())
    };
    let generated = crate::generate::mesh_files(descriptions)?;
    add("services", &Value::Object(identities(table, descriptions)))?;
    add("mesh", &Value::Array(mesh(checkout, &generated)?))?;
    add("routes", &Value::Array(routes(&generated)?))?;
    let copies = observability(checkout, descriptions)?;
    files.extend(copies);
    Ok(files)
}

/// Returns the identities by name; workers are always processes of their own here.
fn identities(table: &Table, descriptions: &[Description]) -> Map<String, Value> {
    let mut identities = Map::new();
    for description in descriptions {
        let Some(entry) = table.get(&description.name) else {
            continue;
        };
        let mut purposes = vec![Purpose::Serve];
        if !description.roles.is_empty() {
            purposes.push(Purpose::Work);
        }
        for purpose in purposes {
            let name = purpose.identity(&description.name);
            identities.insert(name, identity(description, entry, purpose));
        }
    }
    identities
}

fn identity(description: &Description, entry: &Entry, purpose: Purpose) -> Value {
    let mut env = Map::new();
    if purpose == Purpose::Serve && !description.roles.is_empty() {
        env.insert("ROLES".to_owned(), json!("none"));
    }
    if let Some(sockets) = entry.sockets {
        let variable = format!("{}_SOCKETS", description.name.to_uppercase());
        env.insert(variable, json!(sockets.to_string()));
    }
    for (variable, value) in &entry.env {
        if !value.ends_with(".service.consul") {
            env.insert(variable.clone(), json!(value));
        }
    }
    let replicas = match purpose {
        Purpose::Serve => entry.instances,
        Purpose::Work => entry.workers.max(1),
    };
    json!({
        "service": description.name,
        "purpose": purpose.command(),
        "command": purpose.command(),
        "port": HTTP_PORT,
        "adminPort": ADMIN_PORT,
        "replicas": replicas,
        "database": description.database().is_some(),
        "queues": !description.subscriptions.is_empty(),
        "mail": description.reads("SMTP_HOST"),
        "consul": ASK_CONSUL.contains(&description.name.as_str()),
        "secrets": secrets(description),
        "upstreams": upstreams(description),
        "env": env,
    })
}

/// Returns the secret variables that a service reads, each with its key in the Secret: a store knows each service by a user of
/// its own, so that its URL has a key of the service's.
fn secrets(description: &Description) -> Vec<Value> {
    let reads = |variable: &&str| description.reads(variable);
    let mut secrets: Vec<_> = description
        .database()
        .map(|variable| json!({ "variable": variable, "key": variable }))
        .into_iter()
        .collect();
    let stores = stores::WITH_USERS.iter().map(|(_, variable)| *variable);
    secrets.extend(stores.filter(reads).map(|variable| {
        let key = format!("{}_{variable}", description.name.to_uppercase());
        json!({ "variable": variable, "key": key })
    }));
    let shared = ["SMTP_USERNAME", "SMTP_PASSWORD"].into_iter();
    secrets.extend(
        shared
            .filter(reads)
            .map(|variable| json!({ "variable": variable, "key": variable })),
    );
    secrets
}

/// Returns the peers that a service calls, each with the port at which its own sidecar takes the calls.
fn upstreams(description: &Description) -> Vec<Value> {
    let mut peers: Vec<_> = description.calls.iter().map(|call| &call.service).collect();
    peers.sort();
    peers.dedup();
    let ports = UPSTREAM_PORT..;
    let peers = peers.iter().zip(ports);
    peers
        .map(|(name, port)| json!({ "name": name, "port": port }))
        .collect()
}

/// Returns the config entries of `consul/` as objects: protocols, intentions, and those by hand.
fn mesh(checkout: &Path, generated: &Files) -> Result<Vec<Value>> {
    // The chart knows where traces go, and puts it in the place of this name.
    let values = Values::from([
        ("host.otlp".to_owned(), json!("otlp-host")),
        ("port.otlp".to_owned(), json!(4317)),
    ]);
    let mut objects = Vec::new();
    for file in setup::files(&checkout.join("consul/config"), "json") {
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let mut entry = template::fill(&text, &values)?;
        template::stringify(&mut entry);
        objects.push(object(&entry));
    }
    let kinds = ["consul/services/", "consul/intentions/"];
    for (_, content) in generated
        .iter()
        .filter(|(path, _)| kinds.iter().any(|kind| path.starts_with(kind)))
    {
        objects.push(object(&serde_json::from_str(content)?));
    }
    Ok(objects)
}

/// Turns a config entry into the object that Consul's controller makes it from again.
fn object(entry: &Value) -> Value {
    let (kind, name) = (text(entry, "Kind"), text(entry, "Name"));
    let mut spec = Map::new();
    for (key, value) in entry.as_object().into_iter().flatten() {
        match key.as_str() {
            "Kind" | "Name" => {}
            // What Envoy is told has names of its own.
            "Config" => drop(spec.insert("config".to_owned(), value.clone())),
            _ => drop(spec.insert(camel(key), camels(value))),
        }
    }
    let mut object_name = name.to_owned();
    if kind == "service-intentions" {
        spec.insert("destination".to_owned(), json!({ "name": name }));
        if name == "*" {
            "deny-by-default".clone_into(&mut object_name);
        }
    }
    if kind == "mesh" {
        "mesh".clone_into(&mut object_name);
    }
    json!({
        "apiVersion": "consul.hashicorp.com/v1alpha1",
        "kind": pascal(kind),
        "metadata": { "name": object_name },
        "spec": spec,
    })
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// `service-intentions` is `ServiceIntentions`.
fn pascal(kind: &str) -> String {
    kind.split('-').fold(String::new(), |text, word| {
        let (first, rest) = word.split_at(word.len().min(1));
        text + &first.to_uppercase() + rest
    })
}

/// `PathRegex` is `pathRegex`, `HTTP` is `http`.
fn camel(key: &str) -> String {
    if key.chars().all(char::is_uppercase) {
        return key.to_lowercase();
    }
    let (first, rest) = key.split_at(key.len().min(1));
    first.to_lowercase() + rest
}

fn camels(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (camel(key), camels(value)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items.iter().map(camels).collect::<Vec<_>>().into(),
        other => other.clone(),
    }
}

/// Returns an `HTTPRoute` for each `http-route`.
fn routes(generated: &Files) -> Result<Vec<Value>> {
    let mut routes = Vec::new();
    for (_, content) in generated
        .iter()
        .filter(|(path, _)| path.starts_with("consul/routes/"))
    {
        let route: Value = serde_json::from_str(content)?;
        let rule = &route["Rules"][0];
        let matches: Vec<_> = array(&rule["Matches"]).map(path_match).collect();
        let backend = json!([{ "name": rule["Services"][0]["Name"], "port": HTTP_PORT }]);
        let rules: Vec<_> = matches
            .chunks(MATCHES)
            .map(|matches| json!({ "matches": matches, "backendRefs": backend }))
            .collect();
        let section = &route["Parents"][0]["SectionName"];
        routes.push(json!({
            "apiVersion": "gateway.networking.k8s.io/v1beta1",
            "kind": "HTTPRoute",
            "metadata": { "name": route["Name"] },
            "spec": { "parentRefs": [{ "name": "ingress", "sectionName": section }], "rules": rules },
        }));
    }
    Ok(routes)
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn path_match(entry: &Value) -> Value {
    let mut found =
        json!({ "path": { "type": "RegularExpression", "value": entry["Path"]["Value"] } });
    if let Some(method) = entry["Method"].as_str() {
        found["method"] = json!(method);
    }
    let headers: Vec<_> = array(&entry["Headers"])
        .map(|header| {
            let exact = header["Match"] == "exact";
            let kind = if exact { "Exact" } else { "RegularExpression" };
            json!({ "type": kind, "name": header["Name"], "value": header["Value"] })
        })
        .collect();
    if !headers.is_empty() {
        found["headers"] = json!(headers);
    }
    found
}

/// Returns the rules and dashboards, by their paths in the chart.
fn observability(checkout: &Path, descriptions: &[Description]) -> Result<Files> {
    let mut sources: BTreeMap<String, String> = observe::files(descriptions)?;
    for file in setup::files(&checkout.join(observe::RULES), "yaml") {
        let name = file.file_name().context("a file has a name")?;
        let path = format!("{}/{}", observe::RULES, name.to_string_lossy());
        if let std::collections::btree_map::Entry::Vacant(entry) = sources.entry(path) {
            entry.insert(fs::read_to_string(&file)?);
        }
    }
    let mut copies = Files::new();
    for (path, content) in sources {
        let folder = match path.rsplit_once('/') {
            Some((observe::RULES, name)) => format!("rules/{name}"),
            Some((observe::DASHBOARDS, name)) => format!("dashboards/{name}"),
            _ => continue,
        };
        copies.insert(format!("{FOLDER}/{folder}"), content);
    }
    Ok(copies)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s4_19_a_config_entry_becomes_the_object_of_its_kind() {
        let entry = json!({
            "Kind": "service-intentions",
            "Name": "users",
            "Sources": [{ "Name": "ingress", "Permissions": [{ "Action": "allow", "HTTP": { "PathRegex": "/a" } }] }],
        });

        let object = object(&entry);

        assert_eq!(object["kind"], "ServiceIntentions");
        assert_eq!(object["spec"]["destination"], json!({ "name": "users" }));
        let permission = &object["spec"]["sources"][0]["permissions"][0];
        assert_eq!(
            permission,
            &json!({ "action": "allow", "http": { "pathRegex": "/a" } })
        );
    }

    #[test]
    fn a_route_has_no_more_paths_in_a_rule_than_every_gateway_takes() {
        let matches: Vec<_> = (0..20)
            .map(|number| json!({ "Path": { "Match": "regex", "Value": format!("/{number}") } }))
            .collect();
        let route = json!({
            "Name": "users",
            "Parents": [{ "SectionName": "public" }],
            "Rules": [{ "Matches": matches, "Services": [{ "Name": "users" }] }],
        });
        let files = Files::from([("consul/routes/users.json".to_owned(), route.to_string())]);

        let routes = routes(&files).unwrap();

        let rules = routes[0]["spec"]["rules"].as_array().unwrap();
        let sizes: Vec<_> = rules
            .iter()
            .map(|rule| rule["matches"].as_array().unwrap().len())
            .collect();
        assert_eq!(sizes, [8, 8, 4]);
    }
}
