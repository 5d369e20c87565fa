//! One trace from the change to its last effect: trace context in headers of messages.

use http::{HeaderMap, HeaderName, HeaderValue};
use lapin::types::{AMQPValue, FieldTable, LongString};
use telemetry::propagation;
use tracing::{Span, info_span};

/// The headers of W3C trace context.
const HEADERS: [&str; 2] = ["traceparent", "tracestate"];
/// A longer value is none of a tracer: passed on, it could make headers too large for a frame.
const LONGEST: usize = 512;

/// The `traceparent` of the current span, if it is traced.
pub(crate) fn current() -> Option<String> {
    propagation::current()
}

/// The span of a publication, in the trace of the change.
pub(crate) fn publish_span(kind: &str, id: &str, traceparent: Option<&str>) -> Span {
    let span = info_span!(
        "amqp.publish",
        otel.name = format!("amqp.{kind}.publish"),
        otel.kind = "producer",
        messaging.system = "rabbitmq",
        messaging.message.id = id,
    );
    if let Some(traceparent) = traceparent {
        propagation::continue_from_text(&span, traceparent);
    }
    span
}

/// The span of a delivery, in the trace of its publication.
pub(crate) fn consume_span(kind: &str, id: &str, queue: &str, table: Option<&FieldTable>) -> Span {
    let span = info_span!(
        "amqp.consume",
        otel.name = format!("amqp.{kind}.consume"),
        otel.kind = "consumer",
        messaging.system = "rabbitmq",
        messaging.destination.name = queue,
        messaging.message.id = id,
    );
    let mut found = HeaderMap::new();
    for (name, value) in table.into_iter().flat_map(headers) {
        if let Ok(value) = HeaderValue::from_str(&value) {
            found.insert(HeaderName::from_static(name), value);
        }
    }
    propagation::continue_from(&span, &found);
    span
}

/// The headers of trace context that a message has.
pub(crate) fn headers(table: &FieldTable) -> impl Iterator<Item = (&'static str, String)> {
    HEADERS.into_iter().filter_map(|name| {
        let value = text(table, name)?;
        (value.len() <= LONGEST).then_some((name, value))
    })
}

/// Writes the current span's context into the headers of a message.
pub(crate) fn inject(table: &mut FieldTable) {
    let mut headers = HeaderMap::new();
    propagation::inject(&mut headers);
    for (name, value) in &headers {
        let value = LongString::from(value.as_bytes());
        table.insert(name.as_str().into(), AMQPValue::LongString(value));
    }
}

/// A header's text.
pub(crate) fn text(table: &FieldTable, name: &str) -> Option<String> {
    match table.inner().get(name)? {
        AMQPValue::LongString(text) => Some(text.to_string()),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    }
}

/// A header's whole number, however wide the sender wrote it.
pub(crate) fn number(table: &FieldTable, name: &str) -> Option<i64> {
    match *table.inner().get(name)? {
        AMQPValue::ShortShortInt(number) => Some(number.into()),
        AMQPValue::ShortShortUInt(number) => Some(number.into()),
        AMQPValue::ShortInt(number) => Some(number.into()),
        AMQPValue::ShortUInt(number) => Some(number.into()),
        AMQPValue::LongInt(number) => Some(number.into()),
        AMQPValue::LongUInt(number) => Some(number.into()),
        AMQPValue::LongLongInt(number) => Some(number),
        _ => None,
    }
}
