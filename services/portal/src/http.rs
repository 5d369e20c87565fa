//! The REST face: the route table and its handlers.

use std::{collections::BTreeMap, sync::Arc};

use ::http::{HeaderValue, StatusCode, header};
use chassis::{Answer, Content, Error, Negotiated, Request, Route, Service as _, docs};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    Portal, document,
    model::{Instance, Overview, Part, Status},
    page,
};

type Answered<T> = Result<Answer<T>, Error>;

const JSON: &str = "application/json";
const HTML: &str = "text/html";

pub(crate) fn routes() -> Vec<Route<Portal>> {
    let mut routes = vec![
        Route::get("/", root)
            .media(HTML)
            .id("getOverview")
            .tagged()
            .summary("What runs here and how it is: JSON, or a page for those who ask for one"),
        Route::get("/health", health)
            .or::<HealthResponse>(StatusCode::SERVICE_UNAVAILABLE)
            .id("getHealth")
            .summary("Whether the services answer"),
        Route::get("/portal/{file}", file)
            .media("text/css")
            .media("text/javascript")
            .media("image/svg+xml")
            .id("getPortalFile")
            .tagged()
            .summary("What a page loads"),
        Route::get("/live", live)
            .media(HTML)
            .id("getLivePage")
            .tagged()
            .summary("A page to watch and write the comments on a post"),
    ];
    routes.extend(docs::routes("Plaza", document::plaza));
    routes
}

/// S2-01
async fn root(portal: Arc<Portal>, request: Request) -> Answered<Negotiated<RootResponse>> {
    let overview = portal.overview();
    let shown = if request.prefers(&[JSON, HTML]) == Some(HTML) {
        Negotiated::Other(Content::html(page::render(
            &overview,
            &portal.figures.latest(),
            &portal.links,
        )))
    } else {
        Negotiated::Json(RootResponse::new(&overview, &portal))
    };
    Ok(Answer::from(shown).tagged())
}

/// S2-02: 503 when not one service behind is healthy, so that whoever balances over several
/// meshes can tell.
async fn health(portal: Arc<Portal>, _: Request) -> Answered<HealthResponse> {
    let overview = portal.overview();
    let status = match overview.status {
        Status::Healthy | Status::Degraded => StatusCode::OK,
        Status::Unhealthy | Status::Unknown => StatusCode::SERVICE_UNAVAILABLE,
    };
    let services = overview.services.iter();
    let body = HealthResponse {
        status: overview.status.word(),
        services: services
            .map(|part| (part.name.clone(), part.status.word()))
            .collect(),
    };
    let fresh = HeaderValue::from_static("no-store");
    Ok(Answer::from(body)
        .status(status)
        .header(header::CACHE_CONTROL, fresh))
}

async fn live(_: Arc<Portal>, _: Request) -> Answered<Content> {
    Ok(Answer::from(page::live()).tagged())
}

async fn file(_: Arc<Portal>, request: Request) -> Answered<Content> {
    let name: String = request.param("file")?;
    let content = page::file(&name).ok_or_else(|| Error::not_found("There is no such file"))?;
    Ok(Answer::from(content).tagged())
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "MeshHealth")]
struct HealthResponse {
    /// `healthy`, `degraded` when not all services are, `unhealthy` when none is, `unknown`
    /// before Consul has told.
    status: &'static str,
    services: BTreeMap<String, &'static str>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Overview")]
struct RootResponse {
    name: &'static str,
    version: &'static str,
    description: &'static str,
    /// As of `/health`.
    status: &'static str,
    services: BTreeMap<String, PartResponse>,
    /// What else is registered: stores, broker, telemetry.
    others: BTreeMap<String, PartResponse>,
    links: BTreeMap<String, String>,
    /// `answers`, or `away`: then all of this is as it was before.
    consul: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "MeshPart")]
struct PartResponse {
    status: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    /// Instances there are.
    count: usize,
    /// Instances whose checks pass.
    healthy: usize,
    /// The first hundred.
    instances: Vec<InstanceResponse>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "MeshInstance")]
struct InstanceResponse {
    id: String,
    status: &'static str,
    /// Its own documentation, on a mesh of one machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    docs: Option<String>,
}

impl RootResponse {
    fn new(overview: &Overview, portal: &Portal) -> Self {
        let parts = |parts: &[Part]| {
            parts
                .iter()
                .map(|part| (part.name.clone(), part.into()))
                .collect()
        };
        let own = [
            ("health", "/health"),
            ("live", "/live"),
            ("documentation", "/docs"),
            ("openapi", "/openapi.json"),
        ];
        let own = own.map(|(name, url)| (name.to_owned(), url.to_owned()));
        let tools = portal.links.iter();
        let tools = tools.map(|link| (link.name.to_lowercase(), link.url.clone()));
        Self {
            name: "Plaza",
            version: env!("CARGO_PKG_VERSION"),
            description: Portal::DESCRIPTION,
            status: overview.status.word(),
            services: parts(&overview.services),
            others: parts(&overview.others),
            links: tools.chain(own).collect(),
            consul: if overview.away { "away" } else { "answers" },
        }
    }
}

impl From<&Part> for PartResponse {
    fn from(part: &Part) -> Self {
        Self {
            status: part.status.word(),
            description: part.description.clone(),
            count: part.count,
            healthy: part.healthy,
            instances: part.instances.iter().map(InstanceResponse::from).collect(),
        }
    }
}

impl From<&Instance> for InstanceResponse {
    fn from(instance: &Instance) -> Self {
        Self {
            id: instance.id.clone(),
            status: instance.status().word(),
            docs: instance.docs.clone(),
        }
    }
}
