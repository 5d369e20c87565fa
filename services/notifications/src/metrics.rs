//! All numbers of this service, in one place.
//!
//! | metric | what |
//! | --- | --- |
//! | `notifications_total` by `type`, `result` | tries that ended `sent`, `retried`, `failed` or `unclear` |
//! | `notifications_send_seconds` by `type` | how long a try took |

use std::time::Duration;

use metrics::{counter, histogram};

use crate::model::Kind;

/// A try came to its end.
pub(crate) fn tried(kind: Kind, result: &'static str, took: Duration) {
    counter!("notifications_total", "type" => kind.as_str(), "result" => result).increment(1);
    histogram!("notifications_send_seconds", "type" => kind.as_str()).record(took);
}
