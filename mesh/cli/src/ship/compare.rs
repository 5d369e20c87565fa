//! Says the same of every identity in compose, in the chart and in the mesh on one machine: names, variables, upstreams, intentions.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::generate;
use crate::services::{Description, Entry, Purpose, Table, identities, purposes};

/// Variables that the program reads which runs a service and its Envoy in one container.
const OF_CONTAINERS: &[&str] = &["PLAZA_IDENTITY", "PLAZA_SOCKETS"];

/// Variables of stores: who reads one has to be given it.
const STORES: &[&str] = &["MONGODB_URL", "REDIS_URL", "AMQP_URL"];

/// Compares a compose project with the table.
pub fn compose(project: &Value, table: &Table, descriptions: &[Description]) -> Vec<String> {
    let mut found = Vec::new();
    let services = &project["services"];
    for description in descriptions {
        let Some(entry) = table.get(&description.name) else {
            continue;
        };
        for purpose in purposes(entry) {
            let identity = purpose.identity(&description.name);
            let service = &services[&identity];
            if service["environment"]["PLAZA_IDENTITY"] != identity.as_str() {
                found.push(format!("compose: {identity} is not there, or is another"));
                continue;
            }
            let given = names(&service["environment"]);
            found.extend(variables("compose", &identity, description, &given));
            found.extend(of_table("compose", &identity, entry, *purpose, &given));
            found.extend(scale(&identity, service, entry, *purpose));
            let volumes: Vec<_> = array(&service["volumes"])
                .filter_map(|volume| volume["source"].as_str())
                .collect();
            if volumes != [format!("credentials-{identity}")] {
                found.push(format!("compose: {identity} sees {volumes:?}"));
            }
        }
    }
    let known = identities(table);
    let others = services.as_object().into_iter().flatten();
    for (name, service) in others {
        let identity = service["environment"]["PLAZA_IDENTITY"].as_str();
        if identity
            .is_some_and(|identity| identity != "ingress" && !known.contains(&identity.to_owned()))
        {
            found.push(format!("compose: {name} is no service of the table"));
        }
    }
    found
}

/// Whether an identity runs as often as the table says, can run more often, and has all its names.
fn scale(identity: &str, service: &Value, entry: &Entry, purpose: Purpose) -> Vec<String> {
    let mut found = Vec::new();
    if service.get("ports").is_some() || service.get("container_name").is_some() {
        found.push(format!("compose: {identity} cannot be scaled"));
    }
    let (wanted, aliases) = match purpose {
        Purpose::Serve => (entry.instances, entry.aliases.as_slice()),
        Purpose::Work => (entry.workers, &[][..]),
    };
    let there = service["deploy"]["replicas"].as_u64().unwrap_or(1);
    if there != u64::from(wanted) {
        found.push(format!(
            "compose: {identity} runs {there} times, not {wanted}"
        ));
    }
    let known: Vec<_> = array(&service["networks"]["default"]["aliases"])
        .filter_map(Value::as_str)
        .collect();
    if known != aliases {
        found.push(format!(
            "compose: {identity} is known as {known:?}, not {aliases:?}"
        ));
    }
    found
}

/// Variables that the table gives an identity and that it is not given.
pub fn of_table(
    file: &str,
    identity: &str,
    entry: &Entry,
    purpose: Purpose,
    given: &BTreeSet<String>,
) -> Vec<String> {
    let service = identity.strip_suffix("-work").unwrap_or(identity);
    let sockets = entry
        .sockets
        .map(|_| format!("{}_SOCKETS", service.to_uppercase()));
    let apart = purpose == Purpose::Serve && entry.workers > 0;
    let roles = apart.then(|| "ROLES".to_owned());
    let wanted = entry.env.keys().cloned().chain(sockets).chain(roles);
    wanted
        .filter(|name| !given.contains(name))
        .map(|name| format!("{file}: {identity} is not given {name}, which is in the table"))
        .collect()
}

/// Returns every port that production publishes beside that of HTTPS.
pub fn published(project: &Value) -> Vec<String> {
    let services = project["services"].as_object().into_iter().flatten();
    services
        .flat_map(|(name, service)| array(&service["ports"]).map(move |port| (name, port)))
        .filter(|(name, port)| *name != "ingress" || port["published"] != "443")
        .map(|(name, port)| format!("production publishes {} of {name}", port["target"]))
        .collect()
}

/// Compares rendered objects with the table.
pub fn chart(objects: &[Value], table: &Table, descriptions: &[Description]) -> Vec<String> {
    let known = descriptions
        .iter()
        .filter_map(|description| Some((description, table.get(&description.name)?)));
    known
        .flat_map(|(description, entry)| {
            let identities = description.identities();
            let mut found: Vec<_> = identities
                .iter()
                .flat_map(|identity| workload(objects, identity, description, entry))
                .collect();
            found.extend(traffic(objects, description, descriptions));
            found
        })
        .collect()
}

/// The objects that every identity has.
const OF_EVERY_IDENTITY: &[&str] = &[
    "Deployment",
    "Service",
    "ServiceAccount",
    "ConfigMap",
    "PodDisruptionBudget",
    "ServiceDefaults",
];

fn get<'a>(objects: &'a [Value], kind: &str, name: &str) -> Option<&'a Value> {
    let is = |object: &&Value| object["kind"] == kind && object["metadata"]["name"] == name;
    objects.iter().find(is)
}

/// Compares what runs as one identity, what it is given and whom it can reach.
fn workload(
    objects: &[Value],
    identity: &str,
    description: &Description,
    entry: &Entry,
) -> Vec<String> {
    let missing = OF_EVERY_IDENTITY
        .iter()
        .filter(|kind| get(objects, kind, identity).is_none());
    let mut found: Vec<_> = missing
        .map(|kind| format!("chart: {identity} has no {kind}"))
        .collect();
    let deployment = get(objects, "Deployment", identity).unwrap_or(&Value::Null);
    let settings = get(objects, "ConfigMap", identity).unwrap_or(&Value::Null);
    let pod = &deployment["spec"]["template"];
    let mut given = names(&settings["data"]);
    given.extend(
        array(&pod["spec"]["containers"][0]["env"])
            .filter_map(|variable| variable["name"].as_str().map(str::to_owned)),
    );
    found.extend(variables("chart", identity, description, &given));
    let purpose = if identity == description.name {
        Purpose::Serve
    } else {
        Purpose::Work
    };
    found.extend(of_table("chart", identity, entry, purpose, &given));
    let annotation = "consul.hashicorp.com/connect-service-upstreams";
    let upstreams = pod["metadata"]["annotations"][annotation].as_str();
    let upstreams: BTreeSet<_> = upstreams
        .unwrap_or_default()
        .split(',')
        .filter_map(|upstream| upstream.split_once(':'))
        .map(|(peer, _)| peer)
        .collect();
    let calls = description.calls.iter();
    let called: BTreeSet<_> = calls.map(|call| call.service.as_str()).collect();
    if upstreams != called {
        found.push(format!(
            "chart: {identity} reaches {upstreams:?} and calls {called:?}"
        ));
    }
    found
}

/// Compares who may ask a service, and whether the ingress leads to it.
fn traffic(objects: &[Value], description: &Description, all: &[Description]) -> Vec<String> {
    let name = &description.name;
    let mut found = Vec::new();
    let intentions = generate::intentions(description, all);
    let wanted: BTreeSet<_> = array(&intentions["Sources"])
        .filter_map(|source| source["Name"].as_str())
        .collect();
    let there = get(objects, "ServiceIntentions", name).map(|object| {
        array(&object["spec"]["sources"])
            .filter_map(|source| source["name"].as_str())
            .collect::<BTreeSet<_>>()
    });
    if there.as_ref() != Some(&wanted) {
        found.push(format!(
            "chart: {name} is open to {there:?}, not {wanted:?}"
        ));
    }
    if !description.routes.is_empty() && get(objects, "HTTPRoute", name).is_none() {
        found.push(format!("chart: nothing leads to {name}"));
    }
    found
}

/// Variables that a service is given and does not read, and stores that it reads and is not given.
pub fn variables(
    file: &str,
    identity: &str,
    description: &Description,
    given: &BTreeSet<String>,
) -> Vec<String> {
    let unknown = given
        .iter()
        .filter(|name| !description.reads(name) && !OF_CONTAINERS.contains(&name.as_str()))
        .map(|name| format!("{file}: {identity} is given {name}, which it does not read"));
    let stores = STORES.iter().map(|name| (*name).to_owned());
    let missing = stores
        .filter(|name| description.reads(name))
        .chain(description.database())
        .filter(|name| !given.contains(name))
        .map(|name| format!("{file}: {identity} reads {name} and is not given it"));
    unknown.chain(missing).collect()
}

fn names(map: &Value) -> BTreeSet<String> {
    let names = map.as_object().into_iter().flatten();
    names.map(|(name, _)| name.clone()).collect()
}

/// Returns the members of an array, none for anything else.
pub fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn description() -> Description {
        serde_json::from_value(json!({
            "name": "users",
            "settings": [{ "variable": "REDIS_URL" }],
        }))
        .unwrap()
    }

    #[test]
    fn s1_14_a_variable_that_nobody_reads_and_a_store_that_is_missing_are_found() {
        let table: Table = toml::from_str("[users]\n").unwrap();
        let project = json!({ "services": { "users": {
            "environment": { "PLAZA_IDENTITY": "users", "REDDIS_URL": "" },
            "volumes": [{ "source": "credentials-users" }],
        } } });

        let found = compose(&project, &table, &[description()]);

        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn s3_38_production_publishes_https_and_nothing_else() {
        let project = json!({ "services": {
            "ingress": { "ports": [{ "target": 8080, "published": "443" }] },
            "consul": { "ports": [{ "target": 8500, "published": "8500" }] },
        } });
        assert_eq!(published(&project), ["production publishes 8500 of consul"]);
    }

    #[test]
    fn s3_37_what_has_a_port_of_the_host_cannot_be_scaled() {
        let table: Table = toml::from_str("[users]\n").unwrap();
        let project = json!({ "services": { "users": {
            "environment": { "PLAZA_IDENTITY": Purpose::Serve.identity("users"), "REDIS_URL": "" },
            "volumes": [{ "source": "credentials-users" }],
            "ports": [{ "target": 1 }],
        } } });
        assert_eq!(
            compose(&project, &table, &[description()]),
            ["compose: users cannot be scaled"]
        );
    }
}
