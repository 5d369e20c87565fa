//! What every request passes: load shedding, the span, metrics, the access log, and the fork
//! between REST and gRPC.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use metrics::{Gauge, counter, gauge, histogram};
use tokio::sync::Semaphore;
use tower::ServiceExt as _;
use tracing::{Instrument as _, Span, field::Empty};
use warp::{filters::BoxedFilter, reply::Response as WarpResponse};

use crate::{Error, Route, rest::Answerer};

/// The body of every answer, whichever side made it.
pub(crate) type Body = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// Label for requests that no route answered: raw paths would make metrics without bound.
const UNMATCHED: &str = "unmatched";

/// Both faces of a service behind one port.
#[derive(Clone)]
pub(crate) struct Front {
    rest: BoxedFilter<(WarpResponse,)>,
    grpc: Option<tonic::service::Routes>,
    permits: Arc<Semaphore>,
}

impl Front {
    pub(crate) fn new(
        rest: BoxedFilter<(WarpResponse,)>,
        grpc: Option<tonic::service::Routes>,
        max_in_flight: usize,
    ) -> Self {
        Self {
            rest,
            grpc: grpc.map(tonic::service::Routes::prepare),
            permits: Arc::new(Semaphore::new(max_in_flight)),
        }
    }

    /// Answers one request; never fails.
    pub(crate) async fn handle(self, request: Request<Incoming>) -> Response<Body> {
        let started = Instant::now();
        let span = server_span(&request);
        telemetry::propagation::continue_from(&span, request.headers());
        let answer = async {
            let _in_flight = InFlight::new();
            let method = request.method().clone();
            let request_id = request.headers().get("x-request-id").cloned();
            let path = is_grpc(&request).then(|| request.uri().path().to_owned());
            let mut response = self.answer(request).await;
            let route = route_label(&response, path);
            observe(&method, &route, &response, started, request_id.as_ref());
            if let Some(id) = request_id {
                response.headers_mut().insert("x-request-id", id);
            }
            response
        };
        answer.instrument(span).await
    }

    async fn answer(self, mut request: Request<Incoming>) -> Response<Body> {
        let Ok(_permit) = self.permits.try_acquire() else {
            return boxed(
                Error::unavailable("Too busy; try again")
                    .into_response()
                    .map(Full::new),
            );
        };
        if is_grpc(&request) {
            return match self.grpc {
                Some(grpc) => match grpc.oneshot(request).await {
                    Ok(response) => boxed(response),
                    Err(never) => match never {},
                },
                None => boxed(
                    tonic::Status::unimplemented("no gRPC here").into_http::<tonic::body::Body>(),
                ),
            };
        }
        // A HEAD is the GET whose body hyper does not send (RFC 9110, 9.3.2).
        if request.method() == Method::HEAD {
            *request.method_mut() = Method::GET;
        }
        match warp::service(self.rest).oneshot(request).await {
            Ok(response) => boxed(response),
            Err(never) => match never {},
        }
    }
}

/// With the body that all answers have.
pub(crate) fn boxed<B>(response: Response<B>) -> Response<Body>
where
    B: http_body_util::BodyExt<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    response.map(|body| body.map_err(Into::into).boxed_unsync())
}

fn is_grpc<B>(request: &Request<B>) -> bool {
    let kind = request
        .headers()
        .get(header::CONTENT_TYPE)
        .map(HeaderValue::as_bytes);
    kind.is_some_and(|kind| kind.starts_with(b"application/grpc"))
}

fn server_span(request: &Request<Incoming>) -> Span {
    let id = request
        .headers()
        .get("x-request-id")
        .and_then(|id| id.to_str().ok())
        .unwrap_or_default();
    tracing::info_span!(
        "request",
        otel.name = request.method().as_str(),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = request.method().as_str(),
        http.route = Empty,
        operation = Empty,
        http.response.status_code = Empty,
        http.request.id = id,
        error.message = Empty,
    )
}

fn route_label(response: &Response<Body>, grpc_path: Option<String>) -> String {
    let unimplemented = response
        .headers()
        .get("grpc-status")
        .is_some_and(|status| status == "12");
    match (response.extensions().get::<Answerer>(), grpc_path) {
        (Some(answerer), _) => answerer.template.replace(":int}", "}"),
        (None, Some(path)) if !unimplemented => path,
        _ => UNMATCHED.to_owned(),
    }
}

fn observe(
    method: &Method,
    route: &str,
    response: &Response<Body>,
    started: Instant,
    request_id: Option<&HeaderValue>,
) {
    let status = response.status();
    let elapsed = started.elapsed();
    // Extension methods are unbounded too.
    let method = match *method {
        Method::GET
        | Method::HEAD
        | Method::POST
        | Method::PUT
        | Method::DELETE
        | Method::PATCH
        | Method::OPTIONS => method.as_str(),
        _ => "other",
    };
    let span = Span::current();
    telemetry::propagation::rename(&span, format!("{method} {route}"));
    span.record("http.route", route);
    let answerer = response.extensions().get::<Answerer>();
    let operation = answerer.map_or("", |answerer| answerer.operation);
    span.record("operation", operation);
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    let labels = [
        ("method", method.to_owned()),
        ("route", route.to_owned()),
        ("operation", operation.to_owned()),
        (
            "status",
            grpc_status(response).unwrap_or(status.as_u16()).to_string(),
        ),
    ];
    counter!("http_requests_total", &labels).increment(1);
    histogram!("http_request_duration_seconds", &labels[..3]).record(elapsed);
    let request_id = request_id
        .and_then(|id| id.to_str().ok())
        .unwrap_or_default();
    let duration_ms = elapsed.as_secs_f64() * 1000.0;
    tracing::info!(
        method,
        route,
        operation,
        status = status.as_u16(),
        duration_ms,
        request_id,
        "request handled"
    );
}

/// Makes the counters of a route before its first request: Prometheus cannot tell a counter that
/// appears from one that was always there, so the first failures would not count as any.
pub(crate) fn announce<S>(route: &Route<S>) {
    let failures = [
        StatusCode::INTERNAL_SERVER_ERROR,
        StatusCode::SERVICE_UNAVAILABLE,
    ];
    for status in failures.into_iter().chain([route.status]) {
        counter!(
            "http_requests_total",
            "method" => route.method.to_string(),
            "route" => route.public_template(),
            "operation" => route.id,
            "status" => status.as_u16().to_string()
        )
        .increment(0);
    }
}

/// A failed call's gRPC code as the HTTP status that says the same; gRPC itself always says 200.
fn grpc_status(response: &Response<Body>) -> Option<u16> {
    let code: i32 = response
        .headers()
        .get("grpc-status")?
        .to_str()
        .ok()?
        .parse()
        .ok()?;
    Some(
        match tonic::Code::from(code) {
            tonic::Code::Ok => StatusCode::OK,
            tonic::Code::NotFound => StatusCode::NOT_FOUND,
            tonic::Code::InvalidArgument => StatusCode::UNPROCESSABLE_ENTITY,
            tonic::Code::Unimplemented => StatusCode::METHOD_NOT_ALLOWED,
            tonic::Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
        .as_u16(),
    )
}

/// Counts a request while it is answered, also when its client goes away meanwhile.
struct InFlight(Gauge);

impl InFlight {
    fn new() -> Self {
        let gauge = gauge!("http_requests_in_flight");
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}
