//! The listener for operators, which the ingress does not route: liveness, readiness, metrics, documentation.
//!
//! It is on a port also where the application is not, for Consul, Prometheus and browsers. So nothing that is told here
//! may belong to anybody: numbers by route template, and the document that the ingress shows too.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use metrics::gauge;
use tower::ServiceExt as _;
use warp::{filters::BoxedFilter, reply::Response as WarpResponse};

use crate::{
    Error, Service,
    front::{Body, boxed},
};

/// Stores that do not answer within this time are not ready.
const READY_DEADLINE: Duration = Duration::from_secs(1);

/// Whether traffic is wanted: not before everything is up, and not while draining.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate(Arc<AtomicBool>);

impl Gate {
    pub(crate) fn open(&self) {
        self.0.store(true, Ordering::Release);
    }
    pub(crate) fn close(&self) {
        self.0.store(false, Ordering::Release);
    }
    fn is_open(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Answers `/livez`, `/readyz`, `/metrics`, and by `docs` the documentation.
pub(crate) async fn handle<S: Service>(
    service: Arc<S>,
    gate: Gate,
    docs: BoxedFilter<(WarpResponse,)>,
    request: Request<Incoming>,
) -> Response<Body> {
    match request.uri().path() {
        // Liveness asks nobody: a process that can answer is alive, whatever its stores do.
        "/livez" => text(StatusCode::OK, "alive"),
        "/readyz" if !gate.is_open() => {
            text(StatusCode::SERVICE_UNAVAILABLE, "starting or draining")
        }
        "/readyz" => {
            let ready = ready(service.as_ref()).await;
            gauge!("service_ready").set(if ready.is_ok() { 1.0 } else { 0.0 });
            match ready {
                Ok(()) => text(StatusCode::OK, "ready"),
                Err(error) => text(StatusCode::SERVICE_UNAVAILABLE, error.message().to_owned()),
            }
        }
        "/metrics" => text(StatusCode::OK, telemetry::metrics::render()),
        path if path == "/openapi.json" || path == "/docs" || path.starts_with("/docs/") => {
            match warp::service(docs).oneshot(request).await {
                Ok(response) => boxed(response),
                Err(never) => match never {},
            }
        }
        _ => text(
            StatusCode::NOT_FOUND,
            "livez, readyz, metrics and docs are here",
        ),
    }
}

/// Whether the service's stores answer in time.
pub(crate) async fn ready<S: Service>(service: &S) -> Result<(), Error> {
    let asked = tokio::time::timeout(READY_DEADLINE, service.ready()).await;
    asked.unwrap_or_else(|_| Err(Error::unavailable("a store does not answer")))
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(
        Full::new(body.into())
            .map_err(|never| match never {})
            .boxed_unsync(),
    );
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
