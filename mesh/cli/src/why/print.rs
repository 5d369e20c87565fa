//! The story for people, and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::diagnose::Cause;
use super::logs::Line;
use super::story::Story;
use super::trace::Span;

/// Tags that are worth a place in the line of a span.
const SHOWN: [&str; 9] = [
    "response_flags",
    "db.operation",
    "peer.service",
    "messaging.message.id",
    "messaging.destination.name",
    "socket.room",
    "grpc.status_code",
    "error.message",
    "exception.message",
];
/// Fields of a line that are shown otherwise, or tell nobody anything.
const KNOWN: [&str; 11] = [
    "timestamp",
    "level",
    "message",
    "service",
    "service.name",
    "instance",
    "target",
    "trace_id",
    "span_id",
    "client.address",
    "upstream.cluster",
];
/// The longest value that is shown.
const WIDEST: usize = 120;

/// Returns the story as JSON.
pub fn json(story: &Story, causes: &[Cause]) -> Value {
    json!({
        "trace_id": story.trace_id,
        "request": story.request(),
        "status": story.status(),
        "spans": story.spans,
        "logs": story.lines,
        "response_flags": story.flags().into_iter().map(|(process, flags)| json!({ "process": process, "flags": flags })).collect::<Vec<_>>(),
        "notes": story.notes,
        "causes": causes,
    })
}

/// Returns the story as a timeline with its end.
pub fn text(story: &Story, causes: &[Cause]) -> String {
    let mut text = String::new();
    let status = story
        .status()
        .map_or_else(|| "no answer known".to_owned(), |status| status.to_string());
    let trace = story.trace_id.as_deref().unwrap_or("unknown");
    let _ = writeln!(text, "{}: {status} (trace {trace})", story.request());
    for note in &story.notes {
        let _ = writeln!(text, "{note}");
    }
    timeline(story, &mut text);
    let flags = story.flags();
    if !flags.is_empty() {
        let shown: Vec<_> = flags
            .iter()
            .map(|(process, flags)| format!("{process}: {flags}"))
            .collect();
        let _ = writeln!(text, "\nenvoys: {}", shown.join(", "));
    }
    let _ = writeln!(text);
    for cause in causes {
        let _ = writeln!(text, "cause: {}", cause.text);
        let _ = writeln!(text, "do: {}", cause.action);
    }
    text
}

/// Spans as a tree, each line of a log below the span that was the last to begin before it.
fn timeline(story: &Story, text: &mut String) {
    let start = story.start_us();
    let mut lines: Vec<&Line> = story.lines.iter().collect();
    let _ = writeln!(text, "\n{:>10} {:>10}", "offset ms", "took ms");
    for span in &story.spans {
        let _ = writeln!(
            text,
            "{:>10} {:>10}  {}",
            millis(span.start_us.saturating_sub(start)),
            millis(span.duration_us),
            described(span)
        );
        let (ours, others) = lines.iter().partition(|line| belongs(line, span));
        lines = others;
        for line in &ours as &Vec<&Line> {
            logged(text, start, line, span.depth + 1);
        }
    }
    for line in lines {
        logged(text, start, line, 0);
    }
}

/// Envoy names no span in its access log.
fn belongs(line: &Line, span: &Span) -> bool {
    line.text("span_id") == span.id || (line.is_access() && span.process == line.process)
}

fn described(span: &Span) -> String {
    let mut text = format!(
        "{:indent$}{} {}",
        "",
        span.process,
        span.name,
        indent = span.depth * 2
    );
    if let Some(status) = span.status() {
        let _ = write!(text, " {status}");
    }
    if span.failed() {
        text.push_str(" FAILED");
    }
    for name in SHOWN {
        if let Some(value) = span.tag(name) {
            let value: String = value.chars().take(WIDEST).collect();
            let _ = write!(text, " {name}={value}");
        }
    }
    text
}

fn logged(text: &mut String, start: u64, line: &Line, depth: usize) {
    let mut shown = format!(
        "{:indent$}| {} {} {}",
        "",
        line.process,
        line.text("level"),
        line.text("message"),
        indent = depth * 2
    );
    for (name, _) in line
        .fields
        .iter()
        .filter(|(name, _)| !KNOWN.contains(&name.as_str()))
    {
        let value: String = line.text(name).chars().take(WIDEST).collect();
        if !value.is_empty() {
            let _ = write!(shown, " {name}={value}");
        }
    }
    let _ = writeln!(
        text,
        "{:>10} {:>10}  {shown}",
        millis(line.at_us.saturating_sub(start)),
        ""
    );
}

fn millis(us: u64) -> String {
    format!("{}.{}", us / 1000, us % 1000 / 100)
}
