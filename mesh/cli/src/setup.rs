//! Brings a running Consul to what the files under `consul/` say: policies, tokens, config entries, infrastructure.
//!
//! Runs under the supervisor once Consul answers, every time a mesh starts or its settings change; doing it twice changes nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::{Value, json};

use crate::consul::Consul;
use crate::mesh::Mesh;
use crate::{documents, edge, random, scaling, services, template};

/// Kinds of config entry of which only ours may exist.
const OWNED: &[&str] = &["http-route", "service-intentions", "service-defaults"];

/// Tokens that are not a service's: the secret's name is the policy's.
const OTHER_TOKENS: &[&str] = &["agent", "dns", "prometheus", "ingress", "envoy"];

/// How long Consul may take to elect itself.
const PATIENCE: Duration = Duration::from_mins(1);

/// How it is started.
#[derive(Args)]
pub struct Options {
    /// The state folder of the mesh.
    #[arg(long)]
    state: PathBuf,
    /// Ends tokens of services that are in no file any more; who still uses one is shut out.
    #[arg(long)]
    retire: bool,
}

/// Applies everything.
pub fn run(options: &Options) -> Result<ExitCode> {
    let mesh = &Mesh::load(&options.state)?;
    let consul = management(mesh)?;
    consul.wait(PATIENCE)?;
    let folder = mesh.checkout.join("consul");
    policies(&consul, &folder.join("policies"))?;
    tokens(&consul, mesh)?;
    entries(&consul, mesh, &folder)?;
    infrastructure(&consul, mesh, &folder)?;
    if options.retire {
        for identity in services::identities(&mesh.table()?) {
            retire(&consul, mesh, &identity)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns Consul as the operator asks it.
pub fn management(mesh: &Mesh) -> Result<Consul> {
    let token = mesh.secrets()?.get("management")?;
    Ok(Consul::new(mesh.target("consul_http"), token))
}

/// Gives a service's present secret its token.
pub fn put_service_token(consul: &Consul, mesh: &Mesh, name: &str, secret: &str) -> Result<()> {
    put_token(consul, secret, name, &rights(mesh, name))
}

/// Deletes every token of a service but that of its present secret; how many.
pub fn retire(consul: &Consul, mesh: &Mesh, name: &str) -> Result<usize> {
    let secret = mesh.secrets()?.get(&Mesh::token_name(name))?;
    let (mine, mut retired) = (format!("{name} ("), 0);
    let tokens = consul.read("/v1/acl/tokens")?;
    for token in tokens.as_array().into_iter().flatten() {
        let described = token["Description"].as_str().unwrap_or_default();
        if described.starts_with(&mine) && token["SecretID"] != secret.as_str() {
            let accessor = token["AccessorID"].as_str().unwrap_or_default();
            consul.delete_token(accessor)?;
            retired += 1;
        }
    }
    Ok(retired)
}

fn policies(consul: &Consul, folder: &Path) -> Result<()> {
    for file in files(folder, "hcl") {
        let name = file
            .file_stem()
            .and_then(|stem| stem.to_str())
            .context("a policy has a name")?;
        consul.put_policy(name, &fs::read_to_string(&file)?)?;
    }
    Ok(())
}

fn tokens(consul: &Consul, mesh: &Mesh) -> Result<()> {
    let secrets = mesh.secrets()?;
    for name in OTHER_TOKENS {
        put_token(
            consul,
            &secrets.get(name)?,
            name,
            &json!({ "Policies": [{ "Name": name }] }),
        )?;
    }
    for name in services::identities(&mesh.table()?) {
        let secret = secrets.get(&Mesh::token_name(&name))?;
        put_service_token(consul, mesh, &name, &secret)?;
    }
    Ok(())
}

/// Returns what a service's token may do: be that service and, if there is a policy of its name, what that says.
fn rights(mesh: &Mesh, service: &str) -> Value {
    let mut rights = json!({ "ServiceIdentities": [{ "ServiceName": service }] });
    let policy = format!("consul/policies/{service}.hcl");
    if mesh.checkout.join(policy).is_file() {
        rights["Policies"] = json!([{ "Name": service }]);
    }
    rights
}

fn put_token(consul: &Consul, secret: &str, name: &str, rights: &Value) -> Result<()> {
    let fingerprint = random::fingerprint([rights.to_string().as_bytes()]);
    consul.put_token(secret, &format!("{name} ({fingerprint:016x})"), rights)
}

fn entries(consul: &Consul, mesh: &Mesh, folder: &Path) -> Result<()> {
    let mut written = BTreeSet::new();
    for file in entry_files(folder) {
        let entry = read_entry(mesh, &file)?;
        written.insert((kind(&entry), name(&entry)));
        consul
            .put_config(&entry)
            .with_context(|| format!("{} does not fit", file.display()))?;
    }
    for owned in OWNED {
        for stale in consul.config_names(owned)? {
            if !written.contains(&((*owned).to_owned(), stale.clone())) {
                consul.delete_config(owned, &stale)?;
            }
        }
    }
    Ok(())
}

/// Returns the files of all config entries in the order in which Consul accepts them: protocols first, routes last.
pub fn entry_files(folder: &Path) -> Vec<PathBuf> {
    let mut all = files(&folder.join("config"), "json");
    all.extend(files(&folder.join("services"), "json"));
    all.push(folder.join("ingress/api-gateway.json"));
    all.extend(files(&folder.join("intentions"), "json"));
    all.extend(files(&folder.join("routes"), "json"));
    all
}

fn read_entry(mesh: &Mesh, file: &Path) -> Result<Value> {
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut entry =
        template::fill(&text, &mesh.values()?).with_context(|| format!("in {}", file.display()))?;
    template::stringify(&mut entry);
    Ok(entry)
}

/// Registers what cannot register itself, once Consul answers.
pub fn register_infrastructure(mesh: &Mesh) -> Result<()> {
    let consul = management(mesh)?;
    consul.wait(PATIENCE)?;
    infrastructure(&consul, mesh, &mesh.checkout.join("consul"))
}

fn infrastructure(consul: &Consul, mesh: &Mesh, folder: &Path) -> Result<()> {
    let values = mesh.values()?;
    let stores = fs::read_to_string(folder.join("infrastructure.json"))
        .context("cannot read consul/infrastructure.json")?;
    for service in template::fill(&stores, &values)?
        .as_array()
        .into_iter()
        .flatten()
    {
        consul.register(service)?;
    }
    consul.register(&documents::registration(mesh))?;
    if scaling::plan_file(mesh).is_file() {
        consul.register(&scaling::registration(mesh))?;
    }
    consul.register(&edge::registration(mesh)?)
}

/// Returns the files of a folder with an extension, in order.
pub fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .collect();
    paths.retain(|path| path.extension().is_some_and(|found| found == extension));
    paths.sort();
    paths
}

fn kind(entry: &Value) -> String {
    entry["Kind"].as_str().unwrap_or_default().to_owned()
}

fn name(entry: &Value) -> String {
    entry["Name"].as_str().unwrap_or_default().to_owned()
}
