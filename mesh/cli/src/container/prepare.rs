//! Makes what all containers need before they start: secrets, settings, and a folder with no more than its own for each identity.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;

use crate::mesh::Mesh;
use crate::observe::mails;
use crate::{compose, ports, secrets, services, stores};

/// Where everything is in a container.
#[derive(Args)]
pub struct Options {
    /// The folder with `consul/`, `observability/` and `mesh/services.toml`.
    #[arg(long, default_value = "/etc/plaza")]
    files: PathBuf,
    /// The state of the mesh: what Consul and the keeper see.
    #[arg(long, default_value = "/plaza")]
    state: PathBuf,
    /// The folder with a folder of credentials an identity, each of them a volume.
    #[arg(long, default_value = "/credentials")]
    credentials: PathBuf,
    /// The services with a database of their own in Postgres.
    #[arg(long, value_delimiter = ',')]
    databases: Vec<String>,
    /// Who the files shall belong to.
    #[arg(long, default_value_t = 65_532)]
    user: u32,
    /// Folders that shall belong to that user too: data of programs that run as it.
    #[arg(long, value_delimiter = ',')]
    own: Vec<PathBuf>,
    #[command(flatten)]
    alerts: mails::Server,
}

/// Names of containers by what listens there, with ports of their own where they differ from those on one machine.
const HOSTS: &[(&str, &str, Option<u16>)] = &[
    ("agent", "0.0.0.0", None),
    ("alertmanager", "alertmanager", None),
    ("consul_http", "consul", None),
    ("consul_grpc", "consul", None),
    ("documents", "mongodb", Some(27_017)),
    ("ingress", "ingress", None),
    ("jaeger", "jaeger", None),
    ("jaeger_admin", "jaeger", None),
    ("mail", "mail", None),
    ("mail_page", "mail", None),
    ("otlp", "otel-collector", None),
    ("prometheus", "prometheus", None),
    ("rabbitmq", "rabbitmq", Some(5672)),
    ("redis", "redis", Some(6379)),
    ("registry", "ingress", None),
];

/// Writes everything.
pub fn run(options: &Options) -> Result<ExitCode> {
    let mesh = mesh(options)?;
    for folder in ["consul", "monitoring", "run"] {
        secrets::private_folder(&mesh.state.join(folder))?;
    }
    mesh.save()?;
    compose::write_agent_settings(&mesh)?;
    monitoring(&mesh, &options.alerts)?;
    for identity in services::identities(&mesh.table()?) {
        own_credentials(&mesh, options, &identity)?;
    }
    ingress_credentials(&mesh, options)?;
    stores(&mesh, options)?;
    for folder in options.own.iter().chain([&options.state]) {
        give(folder, options.user)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the mesh as containers know it.
fn mesh(options: &Options) -> Result<Mesh> {
    let mut ports = ports::development();
    let mut hosts = BTreeMap::new();
    for (name, host, port) in HOSTS {
        hosts.insert((*name).to_owned(), (*host).to_owned());
        if let Some(port) = port {
            ports.insert((*name).to_owned(), *port);
        }
    }
    let program = |name: &str| (name.to_owned(), Path::new("/usr/local/bin").join(name));
    secrets::private_folder(&options.state)?;
    Ok(Mesh {
        name: "containers".to_owned(),
        checkout: options.files.clone(),
        state: options.state.clone(),
        run: options.state.join("run"),
        ports,
        hosts,
        release: true,
        programs: BTreeMap::from(["consul", "envoy"].map(program)),
    })
}

/// Prometheus sees its own settings, targets and token, and nothing else of the state.
fn monitoring(mesh: &Mesh, alerts: &mails::Server) -> Result<()> {
    let token = mesh.state.join("monitoring/token");
    let mut values = mesh.values()?;
    values.insert("secret_file.prometheus".to_owned(), json!(token));
    alerts.fill(&mut values);
    compose::write_monitoring_settings(mesh, &values)?;
    for settings in ["prometheus.yml", "alertmanager.yml"] {
        // Another volume: no renaming from one to the other.
        let (from, to) = (mesh.state.join(settings), mesh.state.join("monitoring"));
        secrets::write_private(&to.join(settings), &fs::read(&from)?)?;
        fs::remove_file(from)?;
    }
    let secret = mesh.secrets()?.get("prometheus")?;
    secrets::write_private(&token, secret.as_bytes())
}

/// Gives an identity its own token, and the passwords of the stores that it may use.
fn own_credentials(mesh: &Mesh, options: &Options, identity: &str) -> Result<()> {
    let service = identity.strip_suffix("-work").unwrap_or(identity);
    let mut names = stores::secrets_of(mesh, service)?;
    names.extend([Mesh::token_name(identity), "envoy".to_owned()]);
    if options.databases.iter().any(|name| name == service) {
        names.push(database(service));
    }
    hand_out(mesh, options, identity, &names)
}

fn ingress_credentials(mesh: &Mesh, options: &Options) -> Result<()> {
    let names = ["ingress", "envoy"].map(str::to_owned);
    hand_out(mesh, options, "ingress", &names)
}

/// Copies secrets, and `mesh.json` without any, into a folder that is one container's own.
fn hand_out(mesh: &Mesh, options: &Options, name: &str, secrets: &[String]) -> Result<()> {
    let folder = options.credentials.join(name);
    let all = mesh.secrets()?;
    fs::create_dir_all(folder.join("secrets"))?;
    // An earlier version may have given it others, which are the operator's now.
    for entry in fs::read_dir(folder.join("secrets"))? {
        let entry = entry?;
        if !secrets
            .iter()
            .any(|name| entry.file_name() == name.as_str())
        {
            fs::remove_file(entry.path())?;
        }
    }
    for secret in secrets {
        let value = all.get(secret)?;
        secrets::write_private(&folder.join("secrets").join(secret), value.as_bytes())?;
    }
    let plain = serde_json::to_vec_pretty(mesh)?;
    secrets::write_private(&folder.join("mesh.json"), &plain)?;
    give(&folder, options.user)
}

/// Gives each store its own password, in the form that its image takes.
fn stores(mesh: &Mesh, options: &Options) -> Result<()> {
    let secrets = mesh.secrets()?;
    let redis = format!("requirepass {}\n", secrets.get("redis")?);
    let redis = redis + &stores::filled(mesh, stores::redis::FILE)?;
    let definitions = stores::filled(mesh, stores::rabbitmq::FILE)?;
    let files = [
        ("redis", "redis.conf", redis),
        ("rabbitmq", "rabbitmq.conf", RABBITMQ.to_owned()),
        ("rabbitmq", "definitions.json", definitions),
        (
            "mongodb",
            "users.js",
            stores::filled(mesh, stores::mongodb::FILE)?,
        ),
        ("mongodb", "password", secrets.get("mongodb")?),
        ("postgres", "password", secrets.get("postgres")?),
        ("postgres", "databases.sql", databases(mesh, options)?),
    ];
    for (store, name, content) in files {
        let folder = options.credentials.join(store);
        fs::create_dir_all(&folder)?;
        let path = folder.join(name);
        secrets::write_private(&path, content.as_bytes())?;
        // Each of these images has a user of its own; only its container has this folder.
        fs::set_permissions(&path, Permissions::from_mode(0o444))?;
    }
    Ok(())
}

const RABBITMQ: &str = "load_definitions = /credentials/definitions.json\n\
    vm_memory_high_watermark.absolute = 256MiB\ndisk_free_limit.absolute = 200MB\nlog.console.level = warning\n";

/// Returns the name of the secret that opens a service's database.
fn database(service: &str) -> String {
    format!("database-{service}")
}

/// A role and a database for each service, closed to all others. Every start runs it: a service that is new finds its own.
fn databases(mesh: &Mesh, options: &Options) -> Result<String> {
    let secrets = mesh.secrets()?;
    let mut sql = String::new();
    for name in &options.databases {
        let password = secrets.get(&database(name))?;
        let _ = writeln!(
            sql,
            "SELECT 'CREATE ROLE {name} LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{name}') \\gexec\n\
             ALTER ROLE {name} PASSWORD '{password}';\n\
             SELECT 'CREATE DATABASE {name} OWNER {name}' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{name}') \\gexec\n\
             REVOKE ALL ON DATABASE {name} FROM PUBLIC;"
        );
    }
    Ok(sql)
}

/// Makes a folder and all in it belong to a user; without the right to do so, they stay whose they are.
fn give(path: &Path, user: u32) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    chown(path, Some(user), Some(user))
        .with_context(|| format!("cannot give {} away", path.display()))?;
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            give(&entry?.path(), user)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;

    #[test]
    fn s0_21_a_container_sees_the_secrets_of_its_own_service_and_no_others() {
        let folder =
            std::env::temp_dir().join(format!("plaza-prepare-{}", random::uuid().unwrap()));
        let options = Options {
            files: crate::mesh::checkout().unwrap(),
            state: folder.join("state"),
            credentials: folder.join("credentials"),
            databases: vec!["users".to_owned()],
            user: 65_532,
            own: Vec::new(),
            alerts: mails::Server::default(),
        };

        run(&options).unwrap();
        let before = fs::read_to_string(options.state.join("secrets/service-users")).unwrap();
        // What a version before gave to all services.
        fs::write(folder.join("credentials/users/secrets/redis"), "shared").unwrap();
        run(&options).unwrap();

        let read = |path: &str| fs::read_to_string(folder.join(path)).unwrap();
        let users = fs::read_dir(folder.join("credentials/users/secrets")).unwrap();
        let mut names: Vec<_> = users
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        let expected = ["database-users", "envoy", "rabbitmq-users", "service-users"];
        assert_eq!(names, expected);
        assert_eq!(
            read("credentials/users/secrets/service-users"),
            before,
            "a second start keeps it"
        );
        let management = read("state/secrets/management");
        assert!(!read("credentials/users/mesh.json").contains(&management));
        assert!(read("state/consul.json").contains("\"client_addr\": \"0.0.0.0\""));
        assert!(read("credentials/postgres/databases.sql").contains("CREATE DATABASE users"));
        fs::remove_dir_all(folder).unwrap();
    }
}
