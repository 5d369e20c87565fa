//! Settings that every service has, from flags or the environment; `--help` lists them.

use std::{
    collections::BTreeMap,
    env, fs,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use discovery::Place;
use secrecy::{ExposeSecret as _, SecretString};

use crate::{socket::parse_origin, token::Scheme, upstream::Address};

/// The secret that S2 examples use; never good enough outside development.
const DEFAULT_SECRET: &str = "dev-secret-change-me";

/// Beginnings of variables that S2 services read, and the variable that says it here.
const REPLACED: [(&str, &str); 3] = [
    ("DYNAMODB_", "MONGODB_URL"),
    ("AWS_", "MONGODB_URL"),
    ("BEANSTALKD_", "AMQP_URL"),
];

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

/// The background work that a process does, of all that its service has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roles(Vec<&'static str>);

impl Roles {
    const ALL: &'static str = "all";
    const NONE: &'static str = "none";

    /// Chooses from what the service has.
    ///
    /// # Errors
    /// When a name is none of them.
    pub(crate) fn choose(has: &[&'static str], wanted: &[String]) -> anyhow::Result<Self> {
        match wanted {
            [one] if one == Self::ALL => return Ok(Self(has.to_vec())),
            [one] if one == Self::NONE => return Ok(Self(Vec::new())),
            _ => {}
        }
        let find = |name: &String| {
            let role = has.iter().find(|role| *role == name);
            role.copied().with_context(|| {
                format!("ROLES: there is no `{name}` here; write all, none, or some of {has:?}")
            })
        };
        Ok(Self(
            wanted.iter().map(find).collect::<anyhow::Result<_>>()?,
        ))
    }

    /// Whether the process does the work of this name.
    pub(crate) fn contains(&self, role: &str) -> bool {
        self.0.contains(&role)
    }
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
    /// Address of the REST and gRPC listener; port 0 lets the system choose; `unix:/path` is a socket in a folder that only this user enters [default: 127.0.0.1 and the service's own port]
    #[arg(long, env = "HTTP_ADDR")]
    pub http_addr: Option<Place>,
    /// Port of the REST and gRPC listener, instead of the one in its address
    #[arg(long, env = "PORT")]
    pub port: Option<u16>,
    /// Address of the admin listener: /livez, /readyz, /metrics
    #[arg(long, env = "ADMIN_ADDR", default_value = "127.0.0.1:0")]
    pub admin_addr: SocketAddr,
    /// Address at which the rest of the mesh reaches this instance's sidecar and admin listener, where that is not loopback
    #[arg(long, env = "ADVERTISE_ADDR")]
    pub advertise_addr: Option<IpAddr>,
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
    /// URL of a registry to announce this process at over REST, instead of Consul (S2-40)
    #[arg(long, env = "REGISTRY_URL")]
    pub registry_url: Option<String>,
    /// Bearer token for the registry
    #[arg(long, env = "REGISTRY_TOKEN", hide_env_values = true)]
    pub registry_token: Option<SecretString>,
    /// File with the Bearer token for the registry, read again each time, for tokens end
    #[arg(long, env = "REGISTRY_TOKEN_FILE")]
    pub registry_token_file: Option<PathBuf>,
    /// Folder of the Unix sockets on which the sidecar listens for calls to peers, `<peer>.sock`
    #[arg(long, env = "UPSTREAMS_DIR")]
    pub upstreams_dir: Option<PathBuf>,
    /// Background work that `serve` does beside answering: all, none, or names of roles
    #[arg(
        long,
        env = "ROLES",
        value_delimiter = ',',
        default_value = Roles::ALL
    )]
    pub roles: Vec<String>,
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
    /// Web origins whose pages may read answers of REST and polling and open sockets: `https://example.com,…`, or `*` for all; pages of the own address may anyway, and in development those of `localhost` and `127.0.0.1` with any port. The ingress reads it too
    #[arg(long, env = "ALLOWED_ORIGINS", value_delimiter = ',', value_parser = parse_origin)]
    pub allowed_origins: Vec<String>,
    /// Seconds that the headers of a request may take to arrive
    #[arg(long, env = "HEADER_TIMEOUT_SECONDS", default_value_t = 10)]
    pub header_timeout_seconds: u64,
    /// Seconds that the body of a request may take to arrive
    #[arg(long, env = "BODY_TIMEOUT_SECONDS", default_value_t = 15)]
    pub body_timeout_seconds: u64,
    /// Milliseconds that a request waits for a connection to the relational store, before it is answered 503
    #[arg(long, env = "SQL_TIMEOUT_MILLIS", default_value_t = 1000)]
    pub sql_timeout_millis: u64,
    /// Seconds that open requests get to finish at shutdown
    #[arg(long, env = "DRAIN_SECONDS", default_value_t = 10)]
    pub drain_seconds: u64,
}

impl Settings {
    /// Where the REST and gRPC listener of a service with this port of its own is bound.
    ///
    /// # Errors
    /// When a port is asked for beside a socket.
    pub(crate) fn listen(&self, own: u16) -> anyhow::Result<Place> {
        let place = self.http_addr.clone();
        let place = place.unwrap_or_else(|| ([127, 0, 0, 1], own).into());
        match (place, self.port) {
            (Place::Port(address), Some(port)) => Ok((address.ip(), port).into()),
            (Place::Socket(_), Some(_)) => {
                bail!("PORT: HTTP_ADDR is a socket, which has no port; give one of the two")
            }
            (place, None) => Ok(place),
        }
    }

    /// A listener's place as the rest of the mesh knows it.
    pub(crate) fn advertised_place(&self, listener: &Place) -> Place {
        let address = listener.port().map(|address| self.advertised(address));
        address.map_or_else(|| listener.clone(), Place::Port)
    }

    /// A listener's address as the rest of the mesh knows it.
    pub(crate) fn advertised(&self, listener: SocketAddr) -> SocketAddr {
        SocketAddr::new(
            self.advertise_addr.unwrap_or(listener.ip()),
            listener.port(),
        )
    }

    /// Variables of S2 deployments that are set and mean nothing here, with what replaces them (D20).
    pub(crate) fn replaced() -> impl Iterator<Item = (String, &'static str)> {
        env::vars_os().filter_map(|(name, _)| {
            let name = name.into_string().ok()?;
            let (_, instead) = REPLACED
                .iter()
                .find(|(prefix, _)| name.starts_with(prefix))?;
            Some((name, *instead))
        })
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
    fn s2_39_the_port_is_the_services_own_unless_something_says_another() {
        let port = |flags: &[&str]| settings(flags).listen(5100).unwrap().port().unwrap().port();
        assert_eq!(port(&[]), 5100);
        assert_eq!(port(&["--http-addr", "127.0.0.1:0"]), 0);
        assert_eq!(port(&["--port", "7"]), 7);
    }

    #[test]
    fn a_socket_has_no_port() {
        let socket = ["--http-addr", "unix:/run/users/app.sock"];
        let place = settings(&socket).listen(5100).unwrap();
        assert_eq!(place.to_string(), "unix:/run/users/app.sock");
        assert_eq!(settings(&socket).advertised_place(&place), place);
        let both = settings(&[socket[0], socket[1], "--port", "7"]).listen(5100);
        assert!(both.unwrap_err().to_string().contains("PORT"));
    }

    #[test]
    fn s0_21_an_instance_is_known_by_the_address_it_advertises() {
        let listener = SocketAddr::from(([127, 0, 0, 1], 9));
        assert_eq!(settings(&[]).advertised(listener), listener);
        let elsewhere = settings(&["--advertise-addr", "10.1.2.3"]).advertised(listener);
        assert_eq!(elsewhere, SocketAddr::from(([10, 1, 2, 3], 9)));
    }

    #[test]
    fn s2_35_roles_are_all_none_or_some() {
        let has = ["validation", "notification"];
        let roles = |flags: &[&str]| Roles::choose(&has, &settings(flags).roles);
        assert_eq!(roles(&[]).unwrap(), Roles(has.to_vec()));
        assert!(
            !roles(&["--roles", "none"])
                .unwrap()
                .contains("notification")
        );
        let one = roles(&["--roles", "notification"]).unwrap();
        assert!(one.contains("notification") && !one.contains("validation"));
        assert!(roles(&["--roles", "cleaning"]).is_err());
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
