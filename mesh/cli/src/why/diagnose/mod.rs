//! What a story means: rules, each of which knows one kind of trouble, the most certain first.

mod behind;
mod client;
mod server;
#[cfg(test)]
mod tests;

use serde::Serialize;

use self::behind::{dead_letter, mail, redis, waiting};
use self::client::{overloaded, refused, unrouted};
use self::server::{dead, failed, slow, store};
use super::declared::Sources;
use super::denied::denied;
use super::now::Now;
use super::story::Story;

/// Why something went as it did.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// Its kind, in a word or two.
    pub kind: &'static str,
    /// What happened.
    #[serde(rename = "cause")]
    pub text: String,
    /// What to do.
    #[serde(rename = "do")]
    pub action: String,
}

/// Makes a cause.
pub fn cause(kind: &'static str, text: impl Into<String>, action: impl Into<String>) -> Cause {
    Cause {
        kind,
        text: text.into(),
        action: action.into(),
    }
}

/// All that there is to know.
pub struct Case<'a> {
    /// What is known of the request.
    pub story: &'a Story,
    /// What is declared.
    pub sources: &'a Sources,
    now: &'a Now,
}

type Rule = fn(&Case<'_>) -> Option<Cause>;

/// The first that applies is what the client felt.
const ANSWERS: [Rule; 8] = [
    denied, unrouted, refused, overloaded, store, dead, slow, failed,
];
/// What went on behind the answer.
const BEHIND: [Rule; 4] = [mail, dead_letter, waiting, redis];

/// Returns why a request went as it did.
pub fn causes(story: &Story, sources: &Sources, now: &Now) -> Vec<Cause> {
    let case = Case {
        story,
        sources,
        now,
    };
    let answered = ANSWERS.iter().find_map(|rule| rule(&case));
    let mut causes: Vec<Cause> = answered
        .into_iter()
        .chain(BEHIND.iter().filter_map(|rule| rule(&case)))
        .collect();
    let alerts = now.alerts();
    if !alerts.is_empty() {
        let runbooks: Vec<_> = alerts
            .iter()
            .map(|alert| format!("docs/runbooks/{alert}.md"))
            .collect();
        causes.push(cause(
            "alerts",
            format!("alerts fire right now: {}", alerts.join(", ")),
            format!("read {}", runbooks.join(", ")),
        ));
    }
    if causes.is_empty() {
        causes.push(fine(story));
    }
    causes
}

fn fine(story: &Story) -> Cause {
    let status = story.status().map_or_else(
        || "its end is not known".to_owned(),
        |status| format!("answered with {status}"),
    );
    let Some(root) = story.spans.first() else {
        return cause(
            "unknown",
            format!("{status}; without spans no more can be said"),
            "look again when Jaeger is back",
        );
    };
    let longest = story
        .spans
        .iter()
        .max_by_key(|span| story.own_us(span))
        .unwrap_or(root);
    cause(
        "fine",
        format!(
            "nothing went wrong: {status} after {} ms; the longest step was {} {} with {} ms",
            root.duration_us / 1000,
            longest.process,
            longest.name,
            story.own_us(longest) / 1000
        ),
        "nothing",
    )
}

impl Case<'_> {
    /// The service that the ingress sent the request to.
    fn upstream(&self) -> String {
        let cluster = self
            .story
            .access()
            .map(|line| line.text("upstream.cluster"))
            .unwrap_or_default();
        let spans = self
            .story
            .spans
            .iter()
            .filter_map(|span| span.tag("upstream_cluster.name"));
        let named = std::iter::once(cluster.as_str())
            .chain(spans)
            .find(|name| name.contains('.'));
        named
            .and_then(|name| name.split('.').next())
            .unwrap_or("the service")
            .to_owned()
    }
}

/// Whether a flag is among those that Envoy gave, separated by commas.
pub(super) fn has(flags: &str, flag: &str) -> bool {
    flags.split([',', ' ']).any(|one| one == flag)
}
