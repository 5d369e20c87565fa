//! One trace from the change to its last effect: trace context in headers of messages.

use http::{HeaderMap, HeaderName, HeaderValue};
use lapin::types::{AMQPValue, FieldTable, LongString};
use telemetry::propagation;
use tracing::{Span, info_span};

/// The headers of W3C trace context.
const HEADERS: [&str; 2] = ["traceparent", "tracestate"];

/// The `traceparent` of the current span, if it is traced.
pub(crate) fn current() -> Option<String> {
    let mut headers = HeaderMap::new();
    propagation::inject(&mut headers);
    let value = headers.get(HEADERS[0])?;
    value.to_str().ok().map(str::to_owned)
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
    let mut headers = HeaderMap::new();
    if let Some(Ok(value)) = traceparent.map(HeaderValue::from_str) {
        headers.insert(HEADERS[0], value);
    }
    propagation::continue_from(&span, &headers);
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
    let mut headers = HeaderMap::new();
    for name in HEADERS {
        let text = table.and_then(|table| text(table, name));
        if let Some(Ok(value)) = text.as_deref().map(HeaderValue::from_str) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    propagation::continue_from(&span, &headers);
    span
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
