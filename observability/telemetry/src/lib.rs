//! Traces, logs and metrics of every Plaza process, set up in one place.
//!
//! [`init`] returns a [`Guard`]; `main` drops it last, which flushes what is still queued.
//! Traces leave by OTLP when an endpoint is given, logs are JSON lines on standard output
//! with the `trace_id` of the request they belong to, metrics are rendered on demand.

mod log;
pub mod metrics;
pub mod propagation;

use std::time::Duration;

use opentelemetry::{
    KeyValue,
    trace::{Link, SpanKind, TraceContextExt as _, TraceId, TracerProvider as _},
};
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::{
    Resource,
    trace::{
        BatchConfigBuilder, BatchSpanProcessor, Sampler, SamplingDecision, SamplingResult,
        SdkTracerProvider, ShouldSample,
    },
};
use tracing_subscriber::{
    EnvFilter, Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

/// What [`init`] needs to know of the process.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Service name as Consul knows it, for example `users`.
    pub service: &'static str,
    /// Instance id, for example `users-1`.
    pub instance: String,
    /// OTLP/gRPC endpoint, for example `http://127.0.0.1:4317`; `None` switches traces off.
    pub otlp_endpoint: Option<String>,
    /// Filter directives in the syntax of `RUST_LOG`.
    pub filter: String,
}

/// Keeps the exporters alive; dropping it flushes them, for at most two seconds.
#[must_use = "dropping the guard ends telemetry"]
#[derive(Debug)]
pub struct Guard {
    provider: Option<SdkTracerProvider>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(provider) = self.provider.take() {
            // An unreachable collector must not hold up the exit, and there is nobody left to tell.
            let _ = provider.shutdown_with_timeout(Duration::from_secs(2));
        }
    }
}

/// Installs the global subscriber, propagator and metrics recorder.
///
/// # Errors
/// When a filter directive is malformed, the endpoint is no URL, or telemetry is already set up.
pub fn init(settings: &Settings) -> anyhow::Result<Guard> {
    propagation::install();
    metrics::install()?;
    let provider = settings
        .otlp_endpoint
        .as_deref()
        .map(|endpoint| tracer_provider(settings, endpoint))
        .transpose()?;
    let otel = provider.as_ref().map(|provider| {
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer(settings.service))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            // A heartbeat to Consul is no story either.
            .with_filter(EnvFilter::new("info,consulrs=off,rustify=off"))
    });
    tracing_subscriber::registry()
        .with(otel)
        .with(
            log::layer(settings.service, &settings.instance).with_filter(filter(&settings.filter)?),
        )
        .try_init()?;
    Ok(Guard { provider })
}

/// The directives given, plus those that keep chatty or secret-bearing libraries quiet.
fn filter(directives: &str) -> anyhow::Result<EnvFilter> {
    let quiet = [
        "consulrs=warn",
        "rustify=off",
        "h2=warn",
        "hyper=warn",
        "sqlx=warn",
        "tower=warn",
    ];
    quiet
        .iter()
        .try_fold(EnvFilter::try_new(directives)?, |filter, directive| {
            Ok(filter.add_directive(directive.parse()?))
        })
}

/// Begins a trace with a task, never with a call: the queries of what a service does by itself
/// (a look at its outbox, a sweep) are no story worth a place in the collector.
#[derive(Debug, Clone)]
struct WholeTasks;

impl ShouldSample for WholeTasks {
    fn should_sample(
        &self,
        parent: Option<&opentelemetry::Context>,
        _: TraceId,
        _: &str,
        kind: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        let decision = match kind {
            SpanKind::Client => SamplingDecision::Drop,
            _ => SamplingDecision::RecordAndSample,
        };
        let state = parent.map(|parent| parent.span().span_context().trace_state().clone());
        SamplingResult {
            decision,
            attributes: Vec::new(),
            trace_state: state.unwrap_or_default(),
        }
    }
}

fn tracer_provider(settings: &Settings, endpoint: &str) -> anyhow::Result<SdkTracerProvider> {
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(Duration::from_secs(3))
        .build()?;
    // Half a second keeps a trace readable right after its request; the queue bounds memory
    // while the collector is away (what does not fit is dropped and counted by the SDK).
    let batch = BatchConfigBuilder::default()
        .with_scheduled_delay(Duration::from_millis(500))
        .with_max_queue_size(4096)
        .build();
    Ok(SdkTracerProvider::builder()
        .with_span_processor(
            BatchSpanProcessor::builder(exporter)
                .with_batch_config(batch)
                .build(),
        )
        // The ingress decides; a request without a decision (a worker's own) is always traced.
        .with_sampler(Sampler::ParentBased(Box::new(WholeTasks)))
        .with_resource(
            Resource::builder_empty()
                .with_service_name(settings.service)
                .with_attribute(KeyValue::new(
                    "service.instance.id",
                    settings.instance.clone(),
                ))
                .build(),
        )
        .build())
}

#[cfg(test)]
mod tests {
    use opentelemetry::{
        Context,
        trace::{SpanContext, SpanId, TraceFlags, TraceState},
    };

    use super::*;

    fn decision(parent: Option<&Context>, kind: &SpanKind) -> SamplingDecision {
        let sampler = Sampler::ParentBased(Box::new(WholeTasks));
        let trace = TraceId::from(1);
        let result = sampler.should_sample(parent, trace, "any", kind, &[], &[]);
        result.decision
    }

    fn caller(flags: TraceFlags) -> Context {
        let state = TraceState::default();
        let span = SpanContext::new(TraceId::from(1), SpanId::from(1), flags, true, state);
        Context::new().with_remote_span_context(span)
    }

    #[test]
    fn a_task_begins_a_trace_and_a_call_begins_none() {
        for (kind, expected) in [
            (SpanKind::Server, SamplingDecision::RecordAndSample),
            (SpanKind::Consumer, SamplingDecision::RecordAndSample),
            (SpanKind::Internal, SamplingDecision::RecordAndSample),
            (SpanKind::Client, SamplingDecision::Drop),
        ] {
            assert_eq!(decision(None, &kind), expected, "{kind:?}");
        }
    }

    #[test]
    fn within_a_trace_its_beginning_decides() {
        let (kept, left) = (caller(TraceFlags::SAMPLED), caller(TraceFlags::NOT_SAMPLED));
        for kind in [SpanKind::Client, SpanKind::Server] {
            let of = |parent| decision(Some(parent), &kind);
            assert_eq!(of(&kept), SamplingDecision::RecordAndSample, "{kind:?}");
            assert_eq!(of(&left), SamplingDecision::Drop, "{kind:?}");
        }
    }
}
