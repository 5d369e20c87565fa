//! What went wrong behind an answer, or all around it.

use super::{Case, Cause, cause};

/// The mail server.
pub(super) fn mail(case: &Case<'_>) -> Option<Cause> {
    let span = case
        .story
        .spans
        .iter()
        .rfind(|span| span.name.starts_with("smtp.") && span.failed())?;
    let said = span.tag("error.message").unwrap_or_default();
    Some(cause(
        "mail server away",
        format!("the mail server did not take a mail: {said}"),
        "mend it; mails are tried again, then `cargo mesh dead-letters replay notifications.mail` (docs/runbooks/mail.md)",
    ))
}

/// An event that its consumer gave up.
pub(super) fn dead_letter(case: &Case<'_>) -> Option<Cause> {
    let line = case
        .story
        .lines
        .iter()
        .find(|line| line.text("message") == "event is dead")?;
    let queue = line.text("queue");
    Some(cause(
        "dead letter",
        format!(
            "{} gave up an event of {queue}: {}",
            line.process,
            line.text("reason")
        ),
        format!(
            "mend that, then `cargo mesh dead-letters replay {queue}` (docs/runbooks/DeadLetters.md)"
        ),
    ))
}

/// An event that was published, and that nobody has taken yet.
pub(super) fn waiting(case: &Case<'_>) -> Option<Cause> {
    let story = case.story;
    let span = story.spans.iter().find(|span| {
        let published = span.name.starts_with("amqp.") && span.name.ends_with(".publish");
        published && story.children(span).next().is_none()
    })?;
    let event = span
        .name
        .trim_start_matches("amqp.")
        .trim_end_matches(".publish");
    let id = span.tag("messaging.message.id").unwrap_or_default();
    let queues = case
        .now
        .labels("max by (queue) (queue_oldest_seconds) > 3", "queue");
    if queues.is_empty() && !story.is_settled() {
        return None;
    }
    let full = if queues.is_empty() {
        "no queue is known to be late".to_owned()
    } else {
        format!("queues whose events wait: {}", queues.join(", "))
    };
    Some(cause(
        "event waiting",
        format!("the event {event} ({id}) was published and nobody has consumed it: {full}"),
        "see whether its consumers run: `cargo mesh status`, docs/runbooks/QueueOld.md",
    ))
}

/// Without Redis everything is answered from the stores: slower, and no trace says so.
pub(super) fn redis(case: &Case<'_>) -> Option<Cause> {
    let failed = case
        .story
        .spans
        .iter()
        .any(|span| span.name.starts_with("redis.") && span.failed());
    let away = case.now.labels("redis_connected == 0", "service");
    let ours: Vec<&String> = away
        .iter()
        .filter(|service| {
            case.story
                .spans
                .iter()
                .any(|span| span.process == **service)
        })
        .collect();
    if ours.is_empty() && !failed {
        return None;
    }
    let who: Vec<&str> = ours.iter().map(|service| service.as_str()).collect();
    Some(cause(
        "Redis away",
        format!(
            "Redis is away for {}: answers come from the stores",
            who.join(", ")
        ),
        "see whether it runs: `cargo mesh status`, docs/runbooks/RedisAway.md",
    ))
}
