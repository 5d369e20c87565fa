//! The listener for operators, which the ingress does not route: liveness, readiness, metrics.

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

use crate::{Error, Service, front::Body};

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

/// Answers `/livez`, `/readyz` and `/metrics`.
pub(crate) async fn handle<S: Service>(
    service: Arc<S>,
    gate: Gate,
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
        _ => text(StatusCode::NOT_FOUND, "livez, readyz and metrics are here"),
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
