//! The services' part of `docker-compose.yml`: one container an instance, with the application and its Envoy in it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::section;
use crate::generate::Files;
use crate::limits;
use crate::services::{Description, Entry, Purpose, Table, identities, purposes};

const FILE: &str = "docker-compose.yml";
const PRODUCTION: &str = "docker-compose.prod.yml";

/// Returns the file with its generated parts.
pub fn files(checkout: &Path, table: &Table, descriptions: &[Description]) -> Result<Files> {
    let read = |file: &str| {
        fs::read_to_string(checkout.join(file)).with_context(|| format!("cannot read {file}"))
    };
    let text = read(FILE)?;
    let text = section::replace(&text, "services", &services(table, descriptions))?;
    let text = section::replace(&text, "credentials", &mounts(table))?;
    let text = section::replace(&text, "databases", &databases(descriptions))?;
    let text = section::replace(&text, "sockets", &sockets(table))?;
    let text = section::replace(&text, "volumes", &volumes(table))?;
    let overlay = production(table, descriptions);
    let overlay = section::replace(&read(PRODUCTION)?, "services", &overlay)?;
    Ok(Files::from([
        (FILE.to_owned(), text),
        (PRODUCTION.to_owned(), overlay),
    ]))
}

fn services(table: &Table, descriptions: &[Description]) -> String {
    let mut text = String::new();
    for description in descriptions {
        if let Some(entry) = table.get(&description.name) {
            for purpose in purposes(entry) {
                text += &service(description, entry, *purpose);
            }
        }
    }
    text
}

/// Every process of a service in `docker-compose.yml` has the same image, and the credentials of its own identity.
fn service(description: &Description, entry: &Entry, purpose: Purpose) -> String {
    let name = &description.name;
    let identity = purpose.identity(name);
    let mut text = format!(
        "  {identity}:\n    <<: *service\n    image: ${{PLAZA_IMAGES:-plaza}}/{name}:${{PLAZA_VERSION:-dev}}\n    \
         build: {{ <<: *build, target: sidecar, args: {{ SERVICE: {name} }} }}\n"
    );
    let replicas = match purpose {
        Purpose::Serve => entry.instances,
        Purpose::Work => entry.workers,
    };
    if replicas > 1 {
        let _ = writeln!(text, "    deploy: {{ replicas: {replicas} }}");
    }
    let held = entry.sockets.filter(|_| purpose == Purpose::Serve);
    let memory = limits::container(held.unwrap_or_default());
    let _ = writeln!(text, "    mem_limit: {memory}m");
    if purpose == Purpose::Serve && !entry.aliases.is_empty() {
        let aliases = entry.aliases.join(", ");
        let _ = writeln!(
            text,
            "    networks: {{ default: {{ aliases: [{aliases}] }} }}"
        );
    }
    text += "    environment:\n      <<: *environment\n";
    let _ = writeln!(text, "      PLAZA_IDENTITY: {identity}");
    for (variable, value) in environment(description, entry, purpose) {
        let _ = writeln!(text, "      {variable}: {value}");
    }
    let _ = writeln!(
        text,
        "    volumes: [\"credentials-{identity}:/credentials:ro\"]"
    );
    text += "    depends_on:\n      setup: { condition: service_completed_successfully }\n";
    for (store, condition) in stores(description) {
        let _ = writeln!(text, "      {store}: {{ condition: {condition} }}");
    }
    text + "\n"
}

/// A `$` is written twice for compose; `mesh container run` fills in the secrets of its own container.
fn environment(
    description: &Description,
    entry: &Entry,
    purpose: Purpose,
) -> Vec<(String, String)> {
    let name = &description.name;
    let mut pairs = Vec::new();
    if let Some(variable) = description.database() {
        let url = format!("postgres://{name}:$${{secret.database-{name}}}@postgres:5432/{name}");
        pairs.push((variable, url));
    }
    let stores = [
        (
            "MONGODB_URL",
            format!("mongodb://{name}:$${{secret.mongodb-{name}}}@mongodb:27017/?authSource=admin"),
        ),
        (
            "REDIS_URL",
            format!("redis://{name}:$${{secret.redis-{name}}}@redis:6379/0"),
        ),
        (
            "AMQP_URL",
            format!("amqp://{name}:$${{secret.rabbitmq-{name}}}@rabbitmq:5672/"),
        ),
    ];
    for (variable, url) in stores {
        if description.reads(variable) {
            pairs.push((variable.to_owned(), url));
        }
    }
    if purpose == Purpose::Serve && entry.workers > 0 {
        pairs.push(("ROLES".to_owned(), "none".to_owned()));
    }
    if let Some(number) = entry.sockets {
        pairs.push((
            format!("{}_SOCKETS", name.to_uppercase()),
            format!("\"{number}\""),
        ));
        pairs.push(("PLAZA_SOCKETS".to_owned(), format!("{name}={number}")));
    }
    for (variable, value) in &entry.env {
        // On one machine infrastructure is found by Consul DNS, here by the names of its containers.
        let value = value.replace(".service.consul", "");
        pairs.push((variable.clone(), format!("${{{variable}:-{value}}}")));
    }
    if description.reads("SMTP_PORT") {
        let catcher = "${SMTP_PORT:-1025}".to_owned();
        pairs.push(("SMTP_PORT".to_owned(), catcher));
    }
    pairs
}

/// What production changes in every service.
fn production(table: &Table, descriptions: &[Description]) -> String {
    let mut text = String::new();
    for description in descriptions {
        let Some(entry) = table.get(&description.name) else {
            continue;
        };
        let environment = if description.reads("SMTP_HOST") {
            "{ <<: [*production, *mail] }"
        } else {
            "*production"
        };
        for purpose in purposes(entry) {
            let identity = purpose.identity(&description.name);
            let _ = writeln!(
                text,
                "  {identity}: {{ <<: *restart, environment: {environment} }}"
            );
        }
    }
    text
}

fn stores(description: &Description) -> Vec<(&'static str, &'static str)> {
    let mut stores = Vec::new();
    if description.database().is_some() {
        stores.push(("databases", "service_completed_successfully"));
    }
    let others = [
        (
            "MONGODB_URL",
            "mongodb-users",
            "service_completed_successfully",
        ),
        ("REDIS_URL", "redis", "service_healthy"),
        ("AMQP_URL", "rabbitmq", "service_healthy"),
    ];
    let read = others
        .into_iter()
        .filter(|(variable, ..)| description.reads(variable));
    stores.extend(read.map(|(_, store, condition)| (store, condition)));
    stores
}

/// Volumes of credentials, as the container that makes them sees all of them.
fn mounts(table: &Table) -> String {
    identities(table).iter().fold(String::new(), |text, name| {
        text + &format!("      - credentials-{name}:/credentials/{name}\n")
    })
}

fn databases(descriptions: &[Description]) -> String {
    let with = descriptions
        .iter()
        .filter(|description| description.database().is_some());
    let names: Vec<_> = with.map(|description| description.name.as_str()).collect();
    format!("      - --databases={}\n", names.join(","))
}

/// The ingress has room for all sockets of one instance each; more of them by `--scale` need more here too.
fn sockets(table: &Table) -> String {
    let all: Vec<_> = table
        .iter()
        .filter_map(|(name, entry)| {
            let number = entry.sockets? * u32::from(entry.instances);
            Some(format!("{name}={number}"))
        })
        .collect();
    format!("      PLAZA_SOCKETS: \"{}\"\n", all.join(","))
}

fn volumes(table: &Table) -> String {
    identities(table).iter().fold(String::new(), |text, name| {
        text + &format!("  credentials-{name}:\n")
    })
}
