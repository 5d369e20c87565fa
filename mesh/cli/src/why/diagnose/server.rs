//! What went wrong where the request was answered.

use super::{Case, Cause, cause, has};
use crate::why::trace::Span;

/// A request that took longer is slow, whatever it answered.
const SLOW_US: u64 = 1_000_000;

/// A store that fails or hangs.
pub(super) fn store(case: &Case<'_>) -> Option<Cause> {
    let story = case.story;
    if story.status().is_some_and(|status| status < 500) {
        return None;
    }
    let said = |words: &[&str]| {
        let messages = story
            .spans
            .iter()
            .filter_map(|span| Some((span, span.tag("error.message")?)));
        let mut found = messages
            .filter(|(span, text)| !span.is_call() && words.iter().any(|word| text.contains(word)));
        found.next()
    };
    let (by, message) = said(&["store is too slow", "store does not answer", "The store"])?;
    let calls = story
        .children(by)
        .filter(|span| span.tag("db.system").is_some() && span.tag("db.system") != Some("redis"));
    let longest = calls.max_by_key(|span| span.duration_us);
    let took = longest.map_or_else(String::new, |span| {
        format!(
            ": {} ({}) took {} ms of {} ms",
            span.name,
            system(span),
            span.duration_us / 1000,
            by.duration_us / 1000
        )
    });
    Some(cause(
        "slow store",
        format!(
            "the store of {} is slow or away{took} ({message})",
            by.process
        ),
        "see whether it runs: `cargo mesh status`, docs/runbooks/StoreAway.md",
    ))
}

/// A service that nobody answers for.
pub(super) fn dead(case: &Case<'_>) -> Option<Cause> {
    let story = case.story;
    if let Some(call) = story
        .spans
        .iter()
        .rfind(|span| span.is_call() && span.failed() && span.tag("peer.service").is_some())
    {
        let peer = call.tag("peer.service").unwrap_or_default();
        let said = call.tag("error.message").unwrap_or("no reason");
        let hangs = said.contains("in time") || said.contains("DeadlineExceeded");
        let how = if hangs {
            "did not answer in time (it hangs, or is overloaded)"
        } else {
            "does not answer"
        };
        if said.starts_with("Unavailable") || hangs {
            return Some(cause(
                "dead service",
                format!(
                    "{peer} {how} when {} called {}: {said}",
                    call.process, call.name
                ),
                restart(peer),
            ));
        }
    }
    let (process, flags) = story.flags().into_iter().find(|(_, flags)| {
        ["UH", "UF", "UC", "URX", "LH", "NC"]
            .iter()
            .any(|flag| has(flags, flag))
            || flags.contains("no_healthy")
            || flags.contains("connection_")
    })?;
    if story.status().is_some_and(|status| status < 500) {
        return None;
    }
    let service = process
        .strip_suffix("-sidecar")
        .map_or_else(|| case.upstream(), str::to_owned);
    Some(cause(
        "dead service",
        format!(
            "{service} does not answer: its process is gone or just ended ({process}: {flags})"
        ),
        restart(&service),
    ))
}

fn restart(service: &str) -> String {
    format!(
        "`cargo mesh status` and `cargo mesh logs {service}-1`; the supervisor starts it again (docs/runbooks/ServiceDown.md)"
    )
}

/// Most of the time went somewhere.
pub(super) fn slow(case: &Case<'_>) -> Option<Cause> {
    let story = case.story;
    let timed_out =
        story.flags().iter().any(|(_, flags)| has(flags, "UT")) && story.status() == Some(504);
    // What goes on behind the answer, in consumers, keeps nobody waiting.
    let root = story
        .spans
        .first()
        .filter(|span| span.duration_us >= SLOW_US || timed_out)?;
    let waited = story
        .spans
        .iter()
        .filter(|span| span.end_us() <= root.end_us() + SLOW_US);
    let longest = waited.max_by_key(|span| story.own_us(span)).unwrap_or(root);
    let kind = if longest.tag("db.system").is_some() {
        "slow store"
    } else {
        "slow request"
    };
    Some(cause(
        kind,
        format!(
            "{} took {} ms, {} ms of it in {} {}{}",
            story.request(),
            root.duration_us / 1000,
            story.own_us(longest) / 1000,
            longest.process,
            longest.name,
            if kind == "slow store" {
                format!(" ({})", system(longest))
            } else {
                String::new()
            }
        ),
        "see docs/runbooks/RouteSlow.md, and the figures of that store or service",
    ))
}

fn system(span: &Span) -> &str {
    match span.tag("db.system") {
        Some("mongodb") => "documents",
        Some(other) => other,
        None => "no store",
    }
}

/// Failed for another reason.
pub(super) fn failed(case: &Case<'_>) -> Option<Cause> {
    let status = case.story.status().filter(|status| *status >= 500)?;
    let errors = case
        .story
        .lines
        .iter()
        .filter(|line| line.text("level") == "ERROR");
    let said: Vec<String> = errors
        .map(|line| {
            format!(
                "{}: {} {}",
                line.process,
                line.text("message"),
                line.text("cause")
            )
            .trim()
            .to_owned()
        })
        .collect();
    let said = if said.is_empty() {
        "no log line says why".to_owned()
    } else {
        said.join("; ")
    };
    Some(cause(
        "failure",
        format!(
            "{} was answered with {status}: {said}",
            case.story.request()
        ),
        "see docs/runbooks/RouteErrors.md",
    ))
}
