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

#[tokio::test]
async fn a_profile_is_one_tree_from_the_ingress_through_both_services() {
    let mesh = Mesh::current();
    let person = mesh.person().await;
    // The trace id is found by the request id, as an operator would who has only the answer.
    let request = mesh.request(Method::GET, &format!("/api/users/{}", person.id));
    let reply = send(request.bearer_auth(&person.token)).await;
    reply.expect(200);
    let request_id = reply.header("x-request-id").to_owned();
    assert!(
        !request_id.is_empty(),
        "the answer names its request: {:?}",
        reply.headers
    );
    let spans = eventually("the whole trace", || async {
        let tags = format!("%7B%22http.request.id%22%3A%22{request_id}%22%7D");
        let url = format!(
            "{}/api/traces?service=users&lookback=1h&limit=5&tags={tags}",
            mesh.address("jaeger")
        );
        let found = send(mesh::client().get(url)).await;
        let trace_id = found.json["data"][0]["traceID"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let spans = spans(&trace_id).await;
        let reached = spans
            .values()
            .any(|(_, process, name)| process == "discussions" && name.contains("CountByUser"));
        let roots = spans.values().filter(|(parent, ..)| {
            parent
                .as_ref()
                .is_none_or(|parent| !spans.contains_key(parent))
        });
        if reached && roots.count() == 1 {
            Ok(spans.clone())
        } else {
            Err(format!("{request_id}: {spans:#?}"))
        }
    })
    .await;
    let served = spans
        .iter()
        .find(|(_, (_, process, name))| process == "discussions" && name.contains("CountByUser"));
    let path = path(&spans, served.unwrap().0);
    let place = |process: &str| path.iter().position(|name| name == process);
    let (ingress, users, discussions) = (path[0].as_str(), place("users"), place("discussions"));
    assert!(ingress.contains("ingress"), "{path:?}");
    assert!(users.is_some() && users < discussions, "{path:?}");
    let between = &path[users.unwrap() + 1..discussions.unwrap()];
    let envoys = between
        .iter()
        .filter(|process| *process != "users" && *process != "discussions")
        .count();
    assert!(
        envoys >= 2,
        "both sidecars stand between the services: {path:?}"
    );
    assert!(
        path[1..users.unwrap()]
            .iter()
            .any(|process| process != "users"),
        "the first sidecar too: {path:?}"
    );
}
