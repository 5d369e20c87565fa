//! Settings that every service has, from flags or the environment; `--help` lists them.

use std::{collections::BTreeMap, fs, net::SocketAddr, path::PathBuf};

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use secrecy::{ExposeSecret as _, SecretString};

use crate::{token::Scheme, upstream::Address};

/// The secret that S2 examples use; never good enough outside development.
const DEFAULT_SECRET: &str = "dev-secret-change-me";

/// Where the process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Environment {
    /// Default secrets are fine.
    Development,
    /// Anything else: default secrets stop the start.
    Production,
}

/// How tokens are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Algorithm {
    /// Ed25519, with keys that `users` makes and rotates.
    #[value(name = "EdDSA")]
    EdDsa,
    /// The one secret `JWT_SECRET`, for S2 deployments.
    #[value(name = "HS256")]
    Hs256,
}

/// Whether the process announces itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Registration {
    /// With Consul, at start.
    On,
    /// Something else does (the injector on Kubernetes).
    Off,
}

/// The settings shared by all services.
// The group has a name of its own, so that each service can call its settings `Settings` too.
#[derive(Debug, Clone, clap::Args)]
#[group(id = "chassis")]
pub struct Settings {
    /// Where this runs; `production` refuses default secrets
    #[arg(
        long,
        env = "PLAZA_ENV",
        value_enum,
        ignore_case = true,
        default_value = "development"
    )]
    pub plaza_env: Environment,
    /// Consul service id of this instance [default: the service's name and -1]
    #[arg(long, env = "PLAZA_INSTANCE")]
    pub instance: Option<String>,
    /// Address of the REST and gRPC listener; port 0 lets the system choose
    #[arg(long, env = "HTTP_ADDR", default_value = "127.0.0.1:0")]
    pub http_addr: SocketAddr,
    /// Port of the REST and gRPC listener, instead of the one in its address
    #[arg(long, env = "PORT")]
    pub port: Option<u16>,
    /// Address of the admin listener: /livez, /readyz, /metrics
    #[arg(long, env = "ADMIN_ADDR", default_value = "127.0.0.1:0")]
    pub admin_addr: SocketAddr,
    /// URL of the Consul agent
    #[arg(
        long,
        env = "CONSUL_HTTP_ADDR",
        default_value = "http://127.0.0.1:8500"
    )]
    pub consul_http_addr: String,
    /// ACL token of this service
    #[arg(long, env = "CONSUL_HTTP_TOKEN", hide_env_values = true)]
    pub consul_http_token: Option<SecretString>,
    /// File with the ACL token of this service
    #[arg(long, env = "CONSUL_HTTP_TOKEN_FILE")]
    pub consul_http_token_file: Option<PathBuf>,
    /// Address of Consul DNS
    #[arg(long, env = "CONSUL_DNS_ADDR", default_value = "127.0.0.1:8600")]
    pub consul_dns_addr: SocketAddr,
    /// Whether this process registers itself with Consul
    #[arg(
        long,
        env = "PLAZA_REGISTRATION",
        value_enum,
        ignore_case = true,
        default_value = "on"
    )]
    pub registration: Registration,
    /// Folder of the Unix sockets on which the sidecar listens for calls to peers, `<peer>.sock`
    #[arg(long, env = "UPSTREAMS_DIR")]
    pub upstreams_dir: Option<PathBuf>,
    /// Peers reached by URL instead of a socket: `users=http://127.0.0.1:9001,…`; the last one counts
    #[arg(long, env = "UPSTREAM_URLS", value_delimiter = ',', value_parser = peer_url)]
    pub upstream_urls: Vec<(String, String)>,
    /// OTLP/gRPC endpoint for traces; none switches them off
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    pub otlp_endpoint: Option<String>,
    /// Log filter
    #[arg(long, env = "RUST_LOG", default_value = "info")]
    pub rust_log: String,
    /// Folder for SQLite files
    #[arg(long, env = "DATA_DIR", default_value = "data")]
    pub data_dir: PathBuf,
    /// Signature of tokens
    #[arg(
        long,
        env = "JWT_ALG",
        value_enum,
        ignore_case = true,
        default_value = "EdDSA"
    )]
    pub jwt_alg: Algorithm,
    /// Secret of HS256 tokens
    #[arg(long, env = "JWT_SECRET", hide_env_values = true, default_value = DEFAULT_SECRET, hide_default_value = true)]
    pub jwt_secret: SecretString,
    /// Requests handled at once, before more are answered 503
    #[arg(long, env = "MAX_IN_FLIGHT", default_value_t = 512)]
    pub max_in_flight: usize,
    /// Connections open at once, before more have to wait
    #[arg(long, env = "MAX_CONNECTIONS", default_value_t = 2048)]
    pub max_connections: usize,
    /// Seconds that the headers of a request may take to arrive
    #[arg(long, env = "HEADER_TIMEOUT_SECONDS", default_value_t = 10)]
    pub header_timeout_seconds: u64,
    /// Seconds that the body of a request may take to arrive
    #[arg(long, env = "BODY_TIMEOUT_SECONDS", default_value_t = 15)]
    pub body_timeout_seconds: u64,
    /// Seconds that open requests get to finish at shutdown
    #[arg(long, env = "DRAIN_SECONDS", default_value_t = 10)]
    pub drain_seconds: u64,
}

impl Settings {
    /// Where the REST and gRPC listener is bound.
    pub(crate) fn listen(&self) -> SocketAddr {
        SocketAddr::new(
            self.http_addr.ip(),
            self.port.unwrap_or(self.http_addr.port()),
        )
    }

    /// The ACL token, from the variable or the file.
    pub(crate) fn consul_token(&self) -> anyhow::Result<Option<String>> {
        match (&self.consul_http_token, &self.consul_http_token_file) {
            (Some(token), _) => Ok(Some(token.expose_secret().to_owned())),
            (None, Some(file)) => {
                let token = fs::read_to_string(file);
                Ok(Some(token.with_context(|| {
                    format!("CONSUL_HTTP_TOKEN_FILE: cannot read {}", file.display())
                })?))
            }
            (None, None) => Ok(None),
        }
    }

    /// How tokens are signed.
    ///
    /// # Errors
    /// When the default secret would be used outside development.
    pub fn scheme(&self) -> anyhow::Result<Scheme> {
        if self.jwt_alg == Algorithm::EdDsa {
            return Ok(Scheme::EdDsa);
        }
        let default = self.jwt_secret.expose_secret() == DEFAULT_SECRET;
        if default && self.plaza_env != Environment::Development {
            bail!(
                "JWT_SECRET is the default one: set a secret of your own, or PLAZA_ENV=development"
            );
        }
        Ok(Scheme::Hs256(self.jwt_secret.clone()))
    }

    /// Where `peer` is reached, if that is known.
    pub(crate) fn upstream(&self, peer: &str) -> Option<Address> {
        let url = self
            .upstream_urls
            .iter()
            .rfind(|(name, _)| name == peer)
            .map(|(_, url)| Address::Url(url.clone()));
        url.or_else(|| self.socket(peer).map(Address::Socket))
    }

    /// The sockets that the sidecar shall listen on.
    pub(crate) fn sockets<'a>(
        &self,
        peers: impl Iterator<Item = &'a str>,
    ) -> BTreeMap<String, PathBuf> {
        peers
            .filter_map(|peer| Some((peer.to_owned(), self.socket(peer)?)))
            .collect()
    }

    fn socket(&self, peer: &str) -> Option<PathBuf> {
        self.upstreams_dir
            .as_ref()
            .map(|folder| folder.join(format!("{peer}.sock")))
    }
}

fn peer_url(text: &str) -> Result<(String, String), String> {
    let (peer, url) = text.split_once('=').ok_or("write <peer>=<url>")?;
    Ok((peer.trim().to_owned(), url.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        settings: Settings,
    }

    fn settings(flags: &[&str]) -> Settings {
        Cli::parse_from(["test"].iter().chain(flags)).settings
    }

    #[test]
    fn d2_the_default_secret_stops_the_start_outside_development() {
        assert!(settings(&["--jwt-alg", "HS256"]).scheme().is_ok());
        assert!(
            settings(&["--jwt-alg", "HS256", "--plaza-env", "production"])
                .scheme()
                .is_err()
        );
        let own = [
            "--jwt-alg",
            "HS256",
            "--plaza-env",
            "production",
            "--jwt-secret",
            "one of our own",
        ];
        assert!(settings(&own).scheme().is_ok());
    }

    #[test]
    fn secrets_are_not_printed() {
        let settings = settings(&["--jwt-secret", "canary", "--consul-http-token", "canary"]);
        assert!(!format!("{settings:?}").contains("canary"));
    }

    #[test]
    fn a_url_wins_over_the_socket() {
        let settings = settings(&[
            "--upstreams-dir",
            "/run/x",
            "--upstream-urls",
            "users=http://127.0.0.1:1",
        ]);
        assert_eq!(
            settings.upstream("users"),
            Some(Address::Url("http://127.0.0.1:1".into()))
        );
        assert_eq!(
            settings.upstream("likes"),
            Some(Address::Socket("/run/x/likes.sock".into()))
        );
    }
}
