//! `registry` is a face over Consul (S2-05 to S2-13, D16): it shows what the mesh has registered there itself, and lets
//! others announce instances of their own, which stay as long as their heartbeats come.
//!
//! It stores nothing. What others announce are Consul services with a TTL check and the prefix `ext-`, which its ACL token
//! may write and nothing else; what it shows comes from a copy of the catalog that blocking queries keep current.

mod bounds;
mod directory;
mod external;
mod http;
pub mod model;

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use chassis::{Call, Context, Error, Route, Service};
use discovery::Catalog;

use crate::{bounds::Bounds, directory::Directory, external::Externals, model::Terms};

/// Settings of this service alone.
#[derive(Debug, Clone, clap::Args)]
pub struct Settings {
    /// Seconds without a heartbeat after which an instance is critical
    #[arg(long, env = "REGISTRY_TTL_SECONDS", default_value_t = 30.0)]
    pub ttl_seconds: f64,
    /// Seconds without a heartbeat after which an instance is gone
    #[arg(long, env = "REGISTRY_EXPIRY_SECONDS", default_value_t = 90.0)]
    pub expiry_seconds: f64,
    /// Instances that one person may have
    #[arg(long, env = "REGISTRY_MAX_PER_OWNER", default_value_t = 20)]
    pub max_per_owner: usize,
    /// Instances that may be registered from one network
    #[arg(long, env = "REGISTRY_MAX_PER_NETWORK", default_value_t = 200)]
    pub max_per_network: usize,
    /// Instances that one name may have
    #[arg(long, env = "REGISTRY_MAX_PER_NAME", default_value_t = 200)]
    pub max_per_name: usize,
    /// Instances that all may have together
    #[arg(long, env = "REGISTRY_MAX_INSTANCES", default_value_t = 1000)]
    pub max_instances: usize,
}

impl Settings {
    fn terms(&self) -> anyhow::Result<Terms> {
        let seconds = |seconds| Duration::try_from_secs_f64(seconds).context("not a time");
        let ttl = seconds(self.ttl_seconds).context("REGISTRY_TTL_SECONDS")?;
        let expiry = seconds(self.expiry_seconds).context("REGISTRY_EXPIRY_SECONDS")?;
        ensure!(
            ttl >= Duration::from_millis(100) && ttl < expiry,
            "REGISTRY_TTL_SECONDS must be 0.1 at least, and less than REGISTRY_EXPIRY_SECONDS"
        );
        Ok(Terms { ttl, expiry })
    }
}

/// The service.
#[derive(Debug)]
pub struct Registry {
    catalog: Catalog,
    externals: Arc<Externals>,
}

impl Registry {
    fn directory(&self) -> Result<Directory, Error> {
        let last_heartbeat = |id: &str| self.externals.last_heartbeat(id);
        Directory::new(self.catalog.view(), last_heartbeat)
    }
}

impl Service for Registry {
    const NAME: &'static str = "registry";
    const DESCRIPTION: &'static str = "Who runs where: a face over Consul";
    const PORT: u16 = 8006;
    type Settings = Settings;

    fn routes() -> Vec<Route<Self>> {
        http::routes()
    }

    fn calls() -> Vec<Call> {
        Vec::new()
    }

    async fn build(settings: Settings, context: &Context) -> anyhow::Result<Self> {
        let terms = settings.terms()?;
        let bounds = Bounds {
            of_owner: settings.max_per_owner,
            of_network: settings.max_per_network,
            of_name: settings.max_per_name,
            in_all: settings.max_instances,
        };
        let consul = context.consul()?;
        let (catalog, current) = consul.catalog();
        context.spawn(current);
        let externals = Arc::new(Externals::new(consul, catalog.clone(), terms, bounds));
        context.spawn(Arc::clone(&externals).sweep());
        Ok(Self { catalog, externals })
    }

    /// Once Consul has answered this can always answer: with what it knew when Consul went away.
    async fn ready(&self) -> Result<(), Error> {
        let known = self.catalog.view().snapshot;
        known.map(drop).ok_or_else(directory::unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s2_74_the_registry_listens_on_8006_and_its_times_must_fit() {
        assert_eq!(Registry::PORT, 8006);
        let settings = |ttl_seconds, expiry_seconds| Settings {
            ttl_seconds,
            expiry_seconds,
            max_per_owner: 1,
            max_per_network: 1,
            max_per_name: 1,
            max_instances: 1,
        };
        assert!(settings(30.0, 90.0).terms().is_ok());
        for (ttl, expiry) in [(0.0, 90.0), (90.0, 90.0), (-1.0, 90.0), (30.0, f64::NAN)] {
            assert!(settings(ttl, expiry).terms().is_err(), "{ttl} {expiry}");
        }
    }
}
