//! How services find each other: registration with Consul, healthy instances, Consul DNS.
//!
//! [`Registry`] is the face; [`Consul`] is the real one and [`Unregistered`] stands in where
//! something else registers (Consul's injector on Kubernetes). No type of the underlying
//! client crate appears in it, so that the crate can be replaced in one file.

mod consul;
mod dns;

pub use consul::Consul;
pub use dns::Dns;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use async_trait::async_trait;

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
    /// Where the application listens; loopback, so that only its sidecar reaches it.
    pub address: SocketAddr,
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// The Consul service id.
    pub id: String,
    /// Address of the application, or of its sidecar, as registered.
    pub address: String,
    /// Its port.
    pub port: u16,
}

/// Where instances are announced and looked up. Every call has a deadline of its own.
#[async_trait]
pub trait Registry: Send + Sync + std::fmt::Debug {
    /// Announces an instance, or replaces what was announced under its id.
    async fn register(&self, registration: &Registration) -> Result<(), Error>;
    /// Takes an instance back; one that is unknown is no error.
    async fn deregister(&self, id: &str) -> Result<(), Error>;
    /// Whether the agent still knows the instance (it forgets when it loses its data).
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
