//! Instances that are not of the mesh: Consul services with a TTL check, which their owners keep alive.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

use chassis::{Error, clock};
use chrono::{DateTime, Utc};
use discovery::{Catalog, Consul, Health, Lease, Leased, Registry as _, Snapshot};
use metrics::{counter, gauge};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    bounds::{Bounds, Held},
    directory,
    model::{BaseUrl, InstanceId, PREFIX, Record, ServiceName, Terms, is_over, moment},
};

/// How long a writer waits at most until its own copy of the catalog shows what it wrote; it goes
/// on as soon as the copy does. Less than `discovery::Remote` waits for an answer: a copy that is
/// late makes readers late, and shall not make a registration fail.
const SHOWN: Duration = Duration::from_secs(4);
/// What Consul may take for all calls of a registration together: `discovery::Remote` still hears of it.
const WRITING: Duration = Duration::from_secs(4);
/// How long what was written counts though the copy of the catalog does not show it: a copy that is so late is none.
const UNSEEN: Duration = Duration::from_mins(1);

/// An instance as its owner is told of it.
#[derive(Debug)]
pub(crate) struct External {
    pub(crate) id: InstanceId,
    pub(crate) name: ServiceName,
    pub(crate) record: Record,
    pub(crate) last_heartbeat: DateTime<Utc>,
}

/// Who registers what.
#[derive(Debug)]
pub(crate) struct Registration {
    pub(crate) owner: i64,
    /// Where the request came from.
    pub(crate) network: Option<String>,
    pub(crate) name: ServiceName,
    pub(crate) base_url: BaseUrl,
}

/// What was written and the copy of the catalog may not show yet.
#[derive(Debug, Default)]
struct Unseen {
    coming: Vec<(Instant, Held)>,
    /// By their ids in Consul.
    leaving: HashSet<String>,
}

/// Registers, renews, takes back and forgets.
#[derive(Debug)]
pub(crate) struct Externals {
    consul: Consul,
    catalog: Catalog,
    terms: Terms,
    bounds: Bounds,
    /// By the id in Consul.
    heartbeats: RwLock<HashMap<String, DateTime<Utc>>>,
    /// So that the bounds hold without waiting for Consul: it is locked while places are counted, and no longer.
    unseen: Mutex<Unseen>,
}

impl Externals {
    pub(crate) fn new(consul: Consul, catalog: Catalog, terms: Terms, bounds: Bounds) -> Self {
        Self {
            consul,
            catalog,
            terms,
            bounds,
            heartbeats: RwLock::default(),
            unseen: Mutex::default(),
        }
    }

    pub(crate) fn terms(&self) -> Terms {
        self.terms
    }

    /// Registers an instance; the one that its owner has at this very place already is registered anew.
    ///
    /// # Errors
    /// 409 for names of the mesh and above the bounds, 503 without Consul.
    pub(crate) async fn register(&self, registration: Registration) -> Result<External, Error> {
        let view = self.catalog.view();
        let known = view.snapshot.ok_or_else(directory::unknown)?;
        let name = registration.name.clone();
        if directory::is_taken(&known, name.as_str()) {
            return Err(Error::conflict(
                "`service_name` is that of a part of the mesh: choose another one",
            ));
        }
        let (id, over) = self.find_place(&known, &registration)?;
        let now = clock::now();
        let record = Record {
            owner: registration.owner,
            network: registration.network,
            base_url: registration.base_url.as_str().to_owned(),
            registered_at: now,
        };
        let lease = Lease {
            service: name.in_consul(),
            id: id.in_consul(),
            address: registration.base_url.host().to_owned(),
            port: registration.base_url.port(),
            meta: record.to_meta(),
            ttl: self.terms.ttl,
            // Consul itself is slow at this: it is the net for the time when no registry runs.
            forgotten_after: self.terms.expiry.saturating_sub(self.terms.ttl),
        };
        if let Err(error) = self.write_down(&id, &lease, &over, now).await {
            let mut unseen = self.unseen();
            unseen.coming.retain(|(_, held)| held.id != lease.id);
            unseen.leaving.retain(|id| !over.contains(id));
            return Err(error);
        }
        let is_there = |known: &Snapshot| contains(known, &lease.service, &lease.id);
        self.catalog.until(SHOWN, is_there).await;
        Ok(External {
            id,
            name,
            record,
            last_heartbeat: now,
        })
    }

    /// The id of a registration's instance, and those that have to go for it. Others count it from here on.
    fn find_place(
        &self,
        known: &Snapshot,
        registration: &Registration,
    ) -> Result<(InstanceId, Vec<String>), Error> {
        let id = InstanceId::new(&registration.name, clock::id());
        let new = Held {
            id: id.in_consul(),
            name: registration.name.clone(),
            owner: registration.owner,
            network: registration.network.clone(),
            base_url: registration.base_url.as_str().to_owned(),
            silent: None,
        };
        let mut unseen = self.unseen();
        let held = self.held(known, &mut unseen);
        let same = held.iter().find(|held| held.is_same(&new));
        let same = same.and_then(|same| same.id.strip_prefix(PREFIX)?.parse().ok());
        if let Some(same) = same {
            return Ok((same, Vec::new()));
        }
        let over = self.bounds.make_room(&held, &new)?;
        unseen.leaving.extend(over.iter().cloned());
        unseen.coming.push((Instant::now() + UNSEEN, new));
        Ok((id, over))
    }

    /// All places that are taken, as far as this instance of the registry knows.
    fn held(&self, known: &Snapshot, unseen: &mut Unseen) -> Vec<Held> {
        let mut held: Vec<Held> = Vec::new();
        for (name, instances) in &known.services {
            let name = name.strip_prefix(PREFIX).and_then(|name| name.parse().ok());
            let Some(name) = name else { continue };
            held.extend(instances.iter().filter_map(|listed| {
                let record = Record::from_meta(&listed.meta)?;
                let last = || self.last_heartbeat(&listed.id);
                let silent = (listed.health == Health::Critical)
                    .then(|| last().unwrap_or(record.registered_at));
                Some(Held {
                    id: listed.id.clone(),
                    name: ServiceName::clone(&name),
                    owner: record.owner,
                    network: record.network,
                    base_url: record.base_url,
                    silent,
                })
            }));
        }
        let seen: HashSet<&str> = held.iter().map(|held| held.id.as_str()).collect();
        let now = Instant::now();
        let is_unseen = |id: &str, until: Instant| until > now && !seen.contains(id);
        let Unseen { coming, leaving } = unseen;
        coming.retain(|(until, held)| is_unseen(&held.id, *until));
        leaving.retain(|id| seen.contains(id.as_str()));
        held.retain(|held| !leaving.contains(&held.id));
        held.extend(coming.iter().map(|(_, held)| held.clone()));
        held
    }

    /// Tells Consul of an instance, and of those that go for it, in time or not at all.
    async fn write_down(
        &self,
        id: &InstanceId,
        lease: &Lease,
        over: &[String],
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let writing = async {
            for silent in over {
                self.consul.deregister(silent).await.map_err(away)?;
                counter!("registry_evicted_instances_total").increment(1);
                tracing::info!(instance = silent, "silent instance made room for another");
            }
            self.consul.lease(lease).await.map_err(away)?;
            self.renew(id, now).await
        };
        let written = timeout(WRITING, writing).await;
        written.unwrap_or_else(|_| Err(away(discovery::Error::Timeout(WRITING))))
    }

    /// A heartbeat of an own instance.
    ///
    /// # Errors
    /// 403 for an instance of somebody else, 404 for none, 503 without Consul.
    pub(crate) async fn beat(&self, caller: i64, id: &InstanceId) -> Result<(), Error> {
        self.own(caller, id).await?;
        self.renew(id, clock::now()).await
    }

    /// Takes an own instance back.
    ///
    /// # Errors
    /// As [`Externals::beat`].
    pub(crate) async fn deregister(&self, caller: i64, id: &InstanceId) -> Result<(), Error> {
        self.own(caller, id).await?;
        let id = id.in_consul();
        self.consul.deregister(&id).await.map_err(away)?;
        self.write().remove(&id);
        self.unseen().leaving.insert(id.clone());
        let is_gone = |known: &Snapshot| {
            let mut listed = known.services.values().flatten();
            listed.all(|listed| listed.id != id)
        };
        self.catalog.until(SHOWN, is_gone).await;
        Ok(())
    }

    async fn own(&self, caller: i64, id: &InstanceId) -> Result<(), Error> {
        let meta = self.consul.leased(&id.in_consul()).await.map_err(away)?;
        let record = meta.as_ref().and_then(Record::from_meta);
        match record.ok_or_else(no_instance)? {
            record if record.owner == caller => Ok(()),
            _ => Err(Error::forbidden(
                "This instance was registered by somebody else",
            )),
        }
    }

    async fn renew(&self, id: &InstanceId, now: DateTime<Utc>) -> Result<(), Error> {
        let id = id.in_consul();
        let known = self.consul.renew(&id, &clock::text(now)).await;
        if !known.map_err(away)? {
            return Err(no_instance());
        }
        self.write().insert(id, now);
        Ok(())
    }

    /// When an instance was last heard of, by its id in Consul.
    pub(crate) fn last_heartbeat(&self, id: &str) -> Option<DateTime<Utc>> {
        let heartbeats = self.heartbeats.read();
        let heartbeats = heartbeats.unwrap_or_else(PoisonError::into_inner);
        heartbeats.get(id).copied()
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<String, DateTime<Utc>>> {
        let heartbeats = self.heartbeats.write();
        heartbeats.unwrap_or_else(PoisonError::into_inner)
    }

    fn unseen(&self) -> MutexGuard<'_, Unseen> {
        self.unseen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes out those whose time is over, and learns of the heartbeats that other instances of this service took. Endless.
    pub(crate) async fn sweep(self: Arc<Self>) {
        loop {
            sleep(self.terms.sweep()).await;
            let view = self.catalog.view();
            let any = view.snapshot.is_some_and(|known| {
                let mut names = known.services.keys();
                names.any(|name| name.starts_with(PREFIX))
            });
            if !any {
                self.write().clear();
                gauge!("registry_external_instances").set(0);
                continue;
            }
            // An agent that is away forgets nobody; reads say that it is.
            if let Ok(all) = self.consul.leases(PREFIX).await {
                self.forget(&all).await;
            }
        }
    }

    async fn forget(&self, all: &[Leased]) {
        let (mut heartbeats, mut over) = (HashMap::new(), Vec::new());
        for leased in all {
            let registered = || Some(Record::from_meta(&leased.meta)?.registered_at);
            let Some(last) = moment(&leased.note).or_else(registered) else {
                continue;
            };
            let silent = leased.health == Health::Critical;
            if silent && is_over(last, clock::now(), self.terms.expiry) {
                over.push(leased);
            } else {
                heartbeats.insert(leased.id.clone(), last);
            }
        }
        gauge!("registry_external_instances").set(u32::try_from(heartbeats.len()).unwrap_or(0));
        *self.write() = heartbeats;
        for leased in over {
            match self.consul.deregister(&leased.id).await {
                Ok(()) => {
                    counter!("registry_expired_instances_total").increment(1);
                    tracing::info!(instance = leased.id, "instance expired without a heartbeat");
                }
                Err(error) => {
                    tracing::warn!(instance = leased.id, cause = %error, "instance could not be taken out");
                }
            }
        }
    }
}

fn contains(known: &Snapshot, service: &str, id: &str) -> bool {
    let instances = known.services.get(service);
    instances.is_some_and(|instances| instances.iter().any(|listed| listed.id == id))
}

fn no_instance() -> Error {
    Error::not_found(
        "There is no such instance: it was never registered, or its heartbeats stopped; register it again",
    )
}

fn away(error: discovery::Error) -> Error {
    match error {
        discovery::Error::Denied => Error::internal(error),
        _ => Error::unavailable("The registry cannot reach Consul; try again").caused_by(error),
    }
}
