//! The mesh on one machine, as its supervisor is told to run it: for a comparison with the same tables as compose and chart.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::Value;

use super::compare::{array, of_table, variables};
use crate::mesh::Mesh;
use crate::services::{Description, Purpose, Table, purposes};
use crate::{compose, ports, random, secrets};

/// Programs whose places a mesh has to know.
const PROGRAMS: &[&str] = &[
    "alertmanager",
    "consul",
    "documents",
    "envoy",
    "jaeger",
    "mail",
    "prometheus",
    "rabbitmq",
    "redis",
];

/// Pages and listeners that have the same port on one machine and in containers: the container, and the port's name.
const PORTS: &[(&str, &str)] = &[
    ("ingress", "ingress"),
    ("ingress", "registry"),
    ("consul", "consul_http"),
    ("mail", "mail_page"),
    ("jaeger", "jaeger"),
    ("prometheus", "prometheus"),
    ("alertmanager", "alertmanager"),
];

/// Returns what the supervisor would be told; nothing of it runs.
pub fn project(checkout: &Path, table: &Table) -> Result<Value> {
    let state = std::env::temp_dir().join(format!("plaza-local-{}", random::uuid()?));
    let program = |name: &&str| ((*name).to_owned(), PathBuf::from("/usr/bin").join(name));
    let mesh = Mesh {
        name: "dev".to_owned(),
        checkout: checkout.to_owned(),
        run: state.join("run"),
        state,
        ports: ports::development(),
        hosts: BTreeMap::new(),
        release: false,
        programs: PROGRAMS.iter().map(program).collect(),
    };
    secrets::private_folder(&mesh.state.join("bin"))?;
    let own = ["mesh", "autoscaler"].into_iter();
    for name in own.chain(table.keys().map(String::as_str)) {
        fs::write(mesh.binary(name), name)?;
    }
    let told = compose::write(&mesh).and_then(|file| Ok(serde_json::from_slice(&fs::read(file)?)?));
    fs::remove_dir_all(&mesh.state)?;
    told
}

/// Compares it with the table.
pub fn findings(project: &Value, table: &Table, descriptions: &[Description]) -> Vec<String> {
    let mut found = Vec::new();
    let processes = &project["processes"];
    let everybody = of_everybody(processes, table);
    for description in descriptions {
        let Some(entry) = table.get(&description.name) else {
            continue;
        };
        for purpose in purposes(entry) {
            let identity = purpose.identity(&description.name);
            for instance in purpose.instances(&description.name, entry) {
                found.extend(instance_findings(
                    processes,
                    *purpose,
                    &instance,
                    description,
                ));
                let mut given = given(&processes[&instance]);
                found.extend(of_table("here", &identity, entry, *purpose, &given));
                // Each database is a file in DATA_DIR; stores are offered to all.
                given.extend(description.database());
                given.retain(|name| description.reads(name) || !everybody.contains(name));
                found.extend(variables("here", &identity, description, &given));
            }
        }
    }
    found
}

/// What runs as one instance, and its Envoy.
fn instance_findings(
    processes: &Value,
    purpose: Purpose,
    instance: &str,
    description: &Description,
) -> Vec<String> {
    let mut found = Vec::new();
    let command = words(&processes[instance]["entrypoint"]);
    let program = command.first().and_then(|path| path.rsplit('/').next());
    if program != Some(&description.name) || command.get(1) != Some(&purpose.command()) {
        found.push(format!("here: {instance} runs {command:?}"));
    }
    let sidecar = format!("{instance}-envoy");
    let identity = purpose.identity(&description.name);
    let command = words(&processes[&sidecar]["entrypoint"]);
    let served = command
        .iter()
        .skip_while(|word| **word != "--service")
        .nth(1);
    if served != Some(&identity.as_str()) {
        found.push(format!(
            "here: {instance} has {command:?} for its Envoy, not one of {identity}"
        ));
    }
    found
}

fn words(command: &Value) -> Vec<&str> {
    array(command).filter_map(Value::as_str).collect()
}

/// The names of the variables of a process.
fn given(process: &Value) -> BTreeSet<String> {
    let pairs = array(&process["environment"]).filter_map(Value::as_str);
    let names = pairs.filter_map(|pair| pair.split_once('='));
    names.map(|(name, _)| name.to_owned()).collect()
}

/// Variables that every application gets, whatever it reads.
fn of_everybody(processes: &Value, table: &Table) -> BTreeSet<String> {
    let first = table
        .keys()
        .map(|name| given(&processes[format!("{name}-1")]));
    first
        .reduce(|all, own| all.intersection(&own).cloned().collect())
        .unwrap_or_default()
}

/// Compares ports that people know: those of a development mesh, and those that containers publish for the same.
pub fn ports(development: &Value) -> Vec<String> {
    let known = ports::development();
    let published = |container: &str| {
        let ports = array(&development["services"][container]["ports"]);
        ports
            .filter_map(|port| port["published"].as_str()?.parse::<u16>().ok())
            .collect::<Vec<_>>()
    };
    let differs = |(container, name): &&(&str, &str)| !published(container).contains(&known[*name]);
    let differing = PORTS.iter().filter(differs);
    differing
        .map(|(container, name)| {
            let there = published(container);
            format!(
                "compose: {container} has {there:?}, and {name} is {} on one machine",
                known[*name]
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{mesh, services};

    /// The checkout's own table, and what its services would say as far as it matters here.
    fn real() -> (Value, Table, Vec<Description>) {
        let checkout = mesh::checkout().unwrap();
        let table = services::table(&checkout).unwrap();
        let project = project(&checkout, &table).unwrap();
        let settings = |name: &str| {
            let entry = &table[name];
            let own = entry
                .env
                .keys()
                .chain(entry.development_env.keys())
                .map(|variable| json!({ "variable": variable }));
            let sockets = json!({ "variable": format!("{}_SOCKETS", name.to_uppercase()) });
            own.chain([sockets, json!({ "variable": "REDIS_URL" })])
                .collect::<Vec<_>>()
        };
        let describe = |name: &String| json!({ "name": name, "settings": settings(name) });
        let descriptions = table
            .keys()
            .map(|name| serde_json::from_value(describe(name)).unwrap());
        let descriptions = descriptions.collect();
        (project, table, descriptions)
    }

    #[test]
    fn the_mesh_on_one_machine_alone_has_the_values_of_development() {
        let (project, table, _) = real();
        for (service, entry) in &table {
            for (variable, value) in &entry.development_env {
                let instance = &project["processes"][format!("{service}-1")];
                let given = array(&instance["environment"]).filter_map(Value::as_str);
                let wanted = format!("{variable}={value}");
                assert!(
                    given.into_iter().any(|pair| pair == wanted),
                    "{service}: {wanted}"
                );
            }
        }
    }

    #[test]
    fn the_mesh_on_one_machine_is_what_the_table_says() {
        let (project, table, descriptions) = real();
        assert_eq!(
            findings(&project, &table, &descriptions),
            Vec::<String>::new()
        );
    }

    #[test]
    fn another_program_another_envoy_and_a_variable_that_nobody_reads_are_found() {
        let (mut project, table, descriptions) = real();
        let processes = &mut project["processes"];
        processes["users-1"]["entrypoint"][1] = json!("work");
        processes["live-2-envoy"]["entrypoint"] = json!(["mesh", "proxy", "--service", "users"]);
        processes.as_object_mut().unwrap().remove("movies-1-envoy");
        let environment = processes["polls-1"]["environment"].as_array_mut().unwrap();
        environment.push(json!("REDDIS_URL=x"));
        environment.retain(|pair| !pair.as_str().unwrap().starts_with("REDIS_URL="));
        let environment = processes["notifications-1"]["environment"]
            .as_array_mut()
            .unwrap();
        environment.retain(|pair| !pair.as_str().unwrap().starts_with("SMTP_HOST="));

        let found = findings(&project, &table, &descriptions);

        for name in [
            "users-1",
            "live-2",
            "movies-1",
            "REDDIS_URL",
            "reads REDIS_URL",
            "SMTP_HOST",
        ] {
            assert!(
                found.iter().any(|finding| finding.contains(name)),
                "{name}: {found:#?}"
            );
        }
        assert_eq!(found.len(), 6, "{found:#?}");
    }

    #[test]
    fn s1_09_a_port_that_differs_is_found() {
        let services: serde_json::Map<_, _> = PORTS
            .iter()
            .filter(|(container, _)| *container != "ingress")
            .map(|(container, name)| {
                let port = ports::development()[*name].to_string();
                (
                    (*container).to_owned(),
                    json!({ "ports": [{ "published": port }] }),
                )
            })
            .chain([(
                "ingress".to_owned(),
                json!({ "ports": [{ "published": "8080" }] }),
            )])
            .collect();
        let found = ports(&json!({ "services": services }));
        assert_eq!(
            found,
            ["compose: ingress has [8080], and registry is 8006 on one machine"]
        );
    }
}
