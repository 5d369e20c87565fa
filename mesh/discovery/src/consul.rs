//! [`Registry`] over a Consul agent: `consulrs` where it is sound, own calls for what it lacks.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use async_trait::async_trait;
use consulrs::{
    api::{
        check::common::AgentServiceCheck,
        connect::common::Upstream,
        service::{
            common::{AgentServiceConnect, AgentServiceConnectProxy, AgentServiceRegistration},
            requests::RegisterServiceRequest,
        },
    },
    client::{ConsulClient, ConsulClientSettingsBuilder},
    error::ClientError,
};
use serde_json::{Value, json};

use crate::{
    Catalog, Error, Instance, Lease, Leased, Registration, Registry, Watch,
    agent::{Agent, DEADLINE},
    catalog, lease,
};

/// What an instance's admin port is registered as: Prometheus and the autoscaler look there.
pub(crate) const ADMIN_PORT: &str = "admin_port";

/// A Consul agent.
pub struct Consul {
    client: ConsulClient,
    agent: Agent,
}

impl std::fmt::Debug for Consul {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Consul")
            .field("agent", &self.agent)
            .finish_non_exhaustive()
    }
}

impl Consul {
    /// A client of the agent at `address` (`http://127.0.0.1:8500`) with an ACL token.
    ///
    /// # Errors
    /// When the address or the token cannot be sent in a request at all.
    pub fn new(address: &str, token: Option<&str>) -> Result<Self, Error> {
        let agent = Agent::new(address, token)?;
        let mut settings = ConsulClientSettingsBuilder::default();
        settings
            .address(agent.address())
            .ca_certs(Vec::new())
            .verify(true);
        // An empty token keeps the crate from reading one out of the environment itself.
        settings.token(agent.token().unwrap_or_default());
        let settings = settings
            .build()
            .map_err(|error| Error::Other(error.to_string()))?;
        let client = ConsulClient::new(settings).map_err(|error| translate(&error))?;
        Ok(Self { client, agent })
    }

    /// The instances of a service whose checks all pass, again whenever that changes.
    pub fn watch(&self, service: &str) -> Watch<Vec<Instance>> {
        Watch::new(self.agent.clone(), healthy(service))
    }

    /// A copy of everything that is registered, which work behind it keeps current.
    pub fn catalog(&self) -> (Catalog, impl Future<Output = ()> + Send + 'static + use<>) {
        catalog::follow(self.agent.clone())
    }

    /// Announces an instance that stays by heartbeats, or replaces what was announced under its id.
    ///
    /// # Errors
    /// [`Error::Denied`] when the token may not write a service of this name.
    pub async fn lease(&self, lease: &Lease) -> Result<(), Error> {
        lease::register(&self.agent, lease).await
    }

    /// A heartbeat, with a word that [`Consul::leases`] shows until the next one.
    ///
    /// # Errors
    /// When the agent does not answer or does not allow it. That it does not know the instance is `false`.
    pub async fn renew(&self, id: &str, note: &str) -> Result<bool, Error> {
        lease::renew(&self.agent, id, note).await
    }

    /// What was announced with the instance of this id, if there is one.
    ///
    /// # Errors
    /// When the agent does not answer.
    pub async fn leased(&self, id: &str) -> Result<Option<BTreeMap<String, String>>, Error> {
        lease::meta(&self.agent, id).await
    }

    /// The instances with heartbeats whose services' names begin with `prefix`, as the agent itself knows them.
    ///
    /// # Errors
    /// When the agent does not answer.
    pub async fn leases(&self, prefix: &str) -> Result<Vec<Leased>, Error> {
        lease::list(&self.agent, prefix).await
    }
}

#[async_trait]
impl Registry for Consul {
    async fn register(&self, registration: &Registration) -> Result<(), Error> {
        let path = "agent/service/register";
        if self.agent.put(path, &describe(registration)?).await? {
            Ok(())
        } else {
            Err(Error::Other(format!("status 404 for {path}")))
        }
    }

    async fn deregister(&self, id: &str) -> Result<(), Error> {
        match within(consulrs::service::deregister(&self.client, id, None)).await {
            Err(Error::Other(text)) if text.contains("404") => Ok(()),
            other => other,
        }
    }

    async fn is_registered(&self, id: &str) -> Result<bool, Error> {
        // Not the crate's `health_by_id`: it takes the 503 of a critical instance for a failure.
        let services: HashMap<String, serde::de::IgnoredAny> =
            self.agent.get("agent/services").await?;
        Ok(services.contains_key(id))
    }

    async fn healthy(&self, service: &str) -> Result<Vec<Instance>, Error> {
        self.agent.get(&healthy(service)).await
    }
}

fn healthy(service: &str) -> String {
    format!("health/service/{service}?passing=true")
}

/// The application, its readiness check and its sidecar with one listener an upstream, as the agent takes them.
fn describe(registration: &Registration) -> Result<Value, Error> {
    let mut request = RegisterServiceRequest::builder();
    let mut meta: HashMap<_, _> = registration.meta.clone().into_iter().collect();
    meta.insert(ADMIN_PORT.into(), registration.admin.port().to_string());
    request
        .id(&registration.id)
        .name(&registration.service)
        .address(host(registration))
        .meta(meta)
        .check(readiness(registration))
        .connect(AgentServiceConnect {
            native: None,
            sidecar_service: Some(sidecar(registration)),
        });
    if let Some(address) = registration.address.port() {
        request.port(u64::from(address.port()));
    }
    let request = request.build().map_err(other)?;
    let mut body = serde_json::to_value(request).map_err(other)?;
    // Among what is not said are members that Consul does not know, and refuses.
    if let Value::Object(members) = &mut body {
        members.retain(|_, value| !value.is_null());
    }
    if let Some(path) = registration.address.socket() {
        // The crate has it for a sidecar alone.
        body["SocketPath"] = json!(path);
    }
    Ok(body)
}

fn other(error: impl std::fmt::Display) -> Error {
    Error::Other(error.to_string())
}

/// The application's own word.
fn readiness(registration: &Registration) -> AgentServiceCheck {
    AgentServiceCheck {
        name: Some("ready".into()),
        http: Some(format!("http://{}/readyz", registration.admin)),
        interval: Some("2s".into()),
        timeout: Some("1s".into()),
        // One late answer of a busy store is no reason to take an only instance away; as Kubernetes
        // counts by default. Who was killed is noticed by those who call it, at once.
        failures_before_critical: Some(3),
        // An instance that is ready when it says so need not wait for a first check.
        status: Some(
            if registration.ready {
                "passing"
            } else {
                "critical"
            }
            .into(),
        ),
        deregister_critical_service_after: Some("10m".into()),
        ..AgentServiceCheck::default()
    }
}

/// The Envoy beside it.
fn sidecar(registration: &Registration) -> AgentServiceRegistration {
    let upstreams = registration
        .upstreams
        .iter()
        .map(|(peer, socket)| Upstream {
            destination_name: Some(peer.clone()),
            local_bind_socket_path: Some(display(socket)),
            local_bind_socket_mode: Some("0600".into()),
            ..Upstream::default()
        });
    AgentServiceRegistration {
        address: Some(host(registration)),
        // As healthy as its application. Consul's own default also tries the sidecar's port, but only every ten seconds: that
        // is how long every start would take.
        checks: Some(vec![AgentServiceCheck {
            name: Some("application".into()),
            alias_service: Some(registration.id.clone()),
            ..AgentServiceCheck::default()
        }]),
        proxy: Some(AgentServiceConnectProxy {
            // The service's own protocol is `http`, because the API gateway routes to no other. Between
            // sidecars it is HTTP/2 all the same: gRPC needs it, and the local cluster follows the caller.
            config: Some(HashMap::from([("protocol".into(), "http2".into())])),
            upstreams: Some(upstreams.collect()),
            local_service_socket_path: registration.address.socket().map(display),
            ..Default::default()
        }),
        ..AgentServiceRegistration::default()
    }
}

/// Where the sidecar and the admin listener are: a socket itself is on no address.
fn host(registration: &Registration) -> String {
    let listener = registration.address.port().unwrap_or(registration.admin);
    listener.ip().to_string()
}

fn display(path: &Path) -> String {
    path.display().to_string()
}

/// Awaits a call of the crate, which has no deadline of its own.
async fn within<T>(call: impl Future<Output = Result<T, ClientError>>) -> Result<(), Error> {
    match tokio::time::timeout(DEADLINE, call).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(translate(&error)),
        Err(_) => Err(Error::Timeout(DEADLINE)),
    }
}

fn translate(error: &ClientError) -> Error {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        // What does not fit would be said back.
        if cause.is::<serde_json::Error>() {
            text += ": it is not JSON of the shape that is known";
            break;
        }
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    match error {
        ClientError::APIError { code: 403, .. } => Error::Denied,
        ClientError::APIError {
            message: Some(message),
            ..
        } => Error::Other(format!("{text}: {message}")),
        _ if text.contains("403") => Error::Denied,
        _ => Error::Other(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_with_a_line_break_is_trimmed_and_one_with_blanks_refused() {
        let consul = Consul::new("http://127.0.0.1:8500/", Some("0b7b\n")).unwrap();
        assert_eq!(consul.agent.token(), Some("0b7b"));
        assert!(Consul::new("http://127.0.0.1:8500", Some("a b")).is_err());
    }

    #[tokio::test]
    async fn an_agent_that_hangs_costs_the_deadline_and_no_more() {
        let hung = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let consul = Consul::new(&format!("http://{}", hung.local_addr().unwrap()), None).unwrap();
        let registration = Registration {
            service: "users".into(),
            id: "users-1".into(),
            address: ([127, 0, 0, 1], 1).into(),
            admin: ([127, 0, 0, 1], 2).into(),
            upstreams: [].into(),
            ready: true,
            meta: [].into(),
        };
        assert!(matches!(
            consul.register(&registration).await,
            Err(Error::Timeout(_))
        ));
        assert!(matches!(
            consul.is_registered("users-1").await,
            Err(Error::Timeout(_))
        ));
    }
}
