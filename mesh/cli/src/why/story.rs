//! All that is known of one request.

use std::time::{SystemTime, UNIX_EPOCH};

use super::logs::{self, Line};
use super::trace::{self, Span};
use crate::mesh::Mesh;

/// Spans of a request that old have all arrived.
const SETTLED_US: u64 = 8_000_000;

/// All that is known of one request.
#[derive(Debug, Default)]
pub struct Story {
    /// Its trace.
    pub trace_id: Option<String>,
    /// Its spans, each behind its parent.
    pub spans: Vec<Span>,
    /// Log lines, in the order of time.
    pub lines: Vec<Line>,
    /// What could not be asked.
    pub notes: Vec<String>,
}

impl Story {
    /// Reads what there is now of a trace, or of a request.
    pub fn read(mesh: &Mesh, id: &str) -> Self {
        let mut story = Self::default();
        let jaeger = mesh.target("jaeger");
        let is_trace = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        story.lines = logs::find(mesh, &[id]);
        story.trace_id = is_trace
            .then(|| id.to_owned())
            .or_else(|| traced(&story.lines));
        if story.trace_id.is_none() {
            match trace::find(&jaeger, id) {
                Ok(found) => story.trace_id = found,
                Err(_) => story.away(),
            }
        }
        if let Some(trace_id) = story.trace_id.clone() {
            if !is_trace {
                story.lines = logs::find(mesh, &[id, &trace_id]);
            }
            match trace::read(&jaeger, &trace_id) {
                Ok(spans) => story.spans = spans,
                Err(_) => story.away(),
            }
        }
        story
    }

    fn away(&mut self) {
        self.notes = vec!["Jaeger does not answer: this is from logs alone".to_owned()];
    }

    /// Returns whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty() && self.lines.is_empty()
    }

    /// Returns whether nothing more is to be expected soon.
    pub fn is_settled(&self) -> bool {
        if !self.notes.is_empty() {
            return true;
        }
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let now = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
        let ends = self
            .spans
            .iter()
            .map(Span::end_us)
            .chain(self.lines.iter().map(|line| line.at_us));
        ends.max().is_some_and(|last| last + SETTLED_US < now)
    }

    /// Returns when it began.
    pub fn start_us(&self) -> u64 {
        let starts = self.spans.iter().map(|span| span.start_us);
        starts
            .chain(self.lines.iter().map(|line| line.at_us))
            .min()
            .unwrap_or_default()
    }

    /// Returns what the ingress noted of the request.
    pub fn access(&self) -> Option<&Line> {
        self.lines.iter().find(|line| line.is_access())
    }

    /// Returns what the client was answered.
    pub fn status(&self) -> Option<u16> {
        let noted = self
            .access()
            .and_then(|line| line.text("http.response.status_code").parse().ok());
        noted.or_else(|| self.spans.iter().find_map(Span::status))
    }

    /// Returns method and path, as far as they are known.
    pub fn request(&self) -> String {
        if let Some(access) = self.access() {
            return format!(
                "{} {}",
                access.text("http.request.method"),
                access.text("url.path")
            );
        }
        let mut named = self.spans.iter().filter(|span| !span.is_proxy());
        named
            .next()
            .map(|span| span.name.clone())
            .unwrap_or_default()
    }

    /// Returns the span above another one.
    pub fn parent(&self, span: &Span) -> Option<&Span> {
        let parent = span.parent.as_ref()?;
        self.spans.iter().find(|other| other.id == *parent)
    }

    /// Returns the spans below another one.
    pub fn children<'a>(&'a self, span: &'a Span) -> impl Iterator<Item = &'a Span> {
        self.spans
            .iter()
            .filter(|child| child.parent.as_ref() == Some(&span.id))
    }

    /// Returns what a span did itself: its time without that of those below it.
    pub fn own_us(&self, span: &Span) -> u64 {
        let below: u64 = self.children(span).map(|child| child.duration_us).sum();
        span.duration_us.saturating_sub(below)
    }

    /// Returns response flags and details of every Envoy on the way, with the process.
    pub fn flags(&self) -> Vec<(String, String)> {
        let mut flags: Vec<(String, String)> = Vec::new();
        if let Some(access) = self.access() {
            let text = [
                access.text("response.flags"),
                access.text("response.details"),
            ];
            flags.push(("ingress".to_owned(), text.join(" ").trim().to_owned()));
        }
        for span in self.spans.iter().filter(|span| span.is_proxy()) {
            if let Some(flag) = span.tag("response_flags") {
                flags.push((span.process.clone(), flag.to_owned()));
            }
        }
        flags
    }
}

/// The trace that log lines of a request name.
fn traced(lines: &[Line]) -> Option<String> {
    let mut traces = lines.iter().map(|line| line.text("trace_id"));
    traces.find(|trace| trace.len() == 32)
}
