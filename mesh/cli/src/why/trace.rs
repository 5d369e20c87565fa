//! Spans, as Jaeger has them.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;

use crate::http::{self, Target};

/// A span.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Span {
    /// Its id.
    pub id: String,
    /// The id of its parent, if it has one in this trace.
    pub parent: Option<String>,
    /// Whose it is: `users`, `users-sidecar`, `ingress`.
    pub process: String,
    /// Its name.
    pub name: String,
    /// When it began, in microseconds since 1970.
    pub start_us: u64,
    /// How long it took.
    pub duration_us: u64,
    /// What is known of it.
    pub tags: BTreeMap<String, String>,
    /// How deep it is below the root.
    pub depth: usize,
}

impl Span {
    /// Returns a tag, if it says something.
    pub fn tag(&self, name: &str) -> Option<&str> {
        let value = self.tags.get(name)?.as_str();
        (!value.is_empty() && value != "-").then_some(value)
    }

    /// Returns the HTTP status that it answered with.
    pub fn status(&self) -> Option<u16> {
        let status = self
            .tag("http.status_code")
            .or_else(|| self.tag("http.response.status_code"));
        status?.parse().ok()
    }

    /// Returns whether it says of itself that it failed.
    pub fn failed(&self) -> bool {
        self.tag("otel.status_code") == Some("ERROR")
    }

    /// Returns whether it is a call of somebody else.
    pub fn is_call(&self) -> bool {
        self.tag("span.kind") == Some("client")
    }

    /// Returns whether an Envoy wrote it.
    pub fn is_proxy(&self) -> bool {
        self.tag("component") == Some("proxy")
    }

    /// Returns when it ended.
    pub fn end_us(&self) -> u64 {
        self.start_us + self.duration_us
    }
}

/// Finds the trace of a request by what Envoy at the ingress noted.
pub fn find(jaeger: &Target, request_id: &str) -> Result<Option<String>> {
    let tags = format!("%7B%22guid%3Ax-request-id%22%3A%22{request_id}%22%7D");
    let path = format!("/api/traces?service=ingress&lookback=24h&limit=1&tags={tags}");
    let found = http::get(jaeger, &path)?.json()?;
    Ok(found["data"][0]["traceID"].as_str().map(str::to_owned))
}

/// Reads the spans of a trace; none when it is not known.
pub fn read(jaeger: &Target, trace_id: &str) -> Result<Vec<Span>> {
    let answer = http::get(jaeger, &format!("/api/traces/{trace_id}"))?;
    let found = answer
        .json()
        .context("Jaeger answers with something else")?;
    let trace = &found["data"][0];
    let spans = trace["spans"].as_array().into_iter().flatten();
    Ok(in_order(
        spans.map(|span| parse(span, &trace["processes"])).collect(),
    ))
}

fn parse(span: &Value, processes: &Value) -> Span {
    let text = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    let references = span["references"].as_array().into_iter().flatten();
    // Others are links to other traces.
    let mut parents = references.filter(|reference| reference["refType"] == "CHILD_OF");
    let tags = span["tags"].as_array().into_iter().flatten();
    let process = &processes[span["processID"].as_str().unwrap_or_default()];
    Span {
        id: text(&span["spanID"]),
        parent: parents.next().map(|parent| text(&parent["spanID"])),
        process: text(&process["serviceName"]),
        name: text(&span["operationName"]),
        start_us: span["startTime"].as_u64().unwrap_or_default(),
        duration_us: span["duration"].as_u64().unwrap_or_default(),
        tags: tags
            .map(|tag| (text(&tag["key"]), text(&tag["value"])))
            .collect(),
        depth: 0,
    }
}

/// Puts parents before their children, and these in the order of time.
fn in_order(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_by_key(|span| span.start_us);
    let known: Vec<String> = spans.iter().map(|span| span.id.clone()).collect();
    let mut below: BTreeMap<Option<String>, Vec<Span>> = BTreeMap::new();
    for span in spans {
        let parent = span.parent.clone().filter(|parent| known.contains(parent));
        below.entry(parent).or_default().push(span);
    }
    let mut ordered = Vec::new();
    let mut open: Vec<Span> = below.remove(&None).unwrap_or_default();
    open.reverse();
    while let Some(span) = open.pop() {
        let mut children = below.remove(&Some(span.id.clone())).unwrap_or_default();
        children.reverse();
        for child in &mut children {
            child.depth = span.depth + 1;
        }
        open.extend(children);
        ordered.push(span);
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_follow_their_parents_in_the_order_of_time() {
        let span = |id: &str, parent: Option<&str>, start_us| Span {
            id: id.to_owned(),
            parent: parent.map(str::to_owned),
            start_us,
            ..Span::default()
        };
        let spans = vec![
            span("late", Some("root"), 9),
            span("leaf", Some("early"), 3),
            span("root", None, 1),
            span("early", Some("root"), 2),
            span("torn", Some("unknown"), 8),
        ];
        let ordered = in_order(spans);
        let shown: Vec<_> = ordered
            .iter()
            .map(|span| (span.id.as_str(), span.depth))
            .collect();
        assert_eq!(
            shown,
            [
                ("root", 0),
                ("early", 1),
                ("leaf", 2),
                ("late", 1),
                ("torn", 0)
            ]
        );
    }
}
