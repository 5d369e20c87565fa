//! W3C trace context across process borders (<https://www.w3.org/TR/trace-context/>).

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{
    Context, global,
    propagation::{Extractor, Injector},
    trace::{SpanContext, TraceContextExt as _},
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The header of W3C trace context that is enough to go on.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

pub(crate) fn install() {
    global::set_text_map_propagator(TraceContextPropagator::new());
}

/// Makes the trace context in `headers` the parent of `span`.
pub fn continue_from(span: &Span, headers: &HeaderMap) {
    let parent =
        global::get_text_map_propagator(|propagator| propagator.extract(&Headers(headers)));
    if parent.span().span_context().is_valid() {
        // Fails only where no exporter is set up: then there is no trace to continue.
        let _ = span.set_parent(parent);
    }
}

/// As [`continue_from`], where there is only the value of a `traceparent`.
pub fn continue_from_text(span: &Span, traceparent: &str) {
    if let Ok(value) = HeaderValue::from_str(traceparent) {
        continue_from(span, &HeaderMap::from_iter([(TRACEPARENT, value)]));
    }
}

/// A span that others refer to without being its children.
#[derive(Debug, Clone)]
pub struct Origin(SpanContext);

/// The current span, to refer to it later.
pub fn origin() -> Origin {
    Origin(Span::current().context().span().span_context().clone())
}

/// Makes `span` refer to what it goes back to, in another trace.
pub fn link(span: &Span, origin: &Origin) {
    if origin.0.is_valid() {
        span.add_link(origin.0.clone());
    }
}

/// Gives a span its final name, once it is known which route answers.
///
/// Recording `otel.name` would come too late: the span is started when its parent is set.
pub fn rename(span: &Span, name: String) {
    span.context().span().update_name(name);
}

/// Writes the current span's context into `headers`.
pub fn inject(headers: &mut HeaderMap) {
    let context = Span::current().context();
    global::get_text_map_propagator(|propagator| {
        propagator.inject_context(&context, &mut HeadersMut(headers));
    });
}

/// The current span's context as the value of a `traceparent`, if it is traced.
pub fn current() -> Option<String> {
    let mut headers = HeaderMap::new();
    inject(&mut headers);
    let value = headers.get(TRACEPARENT)?;
    value.to_str().ok().map(str::to_owned)
}

/// The id of the trace that the current code runs in, if it is traced.
pub fn current_trace_id() -> Option<String> {
    let context = Context::current();
    let span = context.span();
    span.span_context()
        .is_valid()
        .then(|| span.span_context().trace_id().to_string())
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }
    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

struct HeadersMut<'a>(&'a mut HeaderMap);

impl Injector for HeadersMut<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}
