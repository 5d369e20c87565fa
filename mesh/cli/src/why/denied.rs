//! Calls that an intention refused.

use super::declared::{self, Declared};
use super::diagnose::{Case, Cause, cause};
use super::story::Story;
use super::trace::Span;

const KIND: &str = "denied call";

/// An intention refused a call: an Envoy says 403, and nothing is below it.
pub fn denied(case: &Case<'_>) -> Option<Cause> {
    let refusal = case
        .story
        .spans
        .iter()
        .find(|span| is_refusal(case.story, span))?;
    let callee = refusal.process.trim_end_matches("-sidecar");
    let Some((caller, path)) = caller(case.story, refusal) else {
        return Some(stranger(callee, &case.sources.look_up(None, callee, "")));
    };
    let call = if caller == "ingress" {
        case.story.request()
    } else {
        format!("POST {path}")
    };
    let what = format!(
        "{caller} may not call {callee}: {call} was denied (RBAC) by the sidecar of {callee}"
    );
    let declared = case.sources.look_up(Some(&caller), callee, &path);
    let (file, line) = (declared::file(callee), &declared.line);
    Some(if declared.in_file && declared.in_consul == Some(false) {
        let text = format!(
            "{what}; {file} allows it (declared at {line}), but the intention that Consul has does not"
        );
        cause(
            KIND,
            text,
            "run `cargo mesh up`, which writes the intentions to Consul again",
        )
    } else {
        let action = format!("if it is wanted, declare it at {line} and run `cargo mesh generate`");
        cause(KIND, format!("{what}; {file} does not allow it"), action)
    })
}

/// In gRPC the status is 200 and the refusal is gRPC's own.
fn is_refusal(story: &Story, span: &Span) -> bool {
    let refused = span.status() == Some(403) || span.tag("grpc.status_code") == Some("7");
    let of_callee = span.is_proxy() && span.process.ends_with("-sidecar");
    refused && of_callee && story.children(span).next().is_none()
}

/// Who called, and which path.
fn caller(story: &Story, refusal: &Span) -> Option<(String, String)> {
    let mut above = std::iter::successors(story.parent(refusal), |span| story.parent(span));
    let span = above.find(|span| !span.process.ends_with("-sidecar"))?;
    let path = if span.process == "ingress" {
        story
            .access()
            .map_or_else(String::new, |line| line.text("url.path"))
    } else {
        format!("/{}", span.name.trim_start_matches('/'))
    };
    Some((span.process.clone(), path))
}

/// A caller without a span is no application of the mesh.
fn stranger(callee: &str, declared: &Declared) -> Cause {
    let text = format!(
        "the sidecar of {callee} denied a call (RBAC), and its caller left no span: no application of the mesh, but somebody with the certificate of one; {} lets {} call",
        declared::file(callee),
        declared.callers.join(", ")
    );
    let action = "find who holds a service's certificate (docs/runbooks/IntentionsDenied.md); a call that is wanted is declared in the caller's `fn calls()`, then `cargo mesh generate`";
    cause(KIND, text, action)
}
