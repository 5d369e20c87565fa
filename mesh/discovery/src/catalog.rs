//! A copy of all that is registered, kept current by blocking queries: whoever reads it asks nobody.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, de::IgnoredAny};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use crate::{Error, Watch, agent::Agent, consul::ADMIN_PORT};

/// How long after a failure Consul is asked again.
const PAUSE: Duration = Duration::from_millis(500);

/// How well an instance is: the worst of its checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// All checks pass.
    Passing,
    /// A check warns.
    Warning,
    /// A check fails.
    #[serde(other)]
    Critical,
}

impl Health {
    /// The word that Consul has for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passing => "passing",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// An instance of an application, as the catalog has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The Consul service id.
    pub id: String,
    /// Where it listens, as registered.
    pub address: String,
    /// Its port; of one on a socket that of its admin listener, and 0 without any.
    pub port: u16,
    /// What was registered with it.
    pub meta: BTreeMap<String, String>,
    /// How well it is.
    pub health: Health,
}

/// All that is registered at one time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Instances by service, sorted by id, without sidecars and gateways.
    pub services: BTreeMap<String, Vec<Listed>>,
    /// Every name that something is registered by, sidecars and gateways included.
    pub names: BTreeSet<String>,
    /// Services that the mesh has settings for (`service-defaults`), whether they run or not.
    pub declared: BTreeSet<String>,
}

/// A snapshot, and whether Consul still answers.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// What is known; nothing before Consul answered for the first time.
    pub snapshot: Option<Arc<Snapshot>>,
    /// Since when Consul does not answer.
    pub away_since: Option<Instant>,
}

/// A copy of all that is registered. Clones share it.
#[derive(Debug, Clone)]
pub struct Catalog(watch::Receiver<View>);

impl Catalog {
    /// What is known now.
    pub fn view(&self) -> View {
        self.0.borrow().clone()
    }

    /// Waits until the copy is as `wanted`, for `patience` at most: whether it came to be.
    pub async fn until(&self, patience: Duration, wanted: impl Fn(&Snapshot) -> bool) -> bool {
        let mut view = self.0.clone();
        let came = view.wait_for(|view| view.snapshot.as_deref().is_some_and(&wanted));
        matches!(timeout(patience, came).await, Ok(Ok(_)))
    }
}

/// A copy, and the endless work that keeps it current.
pub(crate) fn follow(agent: Agent) -> (Catalog, impl Future<Output = ()> + Send + 'static) {
    let (sender, receiver) = watch::channel(View::default());
    (Catalog(receiver), keep_current(agent, sender))
}

async fn keep_current(agent: Agent, view: watch::Sender<View>) {
    // Between them these two change with everything that a snapshot is made of.
    let mut services = Watch::<IgnoredAny>::new(agent.clone(), "catalog/services");
    let mut checks = Watch::<IgnoredAny>::new(agent.clone(), "health/state/any");
    loop {
        let changed = tokio::select! {
            changed = services.next() => changed,
            changed = checks.next() => changed,
        };
        let snapshot = match changed {
            Ok(_) => snapshot(&agent).await,
            Err(error) => Err(error),
        };
        match snapshot {
            Ok(snapshot) => {
                let back = view.send_replace(View {
                    snapshot: Some(Arc::new(snapshot)),
                    away_since: None,
                });
                if back.away_since.is_some() {
                    tracing::info!("catalog is current again");
                }
            }
            Err(error) => {
                let first = view.borrow().away_since.is_none();
                if first {
                    tracing::warn!(cause = %error, "catalog is not current: consul does not answer");
                }
                view.send_modify(|view| {
                    view.away_since.get_or_insert_with(Instant::now);
                });
                // Both are answered at once when Consul is back, also when nothing has changed.
                services = Watch::new(agent.clone(), "catalog/services");
                sleep(PAUSE).await;
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Node {
    node: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NodeServices {
    services: Vec<NodeService>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NodeService {
    #[serde(rename = "ID")]
    id: String,
    service: String,
    /// Empty for an application.
    #[serde(default)]
    kind: String,
    address: String,
    #[serde(default)]
    port: u16,
    meta: Option<BTreeMap<String, String>>,
}

impl NodeService {
    /// The port at which it answers whoever is on its machine.
    fn open_port(&self) -> u16 {
        let admin = self.meta.as_ref().and_then(|meta| meta.get(ADMIN_PORT));
        match admin.and_then(|port| port.parse().ok()) {
            Some(admin) if self.port == 0 => admin,
            _ => self.port,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Check {
    node: String,
    #[serde(rename = "ServiceID")]
    service_id: String,
    status: Health,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ConfigEntry {
    name: String,
}

async fn snapshot(agent: &Agent) -> Result<Snapshot, Error> {
    let declared: Vec<ConfigEntry> = agent.get("config/service-defaults").await?;
    let nodes: Vec<Node> = agent.get("catalog/nodes").await?;
    let checks: Vec<Check> = agent.get("health/state/any").await?;
    let mut health: HashMap<(&str, &str), Health> = HashMap::new();
    for check in &checks {
        // A check of the node itself has no service, and counts for all of them.
        let key = (check.node.as_str(), check.service_id.as_str());
        let worst = health.entry(key).or_insert(Health::Passing);
        *worst = check.status.max(*worst);
    }
    let mut snapshot = Snapshot {
        declared: declared.into_iter().map(|entry| entry.name).collect(),
        ..Snapshot::default()
    };
    for Node { node } in &nodes {
        let found: Option<NodeServices> =
            agent.get(&format!("catalog/node-services/{node}")).await?;
        for service in found.into_iter().flat_map(|found| found.services) {
            let of = |id| health.get(&(node.as_str(), id)).copied();
            let health = of(&service.id).max(of("")).unwrap_or(Health::Passing);
            snapshot.add(service, health);
        }
    }
    for instances in snapshot.services.values_mut() {
        instances.sort_by(|one, other| one.id.cmp(&other.id));
    }
    Ok(snapshot)
}

impl Snapshot {
    fn add(&mut self, service: NodeService, health: Health) {
        self.names.insert(service.service.clone());
        if service.kind.is_empty() {
            let port = service.open_port();
            self.services
                .entry(service.service)
                .or_default()
                .push(Listed {
                    port,
                    id: service.id,
                    address: service.address,
                    meta: service.meta.unwrap_or_default(),
                    health,
                });
        }
    }
}
