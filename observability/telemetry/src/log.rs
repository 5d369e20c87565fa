//! Logs as JSON lines: one record a line, with the trace they belong to.

use std::fmt;

use opentelemetry::trace::TraceContextExt as _;
use serde_json::{Map, Value};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::Writer,
        time::{FormatTime as _, SystemTime},
    },
    registry::LookupSpan,
};

/// The layer that writes JSON lines to standard output.
pub(crate) fn layer<S>(service: &'static str, instance: &str) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    tracing_subscriber::fmt::layer().event_format(JsonLine {
        service,
        instance: instance.to_owned(),
    })
}

struct JsonLine {
    service: &'static str,
    instance: String,
}

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let mut record = Map::new();
        record.insert("timestamp".into(), time.into());
        record.insert("level".into(), event.metadata().level().as_str().into());
        record.insert("service".into(), self.service.into());
        record.insert("instance".into(), self.instance.as_str().into());
        record.insert("target".into(), event.metadata().target().into());
        let context = opentelemetry::Context::current();
        let span = context.span();
        if span.span_context().is_valid() {
            record.insert(
                "trace_id".into(),
                span.span_context().trace_id().to_string().into(),
            );
            record.insert(
                "span_id".into(),
                span.span_context().span_id().to_string().into(),
            );
        }
        event.record(&mut Fields(&mut record));
        // `Value` escapes newlines and control characters, so a record stays one line.
        writeln!(writer, "{}", Value::Object(record))
    }
}

/// Collects an event's fields; typed where JSON has the type, else as `Debug` text.
struct Fields<'a>(&'a mut Map<String, Value>);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0
            .insert(field.name().into(), format!("{value:?}").into());
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().into(), value.into());
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().into(), value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().into(), value.into());
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().into(), value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().into(), value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io,
        sync::{Arc, Mutex},
    };
    use tracing_subscriber::layer::SubscriberExt as _;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_value_with_newlines_stays_one_record() {
        let sink = Sink::default();
        let writer = sink.clone();
        let layer = tracing_subscriber::fmt::layer()
            .event_format(JsonLine {
                service: "users",
                instance: "users-1".into(),
            })
            .with_writer(move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::info!(
                path = "/a\n{\"level\":\"ERROR\"}",
                count = 3,
                "request handled"
            );
        });
        let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        let record: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(record["message"], "request handled");
        assert_eq!(record["count"], 3);
        assert_eq!(record["path"], "/a\n{\"level\":\"ERROR\"}");
    }
}
