//! The time of day and random ids: the only place that asks for them.

use chrono::{DateTime, SubsecRound as _, Utc};
use uuid::Uuid;

/// Now, to the microsecond: the precision that every store of ours keeps.
pub fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

/// A new id: version 7, so that later ids of one process are greater, and those of others nearly so.
pub fn id() -> Uuid {
    Uuid::now_v7()
}

/// A time as the contracts write it: RFC 3339 in UTC, with microseconds and `Z`.
pub fn text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}
