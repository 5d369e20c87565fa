//! The REST face, twice: by its own paths on the listener `registry`, and below `/registry` on the public one (D15).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chassis::{Answer, Auth, Code, Error, Request, Route, clock, docs};
use http::{HeaderName, HeaderValue, Method};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    Registry,
    directory::{Instance, Registered},
    external::{External, Registration},
    model::InstanceId,
};

/// The ingress listener of the literal paths.
const LISTENER: &str = "registry";
/// What comes before the public paths.
const PREFIX: &str = "/registry";
/// Says how many seconds old an answer is that Consul cannot confirm at the moment.
const STALE: HeaderName = HeaderName::from_static("x-registry-stale");

type Answered<T> = Result<Answer<T>, Error>;

/// The routes below a prefix.
macro_rules! face {
    ($root:literal, $prefix:literal) => {
        [
            Route::get($root, info)
                .id("getRegistry")
                .summary("Says what this registry is and how long instances stay"),
            Route::get(concat!($prefix, "/health"), health)
                .tells(
                    "X-Registry-Stale",
                    "Seconds since Consul confirmed this, where it does not now",
                )
                .id("getRegistryHealth")
                .summary("Says whether the registry reaches Consul"),
            Route::get(concat!($prefix, "/status"), status)
                .tells(
                    "X-Registry-Stale",
                    "Seconds since Consul confirmed this, where it does not now",
                )
                .id("getRegistryStatus")
                .summary("Counts services and instances"),
            Route::get(concat!($prefix, "/services"), services)
                .tells(
                    "X-Registry-Stale",
                    "Seconds since Consul confirmed this, where it does not now",
                )
                .id("listServices")
                .summary("Lists all services with their instances, those of the mesh included"),
            Route::get(concat!($prefix, "/services/{service_name}"), service)
                .tells(
                    "X-Registry-Stale",
                    "Seconds since Consul confirmed this, where it does not now",
                )
                .id("getService")
                .summary("Lists the instances of a service"),
            Route::post(concat!($prefix, "/register"), register)
                .id("registerInstance")
                .summary("Registers an instance, which then stays by heartbeats")
                .fails(&[Code::Conflict]),
            Route::without_body(
                Method::POST,
                concat!($prefix, "/heartbeat/{instance_id}"),
                heartbeat,
            )
            .id("sendHeartbeat")
            .summary("Keeps an own instance alive")
            .auth(Auth::Required)
            .fails(&[Code::Forbidden]),
            Route::delete(concat!($prefix, "/deregister/{instance_id}"), deregister)
                .id("deregisterInstance")
                .summary("Takes an own instance back")
                .fails(&[Code::Forbidden]),
        ]
    };
}

pub(crate) fn routes() -> Vec<Route<Registry>> {
    let literal = face!("/", "").map(|route| route.listener(LISTENER));
    let public = face!("/registry", "/registry");
    let docs = docs::routes("registry", document).into_iter();
    let docs = docs.map(|route| route.listener(LISTENER));
    literal.into_iter().chain(public).chain(docs).collect()
}

/// The document as the literal paths have it (S2-64): what is tried out there goes there.
fn document() -> Value {
    let mut document = chassis::describe::<Registry>()["openapi"].take();
    if let Some(paths) = document["paths"].as_object_mut() {
        let literal = |path: String| match path.strip_prefix(PREFIX) {
            Some("") => "/".to_owned(),
            Some(rest) => rest.to_owned(),
            None => path,
        };
        *paths = std::mem::take(paths)
            .into_iter()
            .map(|(path, operations)| (literal(path), operations))
            .collect();
    }
    document
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "RegistryInfo")]
struct InfoResponse {
    service: &'static str,
    description: &'static str,
    version: &'static str,
    heartbeat_seconds: f64,
    critical_after_seconds: f64,
    gone_after_seconds: f64,
    endpoints: Vec<&'static str>,
}

/// S2-05
async fn info(registry: Arc<Registry>, _: Request) -> Answered<InfoResponse> {
    let terms = registry.externals.terms();
    Ok(InfoResponse {
        service: "registry",
        description: "Service registry: services of the mesh and registered instances, over Consul",
        version: env!("CARGO_PKG_VERSION"),
        heartbeat_seconds: terms.heartbeat().as_secs_f64(),
        critical_after_seconds: terms.ttl.as_secs_f64(),
        gone_after_seconds: terms.expiry.as_secs_f64(),
        endpoints: vec![
            "GET /",
            "GET /health",
            "GET /status",
            "GET /services",
            "GET /services/{service_name}",
            "POST /register",
            "POST /heartbeat/{instance_id}",
            "DELETE /deregister/{instance_id}",
        ],
    }
    .into())
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "RegistryHealth")]
struct HealthResponse {
    status: &'static str,
    consul: &'static str,
}

/// S2-06: an answer as long as anything can be answered.
async fn health(registry: Arc<Registry>, _: Request) -> Answered<HealthResponse> {
    let directory = registry.directory()?;
    let (status, consul) = match directory.stale {
        None => ("ok", "connected"),
        Some(_) => ("degraded", "unreachable"),
    };
    Ok(dated(HealthResponse { status, consul }, directory.stale))
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "RegistryStatus")]
struct StatusResponse {
    status: &'static str,
    total_services: usize,
    total_instances: usize,
    services: BTreeMap<String, usize>,
}

/// S2-07
async fn status(registry: Arc<Registry>, _: Request) -> Answered<StatusResponse> {
    let directory = registry.directory()?;
    let response = StatusResponse {
        status: if directory.stale.is_some() {
            "stale"
        } else {
            "ok"
        },
        total_services: directory.services.len(),
        total_instances: directory.instances(),
        services: directory
            .services
            .iter()
            .map(|(name, instances)| (name.clone(), instances.len()))
            .collect(),
    };
    Ok(dated(response, directory.stale))
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "RegisteredService")]
struct ServiceResponse {
    service_name: String,
    instances: Vec<InstanceResponse>,
    count: usize,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "RegisteredInstance")]
struct InstanceResponse {
    instance_id: String,
    service_name: String,
    base_url: String,
    address: String,
    port: u16,
    /// `passing`, `warning` or `critical`
    health: &'static str,
    /// `mesh`, or `external` for one that was registered here
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    registered_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    last_heartbeat: Option<String>,
}

impl ServiceResponse {
    fn new(name: &str, instances: &[Instance]) -> Self {
        Self {
            service_name: name.to_owned(),
            count: instances.len(),
            instances: instances
                .iter()
                .map(|instance| InstanceResponse::new(name, instance))
                .collect(),
        }
    }
}

impl InstanceResponse {
    fn new(name: &str, instance: &Instance) -> Self {
        let times = instance.registered.as_ref().map(Registered::texts);
        let kind = if times.is_some() { "external" } else { "mesh" };
        let (registered_at, last_heartbeat) = times.unzip();
        Self {
            instance_id: instance.id.clone(),
            service_name: name.to_owned(),
            base_url: instance.base_url.clone(),
            address: instance.address.clone(),
            port: instance.port,
            health: instance.health.as_str(),
            kind,
            registered_at,
            last_heartbeat,
        }
    }
}

/// S2-08
async fn services(
    registry: Arc<Registry>,
    _: Request,
) -> Answered<BTreeMap<String, ServiceResponse>> {
    let directory = registry.directory()?;
    let services = directory
        .services
        .iter()
        .map(|(name, instances)| (name.clone(), ServiceResponse::new(name, instances)))
        .collect();
    Ok(dated(services, directory.stale))
}

/// S2-09
async fn service(registry: Arc<Registry>, request: Request) -> Answered<ServiceResponse> {
    let name: String = request.param("service_name")?;
    let directory = registry.directory()?;
    let instances = directory
        .services
        .get(&name)
        .ok_or_else(|| Error::not_found("No instance of this service is registered"))?;
    Ok(dated(
        ServiceResponse::new(&name, instances),
        directory.stale,
    ))
}

/// An answer that says how old it is, if Consul cannot confirm it.
fn dated<T: Serialize + ToSchema + Send>(body: T, stale: Option<Duration>) -> Answer<T> {
    let answer = Answer::from(body);
    match stale {
        None => answer,
        Some(stale) => answer.header(STALE, HeaderValue::from(stale.as_secs().max(1))),
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(title = "InstanceRegistration")]
#[schema(examples(json!({ "service_name": "car-club", "base_url": "http://127.0.0.1:9000" })))]
struct RegisterRequest {
    /// 1 to 50 of a-z, 0-9 and -
    #[schema(min_length = 1, max_length = 50, pattern = "^[a-z0-9-]*$")]
    service_name: String,
    /// `http://<host>[:<port>][/<path>]`, or https
    #[schema(format = "uri", pattern = "^https?://.*$")]
    base_url: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "OwnInstance")]
struct RegisterResponse {
    instance_id: String,
    service_name: String,
    base_url: String,
    #[schema(format = DateTime)]
    registered_at: String,
    #[schema(format = DateTime)]
    last_heartbeat: String,
}

/// S2-10
async fn register(
    registry: Arc<Registry>,
    request: Request,
    body: RegisterRequest,
) -> Answered<RegisterResponse> {
    let owner = request.caller()?.user_id;
    let name = body.service_name.parse().map_err(Error::unacceptable)?;
    let base_url = body.base_url.parse().map_err(Error::unacceptable)?;
    let network = request.client_network().map(|network| network.to_string());
    let registration = Registration {
        owner,
        network,
        name,
        base_url,
    };
    let registered = registry.externals.register(registration).await?;
    Ok(RegisterResponse::from(registered).into())
}

impl From<External> for RegisterResponse {
    fn from(external: External) -> Self {
        Self {
            instance_id: external.id.as_str().to_owned(),
            service_name: external.name.as_str().to_owned(),
            base_url: external.record.base_url,
            registered_at: clock::text(external.record.registered_at),
            last_heartbeat: clock::text(external.last_heartbeat),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "InstanceStatus")]
struct InstanceStatusResponse {
    status: &'static str,
    instance_id: String,
}

impl InstanceStatusResponse {
    fn ok(id: &InstanceId) -> Answer<Self> {
        Answer::from(Self {
            status: "ok",
            instance_id: id.as_str().to_owned(),
        })
    }
}

/// S2-11
async fn heartbeat(registry: Arc<Registry>, request: Request) -> Answered<InstanceStatusResponse> {
    let id = instance_id(&request)?;
    let caller = request.caller()?.user_id;
    registry.externals.beat(caller, &id).await?;
    Ok(InstanceStatusResponse::ok(&id))
}

/// S2-12
async fn deregister(registry: Arc<Registry>, request: Request) -> Answered<InstanceStatusResponse> {
    let id = instance_id(&request)?;
    let caller = request.caller()?.user_id;
    registry.externals.deregister(caller, &id).await?;
    Ok(InstanceStatusResponse::ok(&id))
}

fn instance_id(request: &Request) -> Result<InstanceId, Error> {
    let id = request.param("instance_id");
    id.map_err(|_| Error::not_found("There is no such instance"))
}
