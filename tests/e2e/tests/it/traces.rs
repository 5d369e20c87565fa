//! Claim: one request is one tree of spans, from the ingress through both services with the
//! Envoys between.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::Value;
use testkit::{Mesh, eventually, mesh, send};

/// The spans of a trace: id to (parent, process, name).
type Spans = BTreeMap<String, (Option<String>, String, String)>;

async fn spans(trace_id: &str) -> Spans {
    let url = format!(
        "{}/api/traces/{trace_id}",
        Mesh::current().address("jaeger")
    );
    let reply = send(mesh::client().get(url)).await;
    let trace = &reply.json["data"][0];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let span = |span: &Value| {
        let parent = span["references"]
            .as_array()
            .and_then(|parents| parents.first())
            .map(|parent| text(&parent["spanID"]));
        let process = text(
            &trace["processes"][span["processID"].as_str().unwrap_or_default()]["serviceName"],
        );
        (
            text(&span["spanID"]),
            (parent, process, text(&span["operationName"])),
        )
    };
    trace["spans"]
        .as_array()
        .map(|spans| spans.iter().map(span).collect())
        .unwrap_or_default()
}

/// The processes from the root down to `span`.
fn path(spans: &Spans, span: &str) -> Vec<String> {
    let mut path = Vec::new();
    let mut next = Some(span.to_owned());
    while let Some((parent, process, _)) = next.and_then(|id| spans.get(&id).cloned()) {
        path.push(process);
        next = parent;
    }
    path.reverse();
    path
}

/// The spans of the request with this id, once they hang together and reach `discussions`.
async fn whole_tree(request_id: &str) -> Result<Spans, String> {
    let jaeger = Mesh::current().address("jaeger");
    let tags = format!("%7B%22http.request.id%22%3A%22{request_id}%22%7D");
    let url = format!("{jaeger}/api/traces?service=users&lookback=1h&limit=5&tags={tags}");
    let found = send(mesh::client().get(url)).await;
    let trace_id = found.json["data"][0]["traceID"].as_str();
    let spans = spans(trace_id.unwrap_or_default()).await;
    // Each process sends its spans in batches of its own, in any order: whole is a trace when every
    // parent is there, the ingress's as well.
    let missing = spans.values().filter(|(parent, ..)| {
        parent
            .as_ref()
            .is_some_and(|parent| !spans.contains_key(parent))
    });
    match (count_by_user(&spans), missing.count()) {
        (Some(_), 0) => Ok(spans),
        (_, missing) => Err(format!(
            "{request_id}: {missing} without their parent in {spans:#?}"
        )),
    }
}

/// The span of `discussions` that answers the call.
fn count_by_user(spans: &Spans) -> Option<&str> {
    let served = spans
        .iter()
        .find(|(_, (_, process, name))| process == "discussions" && name.contains("CountByUser"));
    served.map(|(id, _)| id.as_str())
}

#[tokio::test]
async fn a_profile_is_one_tree_from_the_ingress_through_both_services() {
    let mesh = Mesh::current();
    let person = mesh.person().await;
    // The trace is found by the request id, as by an operator who has only the answer.
    let request = mesh.request(Method::GET, &format!("/api/users/{}", person.id));
    let reply = send(request.bearer_auth(&person.token)).await;
    reply.expect(200);
    let request_id = reply.header("x-request-id");
    assert!(
        !request_id.is_empty(),
        "the answer names its request: {:?}",
        reply.headers
    );
    let spans = eventually("the whole trace", || whole_tree(request_id)).await;
    let path = path(&spans, count_by_user(&spans).unwrap());
    let processes: Vec<&str> = path.iter().map(String::as_str).collect();
    let expected = [
        "ingress",
        "users-sidecar",
        "users",
        "users",
        "users-sidecar",
        "discussions-sidecar",
        "discussions",
    ];
    assert_eq!(
        processes, expected,
        "the call of `users` has a span of its own"
    );
}
