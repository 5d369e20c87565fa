//! The traces of what is said: each frame of a client begins one, and what instances pass to each
//! other goes on in it.

use telemetry::propagation::{self, Origin};
use tracing::{Span, info_span};

use crate::model::RoomName;

/// The span of a frame, in a trace of its own: a socket stays open for hours, and a trace that long
/// is of no use. It refers to the request that opened the socket.
pub(crate) fn frame(kind: &str, opened: &Origin) -> Span {
    let span = info_span!(
        parent: None,
        "socket",
        otel.name = format!("socket.{kind}"),
        otel.kind = "server",
        network.protocol.name = "websocket",
    );
    propagation::link(&span, opened);
    span
}

/// The span of telling those here what was said, in the trace of who said it.
pub(crate) fn delivery(room: &RoomName, traceparent: &str) -> Span {
    if traceparent.is_empty() {
        return Span::none();
    }
    let span = info_span!(
        parent: None,
        "socket.deliver",
        otel.kind = "consumer",
        messaging.system = "redis",
        socket.room = room.as_str(),
    );
    propagation::continue_from_text(&span, traceparent);
    span
}
