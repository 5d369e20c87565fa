//! What stores are told of the services before anybody may connect, from the services' own descriptions: a user for each, and
//! what it may touch.
//!
//! The files are templates: `${secret.<name>}` stands for a password, which each mesh has of its own.

pub mod mongodb;
pub mod rabbitmq;
pub mod redis;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::json;

use crate::compose;
use crate::generate::{Files, pretty};
use crate::mesh::{self, Mesh};
use crate::secrets::{self, Secrets};
use crate::services::Description;
use crate::template::{self, Values};

/// The stores that know each service by a user of its own: name, and the variable with the URL.
pub const WITH_USERS: &[(&str, &str)] = &[
    ("mongodb", "MONGODB_URL"),
    ("redis", "REDIS_URL"),
    ("rabbitmq", "AMQP_URL"),
];

/// Where the templates are in the checkout.
const FILES: &[&str] = &[mongodb::FILE, redis::FILE, rabbitmq::FILE];

/// Returns all of these files.
pub fn files(descriptions: &[Description]) -> Result<Files> {
    let definitions = pretty(&rabbitmq::definitions(descriptions))?;
    Ok(Files::from([
        (rabbitmq::FILE.to_owned(), definitions),
        (redis::FILE.to_owned(), redis::users(descriptions)),
        (mongodb::FILE.to_owned(), mongodb::users(descriptions)),
    ]))
}

/// Returns the name of the secret with which a service opens a store.
pub fn secret(store: &str, service: &str) -> String {
    format!("{store}-{service}")
}

/// Returns a template of the checkout with this mesh's passwords, which are made at first use.
pub fn filled(mesh: &Mesh, file: &str) -> Result<String> {
    fill(&compose::read(mesh, file)?, &mesh.secrets()?)
}

fn fill(text: &str, secrets: &Secrets) -> Result<String> {
    let mut values = Values::new();
    for name in asked(text) {
        values.insert(format!("secret.{name}"), json!(secrets.get(name)?));
    }
    template::fill_text(text, &values)
}

/// Where stores are that are no part of a mesh of ours, and where what they need is written.
#[derive(Args)]
pub struct Options {
    /// The folder, which becomes private. Passwords that are in it stay.
    folder: PathBuf,
    /// `HOST:PORT` of `MongoDB`.
    #[arg(long)]
    mongodb: String,
    /// `HOST:PORT` of Redis.
    #[arg(long)]
    redis: String,
    /// `HOST:PORT` of `RabbitMQ`.
    #[arg(long)]
    rabbitmq: String,
}

/// The file with the URLs, a line for each key of the chart's Secret.
const URLS: &str = "urls.env";

/// Writes what each store has to be told, and the URLs by which services then come in.
pub fn run(options: &Options) -> Result<ExitCode> {
    let checkout = mesh::checkout()?;
    secrets::private_folder(&options.folder)?;
    let secrets = Secrets::open(options.folder.join("secrets"))?;
    for file in FILES {
        let text = fs::read_to_string(checkout.join(file))?;
        let name = file.rsplit('/').next().unwrap_or(file);
        let filled = fill(&text, &secrets)?;
        secrets::write_private(&options.folder.join(name), filled.as_bytes())?;
    }
    let mut urls = String::new();
    for ((store, variable), file) in WITH_USERS.iter().zip(FILES) {
        let text = fs::read_to_string(checkout.join(file))?;
        for name in asked(&text) {
            if let Some(service) = name.strip_prefix(&format!("{store}-")) {
                let url = options.url(store, service, &secrets.get(name)?);
                let _ = writeln!(urls, "{}_{variable}={url}", service.to_uppercase());
            }
        }
    }
    secrets::write_private(&options.folder.join(URLS), urls.as_bytes())?;
    println!("wrote {}", options.folder.display());
    Ok(ExitCode::SUCCESS)
}

impl Options {
    fn url(&self, store: &str, service: &str, password: &str) -> String {
        match store {
            "mongodb" => format!(
                "mongodb://{service}:{password}@{}/?authSource=admin",
                self.mongodb
            ),
            "redis" => format!("redis://{service}:{password}@{}/0", self.redis),
            _ => format!("amqp://{service}:{password}@{}/", self.rabbitmq),
        }
    }
}

/// Returns the secrets of stores that a service has.
pub fn secrets_of(mesh: &Mesh, service: &str) -> Result<Vec<String>> {
    let mut known = BTreeSet::new();
    for file in FILES {
        known.extend(asked(&compose::read(mesh, file)?).map(str::to_owned));
    }
    let own = WITH_USERS.iter().map(|(store, _)| secret(store, service));
    Ok(own.filter(|name| known.contains(name)).collect())
}

/// Returns the secrets that a template asks for.
fn asked(text: &str) -> impl Iterator<Item = &str> {
    let parts = text.split("${secret.").skip(1);
    parts.filter_map(|part| part.split_once('}').map(|(name, _)| name))
}

/// Returns the services that read a variable.
fn readers<'a>(
    descriptions: &'a [Description],
    variable: &'a str,
) -> impl Iterator<Item = &'a Description> {
    descriptions
        .iter()
        .filter(move |service| service.reads(variable))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptions() -> Vec<Description> {
        let of = |value| serde_json::from_value(value).unwrap();
        vec![
            of(json!({
                "name": "likes",
                "settings": [{ "variable": "REDIS_URL" }, { "variable": "AMQP_URL" }],
                "subscriptions": [{ "name": "checks", "events": ["likes.liked", "timelines.deleted"], "shared": true }],
                "hears": ["timelines"],
            })),
            of(
                json!({ "name": "items", "settings": [{ "variable": "MONGODB_URL" }, { "variable": "AMQP_URL" }] }),
            ),
        ]
    }

    #[test]
    fn each_service_has_a_user_of_its_own_where_it_has_a_store() {
        let files = files(&descriptions()).unwrap();

        assert_eq!(
            files[redis::FILE].lines().last().unwrap(),
            "user likes on >${secret.redis-likes} ~likes:* &likes:* &timelines:* +@all -@admin -@dangerous -function -scan -randomkey -script|flush -script|kill +info"
        );
        assert!(files[mongodb::FILE].contains(r#"["items", "${secret.mongodb-items}"]"#));
        assert!(!files[mongodb::FILE].contains("likes"));
        let secrets: Vec<_> = asked(&files[rabbitmq::FILE]).collect();
        assert_eq!(secrets, ["rabbitmq", "rabbitmq-likes", "rabbitmq-items"]);
    }

    #[test]
    fn stores_of_others_are_told_the_same_passwords_as_services_get() {
        let folder = std::env::temp_dir().join(format!("plaza-stores-{}", std::process::id()));
        let options = Options {
            folder: folder.clone(),
            mongodb: "mongodb.stores:27017".to_owned(),
            redis: "redis.stores:6379".to_owned(),
            rabbitmq: "rabbitmq.stores:5672".to_owned(),
        };

        run(&options).unwrap();
        let urls = fs::read_to_string(folder.join(URLS)).unwrap();
        run(&options).unwrap();

        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
        assert_eq!(read(URLS), urls, "the passwords stay");
        for (key, file) in [
            ("LIKES_AMQP_URL=amqp://likes:", "rabbitmq.json"),
            ("LIKES_REDIS_URL=redis://likes:", "redis.acl"),
            ("POLLS_MONGODB_URL=mongodb://polls:", "mongodb.js"),
        ] {
            let url = urls.lines().find_map(|line| line.strip_prefix(key));
            let (password, _) = url.unwrap().split_once('@').unwrap();
            assert!(read(file).contains(password), "{key}");
        }
        assert!(!urls.contains("${"), "{urls}");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_service_at_the_broker_has_its_queues_and_says_what_happens_in_it() {
        let definitions = rabbitmq::definitions(&descriptions());

        let rights = &definitions["permissions"];
        let of = |index: usize| {
            let rights = &rights[index];
            [&rights["configure"], &rights["write"], &rights["read"]]
                .map(|pattern| pattern.as_str().unwrap().to_owned())
        };
        let own = r"^(plaza\.events|likes\..*)$";
        assert_eq!(of(1), [r"^likes\..*$", own, own]);
        assert_eq!(of(2), ["^$", r"^(plaza\.events)$", "^$"]);
        let topics = &definitions["topic_permissions"];
        assert_eq!(topics[0]["write"], r"^likes\.");
        assert_eq!(topics[0]["read"], r"^(likes\.liked|timelines\.deleted)$");
        assert_eq!(topics[1]["read"], "^$");
        assert_eq!(definitions["queues"][0]["name"], "likes.checks");
        let bound = definitions["bindings"].as_array().unwrap().iter();
        let events: Vec<_> = bound
            .filter(|binding| binding["source"] == "plaza.events")
            .map(|binding| binding["routing_key"].as_str().unwrap())
            .collect();
        assert_eq!(events, ["likes.liked", "timelines.deleted"]);
    }
}
