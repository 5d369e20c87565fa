//! Consul DNS: where infrastructure (stores, broker, collector) is found by name.

use std::{net::SocketAddr, time::Duration};

use hickory_resolver::{
    TokioResolver,
    config::{NameServerConfig, ResolverConfig},
    net::runtime::TokioRuntimeProvider,
    proto::rr::{RData, rdata::SRV},
};

use crate::Error;

/// Names that Consul answers for end like this.
const ZONE: &str = ".service.consul";

/// A resolver that asks Consul alone.
#[derive(Clone)]
pub struct Dns {
    resolver: TokioResolver,
}

impl std::fmt::Debug for Dns {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Dns")
    }
}

impl Dns {
    /// Asks the Consul agent whose DNS listens at `address`.
    ///
    /// # Errors
    /// When the resolver cannot be set up.
    pub fn new(address: SocketAddr) -> Result<Self, Error> {
        let mut server = NameServerConfig::udp_and_tcp(address.ip());
        for connection in &mut server.connections {
            connection.port = address.port();
        }
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        let mut builder =
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        let options = builder.options_mut();
        options.timeout = Duration::from_secs(1);
        options.attempts = 2;
        // Instances come and go; Consul answers from memory, so nothing is gained by a cache.
        options.cache_size = 0;
        let resolver = builder
            .build()
            .map_err(|error| Error::Other(error.to_string()))?;
        Ok(Self { resolver })
    }

    /// The address of a healthy instance of `name` (`redis.service.consul`), by SRV and A.
    ///
    /// # Errors
    /// [`Error::Unknown`] when no instance is healthy, none has a port, or DNS does not answer.
    pub async fn locate(&self, name: &str) -> Result<SocketAddr, Error> {
        let unknown = || Error::Unknown(name.to_owned());
        let fqdn = format!("{}.", name.trim_end_matches('.'));
        let answer = self
            .resolver
            .srv_lookup(fqdn.as_str())
            .await
            .map_err(|_| unknown())?;
        let service: SRV = answer
            .answers()
            .iter()
            .find_map(|record| match &record.data {
                RData::SRV(service) => Some(service.clone()),
                _ => None,
            })
            .ok_or_else(unknown)?;
        let hosts = self
            .resolver
            .lookup_ip(service.target.to_utf8())
            .await
            .map_err(|_| unknown())?;
        let host = hosts.iter().next().ok_or_else(unknown)?;
        // What listens on a socket is registered without a port, and DNS leads nowhere.
        if service.port == 0 {
            return Err(unknown());
        }
        Ok(SocketAddr::new(host, service.port))
    }

    /// `url` with a host of Consul's zone replaced by the address and port it has now.
    ///
    /// A URL with any other host comes back as it is.
    ///
    /// # Errors
    /// As [`Dns::locate`].
    pub async fn resolve_url(&self, url: &str) -> Result<String, Error> {
        match consul_host(url) {
            None => Ok(url.to_owned()),
            Some(host) => Ok(url.replacen(host, &self.locate(host).await?.to_string(), 1)),
        }
    }
}

/// The host of `url` if it is one of Consul's zone, without a port.
fn consul_host(url: &str) -> Option<&str> {
    let authority = url.split_once("://")?.1.split(['/', '?']).next()?;
    let host = authority.rsplit('@').next()?;
    host.ends_with(ZONE).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_of_consuls_zone_are_looked_up() {
        assert_eq!(
            consul_host("redis://redis.service.consul/0"),
            Some("redis.service.consul")
        );
        assert_eq!(
            consul_host("mongodb://a:b@documents.service.consul/?x=y"),
            Some("documents.service.consul")
        );
        assert_eq!(consul_host("redis://127.0.0.1:6379/0"), None);
        assert_eq!(
            consul_host("sqlite:///data/x.service.consul/users.db"),
            None
        );
    }
}
