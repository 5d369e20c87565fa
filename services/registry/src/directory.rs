//! What is shown of the catalog: services of the mesh and registered ones, alike.

use std::{collections::BTreeMap, time::Duration};

use chassis::{Error, clock};
use chrono::{DateTime, Utc};
use discovery::{Health, Listed, Snapshot, View};

use crate::model::{PREFIX, Record};

/// Names that are never free, whether Consul knows them at the moment or not.
const RESERVED: [&str; 4] = ["consul", "envoy", "ingress", "registry"];
/// What the chassis registers with every instance of a service of ours.
const OURS: &str = "admin_port";

/// What is known at this moment.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) services: BTreeMap<String, Vec<Instance>>,
    /// How long Consul has been away, if it is: as old is what is known.
    pub(crate) stale: Option<Duration>,
}

/// An instance as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Instance {
    pub(crate) id: String,
    pub(crate) base_url: String,
    pub(crate) address: String,
    pub(crate) port: u16,
    pub(crate) health: Health,
    /// What only a registered one has.
    pub(crate) registered: Option<Registered>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Registered {
    pub(crate) at: DateTime<Utc>,
    pub(crate) last_heartbeat: DateTime<Utc>,
}

/// 503: Consul has never answered yet.
pub(crate) fn unknown() -> Error {
    Error::unavailable("The registry has not reached Consul yet; try again")
}

/// Whether a name is of the mesh or of its infrastructure, running or not.
pub(crate) fn is_taken(known: &Snapshot, name: &str) -> bool {
    RESERVED.contains(&name) || known.declared.contains(name) || known.names.contains(name)
}

impl Directory {
    /// From a view of the catalog; `last_heartbeat` knows more of instances than that by their ids in Consul.
    ///
    /// # Errors
    /// 503 when nothing is known yet.
    pub(crate) fn new(
        view: View,
        last_heartbeat: impl Fn(&str) -> Option<DateTime<Utc>>,
    ) -> Result<Self, Error> {
        let known = view.snapshot.ok_or_else(unknown)?;
        let mut services = BTreeMap::new();
        for (name, instances) in &known.services {
            let shown: Vec<_> = match name.strip_prefix(PREFIX) {
                // A name that the mesh has taken since means what the mesh means by it.
                Some(name) if is_taken(&known, name) => continue,
                Some(_) => instances
                    .iter()
                    .filter_map(|listed| external(listed, &last_heartbeat))
                    .collect(),
                None => instances
                    .iter()
                    .filter(|listed| {
                        known.declared.contains(name) || listed.meta.contains_key(OURS)
                    })
                    .map(of_the_mesh)
                    .collect(),
            };
            if !shown.is_empty() {
                let name = name.strip_prefix(PREFIX).unwrap_or(name);
                services.insert(name.to_owned(), shown);
            }
        }
        Ok(Self {
            services,
            stale: view.away_since.map(|since| since.elapsed()),
        })
    }

    pub(crate) fn instances(&self) -> usize {
        self.services.values().map(Vec::len).sum()
    }
}

fn of_the_mesh(listed: &Listed) -> Instance {
    let host = if listed.address.contains(':') {
        format!("[{}]", listed.address)
    } else {
        listed.address.clone()
    };
    Instance {
        id: listed.id.clone(),
        base_url: format!("http://{host}:{}", listed.port),
        address: listed.address.clone(),
        port: listed.port,
        health: listed.health,
        registered: None,
    }
}

fn external(
    listed: &Listed,
    last_heartbeat: impl Fn(&str) -> Option<DateTime<Utc>>,
) -> Option<Instance> {
    let record = Record::from_meta(&listed.meta)?;
    Some(Instance {
        id: listed.id.strip_prefix(PREFIX)?.to_owned(),
        base_url: record.base_url,
        address: listed.address.clone(),
        port: listed.port,
        health: listed.health,
        registered: Some(Registered {
            at: record.registered_at,
            last_heartbeat: last_heartbeat(&listed.id).unwrap_or(record.registered_at),
        }),
    })
}

impl Registered {
    pub(crate) fn texts(&self) -> (String, String) {
        (clock::text(self.at), clock::text(self.last_heartbeat))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn listed(id: &str, meta: BTreeMap<String, String>) -> Listed {
        Listed {
            id: id.into(),
            address: "127.0.0.1".into(),
            port: 80,
            meta,
            health: Health::Passing,
        }
    }

    fn registered(id: &str) -> Listed {
        let record = Record {
            owner: 7,
            network: None,
            base_url: "http://elsewhere".into(),
            registered_at: clock::now(),
        };
        listed(id, record.to_meta())
    }

    fn shown(snapshot: Snapshot) -> BTreeMap<String, Vec<Instance>> {
        let view = View {
            snapshot: Some(Arc::new(snapshot)),
            away_since: None,
        };
        Directory::new(view, |_| None).unwrap().services
    }

    #[test]
    fn d16_a_registered_one_never_stands_beside_or_for_a_service_of_the_mesh() {
        let mut snapshot = Snapshot::default();
        let ext = |name: &str| {
            (
                format!("ext-{name}"),
                vec![registered(&format!("ext-{name}-1"))],
            )
        };
        snapshot.services = [ext("users"), ext("likes"), ext("redis"), ext("shop")].into();
        snapshot.names = ["users", "redis"].map(str::to_owned).into();
        let users = vec![listed("users-1", BTreeMap::new())];
        snapshot.services.insert("users".into(), users);
        snapshot.declared = ["users", "likes"].map(str::to_owned).into();

        let services = shown(snapshot);

        let names: Vec<&str> = services.keys().map(String::as_str).collect();
        assert_eq!(names, ["shop", "users"]);
        assert_eq!(services["users"][0].id, "users-1");
        assert_eq!(services["shop"][0].id, "shop-1");
        assert_eq!(services["shop"][0].base_url, "http://elsewhere");
    }

    #[test]
    fn s2_08_infrastructure_is_not_shown() {
        let mut snapshot = Snapshot::default();
        let redis = vec![listed("redis", BTreeMap::new())];
        snapshot.services.insert("redis".into(), redis);
        snapshot.names.insert("redis".into());
        assert!(is_taken(&snapshot, "redis") && is_taken(&snapshot, "ingress"));
        assert!(shown(snapshot).is_empty());
    }

    #[test]
    fn s2_08_before_consul_ever_answered_nothing_is_known() {
        let error = Directory::new(View::default(), |_| None).unwrap_err();
        assert_eq!(error.code(), chassis::Code::Unavailable);
    }
}
