//! How services find each other: registration with Consul, healthy instances, Consul DNS.
//!
//! [`Registry`] is the face; [`Consul`] is the real one, [`Remote`] announces by REST where there
//! is no Consul to talk to, and [`Unregistered`] stands in where something else registers (Consul's
//! injector on Kubernetes). No type of the underlying client crate appears in it, so that the crate
//! can be replaced in one file.
//!
//! Beside it Consul is read without asking it each time: [`Watch`] tells what changes, [`Catalog`]
//! keeps a copy of all that is registered.

mod agent;
mod catalog;
mod consul;
mod dns;
mod lease;
mod place;
mod remote;
mod watch;

pub use catalog::{Catalog, Health, Listed, Snapshot, View};
pub use consul::Consul;
pub use dns::Dns;
pub use lease::{Lease, Leased};
pub use place::Place;
pub use remote::Remote;
pub use watch::Watch;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use async_trait::async_trait;
use serde::Deserialize;

/// What went wrong with the registry or with DNS.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The agent did not answer in time.
    #[error("Consul did not answer within {0:?}")]
    Timeout(Duration),
    /// The agent's token does not allow this.
    #[error("Consul refused: the token may not do this")]
    Denied,
    /// Anything else the agent said, or that happened on the way to it.
    #[error("Consul: {0}")]
    Other(String),
    /// A registry reached by REST refused, and why.
    #[error("the registry refused: {0}")]
    Refused(String),
    /// A registry reached by REST did not answer, or with something that no registry says.
    #[error("the registry at {0} does not answer: {1}")]
    Away(String, String),
    /// No healthy instance is known by this name.
    #[error("no healthy instance of `{0}` in Consul DNS")]
    Unknown(String),
}

/// One instance of a service, with its sidecar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The service, for example `users`.
    pub service: String,
    /// The instance, unique on its agent, for example `users-1`.
    pub id: String,
    /// Where the application listens: a socket, so that only its sidecar reaches it, or loopback.
    pub address: Place,
    /// Where `/readyz` and `/metrics` are.
    pub admin: SocketAddr,
    /// The services it calls: for each, the socket on which its sidecar shall listen.
    pub upstreams: BTreeMap<String, PathBuf>,
    /// Whether it counts as healthy from the start; else from its first check that passes.
    pub ready: bool,
    /// What else Consul shall keep of the instance.
    pub meta: BTreeMap<String, String>,
}

/// An instance that passes its checks.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "Entry")]
pub struct Instance {
    /// The Consul service id.
    pub id: String,
    /// Address of the application, or of its sidecar, as registered.
    pub address: String,
    /// Its port; 0 where it listens on a socket.
    pub port: u16,
}

/// An instance as Consul's health endpoint writes it.
#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "Service")]
    service: EntryService,
}

#[derive(Deserialize)]
struct EntryService {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "Address")]
    address: String,
    #[serde(rename = "Port", default)]
    port: u16,
}

impl From<Entry> for Instance {
    fn from(Entry { service }: Entry) -> Self {
        Self {
            id: service.id,
            address: service.address,
            port: service.port,
        }
    }
}

/// Where instances are announced and looked up. Every call has a deadline of its own.
#[async_trait]
pub trait Registry: Send + Sync + std::fmt::Debug {
    /// Announces an instance, or replaces what was announced under its id.
    async fn register(&self, registration: &Registration) -> Result<(), Error>;
    /// Takes an instance back; one that is unknown is no error.
    async fn deregister(&self, id: &str) -> Result<(), Error>;
    /// Whether the instance is still known: an agent forgets when it loses its data.
    ///
    /// Asked every few seconds; where instances stay by heartbeats, this sends them.
    async fn is_registered(&self, id: &str) -> Result<bool, Error>;
    /// The instances of a service whose checks all pass.
    async fn healthy(&self, service: &str) -> Result<Vec<Instance>, Error>;
}

/// No registry: something else registers the instances.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unregistered;

#[async_trait]
impl Registry for Unregistered {
    async fn register(&self, _: &Registration) -> Result<(), Error> {
        Ok(())
    }
    async fn deregister(&self, _: &str) -> Result<(), Error> {
        Ok(())
    }
    async fn is_registered(&self, _: &str) -> Result<bool, Error> {
        Ok(true)
    }
    async fn healthy(&self, _: &str) -> Result<Vec<Instance>, Error> {
        Ok(Vec::new())
    }
}
