//! Instances that nobody probes: they stay by heartbeats (a TTL check of the agent).

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use serde::Deserialize;
use serde_json::json;

use crate::{Error, Health, agent::Agent};

/// The least that Consul takes, and how long it keeps what [`Lease`] holders do not take back themselves.
const DEREGISTER_AFTER: Duration = Duration::from_mins(1);

/// An instance that stays by heartbeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The service.
    pub service: String,
    /// The instance, unique on its agent.
    pub id: String,
    /// Host name or address, as DNS shall answer it.
    pub address: String,
    /// Its port.
    pub port: u16,
    /// What else Consul shall keep of the instance.
    pub meta: BTreeMap<String, String>,
    /// It is critical when no heartbeat came for so long.
    pub ttl: Duration,
    /// Consul itself takes it out some time after it has been critical for so long, a minute at least.
    pub forgotten_after: Duration,
}

/// A [`Lease`] as the agent knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leased {
    /// The service.
    pub service: String,
    /// The instance.
    pub id: String,
    /// What was announced with it.
    pub meta: BTreeMap<String, String>,
    /// Whether heartbeats come.
    pub health: Health,
    /// What came with the last heartbeat, kept also when they stop.
    pub note: String,
}

/// The text before the last note, in the output of a check that expired.
const EXPIRED: &str = "TTL expired (last output before timeout follows): ";

pub(crate) async fn register(agent: &Agent, lease: &Lease) -> Result<(), Error> {
    let seconds = |time: Duration| format!("{}ms", time.as_millis());
    let body = json!({
        "ID": lease.id,
        "Name": lease.service,
        "Address": lease.address,
        "Port": lease.port,
        "Meta": lease.meta,
        "Check": {
            "CheckID": lease.id,
            "Name": "heartbeat",
            "TTL": seconds(lease.ttl),
            "Status": "passing",
            "DeregisterCriticalServiceAfter": seconds(lease.forgotten_after.max(DEREGISTER_AFTER)),
        },
    });
    let path = "agent/service/register?replace-existing-checks=true";
    if agent.put(path, &body).await? {
        Ok(())
    } else {
        Err(Error::Other(format!("status 404 for {path}")))
    }
}

pub(crate) async fn renew(agent: &Agent, id: &str, note: &str) -> Result<bool, Error> {
    let path = format!("agent/check/update/{id}");
    agent
        .put(&path, &json!({ "Status": "passing", "Output": note }))
        .await
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AgentService {
    service: String,
    meta: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AgentCheck {
    status: Health,
    output: String,
}

/// What was announced with an instance.
pub(crate) async fn meta(
    agent: &Agent,
    id: &str,
) -> Result<Option<BTreeMap<String, String>>, Error> {
    let found: Option<AgentService> = agent.find(&format!("agent/service/{id}")).await?;
    Ok(found.map(|service| service.meta.unwrap_or_default()))
}

pub(crate) async fn list(agent: &Agent, prefix: &str) -> Result<Vec<Leased>, Error> {
    let checks = format!("ServiceName matches `^{prefix}` and Type == ttl");
    let mut checks: HashMap<String, AgentCheck> = agent.filtered("agent/checks", &checks).await?;
    let services = format!("Service matches `^{prefix}`");
    let services: HashMap<String, AgentService> =
        agent.filtered("agent/services", &services).await?;
    let leased = services.into_iter().filter_map(|(id, service)| {
        let check = checks.remove(&id)?;
        let note = check.output;
        Some(Leased {
            id,
            service: service.service,
            meta: service.meta.unwrap_or_default(),
            health: check.status,
            note: note.strip_prefix(EXPIRED).unwrap_or(&note).to_owned(),
        })
    });
    Ok(leased.collect())
}
