//! All numbers of this crate, in one place.
//!
//! | metric | what |
//! | --- | --- |
//! | `outbox_rows`, `outbox_oldest_seconds` | what this service has not handed to the broker yet |
//! | `events_published_total`, `events_confirmed_total` by `type` | what went out, and what the broker has on disk |
//! | `events_unrouted_total` by `type` | what no queue was bound for: it reached nobody |
//! | `queue_messages`, `queue_oldest_seconds` by `queue` | what waits for a consumer, and how long ago the oldest that it holds happened |
//! | `queue_dead_letters` by `queue` | what a person should look at: `cargo mesh dead-letters` |
//! | `events_consumed_total` by `queue`, `type`, `result` | deliveries that were `done`, `retried` or `dead` |
//! | `events_redelivered_total` by `queue` | what the broker delivered before |
//! | `events_commit_to_handler_seconds`, `events_handler_seconds` | how long an event took to its handler, and how long that took |
//! | `broker_connected` by `role`, `broker_blocked` | links, and whether the broker takes events |

use std::time::Duration;

use chrono::{DateTime, Utc};
use metrics::{counter, gauge, histogram};

/// What became of a delivery.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Outcome {
    /// Handled.
    Done,
    /// Waits for another try.
    Retried,
    /// In the dead letters.
    Dead,
}

impl Outcome {
    fn label(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Retried => "retried",
            Self::Dead => "dead",
        }
    }
}

/// An event was given to the broker.
pub(crate) fn published(kind: &str) {
    counter!("events_published_total", "type" => kind.to_owned()).increment(1);
}

/// The broker has it.
pub(crate) fn confirmed(kind: &str) {
    counter!("events_confirmed_total", "type" => kind.to_owned()).increment(1);
}

/// The broker has it, and no queue wanted it.
pub(crate) fn unrouted(kind: &str) {
    counter!("events_unrouted_total", "type" => kind.to_owned()).increment(1);
}

/// A delivery came to an end.
pub(crate) fn consumed(queue: &str, kind: &str, outcome: Outcome) {
    counter!(
        "events_consumed_total",
        "queue" => queue.to_owned(), "type" => kind.to_owned(), "result" => outcome.label()
    )
    .increment(1);
}

/// The broker says that it delivered this before.
pub(crate) fn redelivered(queue: &str) {
    counter!("events_redelivered_total", "queue" => queue.to_owned()).increment(1);
}

/// A handler begins: how long ago the change was made. Only first tries count.
pub(crate) fn began(queue: &str, kind: &str, time: DateTime<Utc>) {
    let age = (chassis::clock::now() - time).to_std().unwrap_or_default();
    histogram!(
        "events_commit_to_handler_seconds",
        "queue" => queue.to_owned(), "type" => kind.to_owned()
    )
    .record(age);
}

/// How long a handler took.
pub(crate) fn handled(queue: &str, kind: &str, took: Duration) {
    histogram!(
        "events_handler_seconds",
        "queue" => queue.to_owned(), "type" => kind.to_owned()
    )
    .record(took);
}

/// What waits in the outbox.
pub(crate) fn outbox(rows: i64, oldest: Duration) {
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
    gauge!("outbox_rows").set(rows as f64);
    gauge!("outbox_oldest_seconds").set(oldest.as_secs_f64());
}

/// What waits in a queue and in its dead letters.
pub(crate) fn queue(queue: &str, messages: u32, dead: u32) {
    gauge!("queue_messages", "queue" => queue.to_owned()).set(messages);
    gauge!("queue_dead_letters", "queue" => queue.to_owned()).set(dead);
}

/// How long ago the oldest event happened that a consumer holds.
pub(crate) fn oldest(queue: &str, age: Duration) {
    gauge!("queue_oldest_seconds", "queue" => queue.to_owned()).set(age.as_secs_f64());
}

/// A link to the broker: `publish` or a queue.
pub(crate) fn connected(role: &str, up: bool) {
    gauge!("broker_connected", "role" => role.to_owned()).set(if up { 1.0 } else { 0.0 });
}

/// The broker takes no events for now (memory or disk).
pub(crate) fn blocked(blocked: bool) {
    gauge!("broker_blocked").set(if blocked { 1.0 } else { 0.0 });
}
