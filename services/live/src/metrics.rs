//! What is measured: sockets and rooms are what `live` scales on (S0-23).

use metrics::{counter, gauge};

/// One socket more.
pub(crate) fn opened() {
    gauge!("live_sockets").increment(1.0);
}

/// One socket less, and why: one of a handful of words.
pub(crate) fn closed(why: &'static str) {
    gauge!("live_sockets").decrement(1.0);
    counter!("live_sockets_closed_total", "why" => why).increment(1);
}

/// How many sockets this instance takes.
pub(crate) fn limit(sockets: usize) {
    gauge!("live_sockets_limit").set(u32::try_from(sockets).unwrap_or(u32::MAX));
    // Known from the start, not from the first socket.
    gauge!("live_sockets").increment(0.0);
}

/// How many rooms have somebody in them.
pub(crate) fn rooms(number: usize) {
    gauge!("live_rooms").set(u32::try_from(number).unwrap_or(u32::MAX));
}

/// Frames that were said to sockets.
pub(crate) fn delivered(frames: usize) {
    counter!("live_frames_total").increment(frames as u64);
}

/// Comments that Redis did not bring in time.
pub(crate) fn fetched(comments: usize) {
    counter!("live_comments_fetched_total").increment(comments as u64);
}
