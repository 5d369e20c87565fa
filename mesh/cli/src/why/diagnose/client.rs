//! What the way to a service refused: the client's doing, or limits.

use super::{Case, Cause, cause, has};

/// The ingress knows no such path.
pub(super) fn unrouted(case: &Case<'_>) -> Option<Cause> {
    let access = case.story.access()?;
    let unknown = access.text("response.flags").contains("NR")
        || access.text("response.details").contains("route_not_found");
    unknown.then(|| {
        cause("unknown route", format!("no service has a route for {}", case.story.request()), "see /docs for what there is; a new route is in Consul after `cargo mesh generate` and `cargo mesh up`")
    })
}

/// The client's own doing.
pub(super) fn refused(case: &Case<'_>) -> Option<Cause> {
    let story = case.story;
    let status = story
        .status()
        .filter(|status| (400..500).contains(status))?;
    let mut answered = story
        .spans
        .iter()
        .filter(|span| span.status() == Some(status));
    let by = answered
        .clone()
        .next_back()
        .map_or("ingress", |span| span.process.as_str());
    let details = story.access().map(|line| line.text("response.details"));
    let said = answered
        .find_map(|span| span.tag("error.message"))
        .map(str::to_owned);
    let said = said.or(details).unwrap_or_default();
    let again = "log in again for a new token";
    let (kind, what, action) = match status {
        401 if said.contains("expired") => ("expired token", "the token has expired", again),
        401 if said.contains("logged out") => ("revoked token", "the token was logged out", again),
        401 => (
            "bad token",
            "there is no token, or none of this mesh",
            "send `Authorization: Bearer <token>`",
        ),
        408 => (
            "slow client",
            "the request did not arrive in time",
            "send it faster",
        ),
        413 => (
            "too large",
            "the body is too large",
            "send less; the limit stands in /docs",
        ),
        429 => (
            "rate limited",
            "this may not be asked so often",
            "wait as long as `Retry-After` says",
        ),
        431 => (
            "too large",
            "the headers are too large",
            "send fewer or shorter ones",
        ),
        _ => (
            "refused",
            "the request was refused",
            "mend it as the `detail` of its answer says",
        ),
    };
    Some(cause(
        kind,
        format!(
            "{what}: {by} answered {} with {status} ({said})",
            story.request()
        ),
        action,
    ))
}

/// Envoy's limits, or the service's own.
pub(super) fn overloaded(case: &Case<'_>) -> Option<Cause> {
    let flags = case.story.flags();
    let open = flags
        .iter()
        .find(|(_, flags)| has(flags, "UO") || flags.contains("overflow"));
    if let Some((process, flags)) = open {
        return Some(cause(
            "open circuit",
            format!(
                "{process} lets no more requests through to {} (circuit breaker, {flags})",
                case.upstream()
            ),
            "let it recover, or start more instances; the limits are in consul/ and mesh/cli/src/proxy.rs",
        ));
    }
    let busy = case.story.spans.iter().find(|span| {
        span.tag("error.message")
            .is_some_and(|said| said.starts_with("Too busy"))
    })?;
    Some(cause(
        "overload",
        format!(
            "{} has more requests than it can answer and shed this one",
            busy.process
        ),
        "start more instances (the autoscaler does), or send less",
    ))
}
