//! Instances that are not of the mesh: Consul services with a TTL check, which their owners keep alive.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use chassis::{Error, clock};
use chrono::{DateTime, Utc};
use discovery::{Catalog, Consul, Health, Lease, Leased, Registry as _};
use metrics::{counter, gauge};
use tokio::{sync::Mutex, time::sleep};

use crate::{
    directory,
    model::{BaseUrl, InstanceId, PREFIX, Record, ServiceName, Terms, is_over, moment},
};

/// How long a writer waits at most until its own copy of the catalog shows what it wrote; it goes
/// on as soon as the copy does. Less than `discovery::Remote` waits for an answer: a copy that is
/// late makes readers late, and shall not make a registration fail.
const SHOWN: Duration = Duration::from_secs(4);

/// How many there may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) of_owner: usize,
    pub(crate) in_all: usize,
}

/// An instance as its owner is told of it.
#[derive(Debug)]
pub(crate) struct External {
    pub(crate) id: InstanceId,
    pub(crate) name: ServiceName,
    pub(crate) record: Record,
    pub(crate) last_heartbeat: DateTime<Utc>,
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
    /// One registration after the other, so that the bounds hold.
    registering: Mutex<()>,
}

impl Externals {
    pub(crate) fn new(consul: Consul, catalog: Catalog, terms: Terms, bounds: Bounds) -> Self {
        Self {
            consul,
            catalog,
            terms,
            bounds,
            heartbeats: RwLock::default(),
            registering: Mutex::default(),
        }
    }

    pub(crate) fn terms(&self) -> Terms {
        self.terms
    }

    /// Registers an instance; the one that `owner` has at this very place already is registered anew.
    ///
    /// # Errors
    /// 409 for names of the mesh and above the bounds, 503 without Consul.
    pub(crate) async fn register(
        &self,
        owner: i64,
        name: ServiceName,
        base_url: BaseUrl,
    ) -> Result<External, Error> {
        let view = self.catalog.view();
        let known = view.snapshot.ok_or_else(directory::unknown)?;
        if directory::is_taken(&known, name.as_str()) {
            return Err(Error::conflict(
                "`service_name` is that of a part of the mesh: choose another one",
            ));
        }
        let alone = self.registering.lock().await;
        let all = self.consul.leases(PREFIX).await.map_err(away)?;
        let id = if let Some(id) = same(&all, owner, &name, &base_url) {
            id
        } else {
            self.check_bounds(&all, owner)?;
            InstanceId::new(&name, clock::id())
        };
        let now = clock::now();
        let record = Record {
            owner,
            base_url: base_url.as_str().to_owned(),
            registered_at: now,
        };
        let lease = Lease {
            service: name.in_consul(),
            id: id.in_consul(),
            address: base_url.host().to_owned(),
            port: base_url.port(),
            meta: record.to_meta(),
            ttl: self.terms.ttl,
            // Consul itself is slow at this: it is the net for the time when no registry runs.
            forgotten_after: self.terms.expiry.saturating_sub(self.terms.ttl),
        };
        self.consul.lease(&lease).await.map_err(away)?;
        self.renew(&id, now).await?;
        // Consul counts it from here on.
        drop(alone);
        let (service, shown) = (name.in_consul(), id.in_consul());
        let is_there = |known: &discovery::Snapshot| contains(known, &service, &shown);
        self.catalog.until(SHOWN, is_there).await;
        Ok(External {
            id,
            name,
            record,
            last_heartbeat: now,
        })
    }

    fn check_bounds(&self, all: &[Leased], owner: i64) -> Result<(), Error> {
        let own = |leased: &&Leased| {
            Record::from_meta(&leased.meta).is_some_and(|record| record.owner == owner)
        };
        let Bounds { of_owner, in_all } = self.bounds;
        if all.iter().filter(own).count() >= of_owner {
            let message = format!("You have {of_owner} instances already: deregister one");
            return Err(Error::conflict(message));
        }
        if all.len() >= in_all {
            return Err(Error::conflict("The registry is full: try again later"));
        }
        Ok(())
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
        let is_gone = |known: &discovery::Snapshot| {
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

/// The instance that `owner` has at this very place.
fn same(all: &[Leased], owner: i64, name: &ServiceName, base_url: &BaseUrl) -> Option<InstanceId> {
    let is_same = |record: Record| record.owner == owner && record.base_url == base_url.as_str();
    let same = all.iter().find(|leased| {
        leased.service == name.in_consul() && Record::from_meta(&leased.meta).is_some_and(is_same)
    })?;
    same.id.strip_prefix(PREFIX)?.parse().ok()
}

fn contains(known: &discovery::Snapshot, service: &str, id: &str) -> bool {
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
