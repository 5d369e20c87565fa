//! Keeps the copy of keys and logged-out tokens up to date, by a stream from `users`.

use std::{sync::Arc, time::Duration};

use metrics::{counter, gauge};
use proto::users::{TokensWatch, WatchRequest};
use tokio_util::sync::CancellationToken;

use crate::{Call, Tokens, Upstream, clock};

/// What following the tokens takes of the mesh.
pub(crate) const CALLS: &[Call] = &[Call::of::<TokensWatch>()];
/// `users` says something at least every five seconds: silence means that it hangs.
const SILENCE: Duration = Duration::from_secs(15);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Follows until `shutdown`; a lost stream is opened again, with growing pauses.
pub(crate) async fn tokens(upstream: Upstream, tokens: Arc<Tokens>, shutdown: CancellationToken) {
    let mut pause = FIRST_PAUSE;
    loop {
        let connected = gauge!("tokens_stream_connected");
        let followed = tokio::select! {
            () = shutdown.cancelled() => return,
            followed = follow(&upstream, &tokens) => followed,
        };
        connected.set(0.0);
        counter!("tokens_stream_losses_total").increment(1);
        tracing::warn!(cause = followed.cause, "token stream lost");
        pause = if followed.worked {
            FIRST_PAUSE
        } else {
            (pause * 2).min(LONGEST_PAUSE)
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// How a stream ended.
struct Followed {
    worked: bool,
    cause: String,
}

async fn follow(upstream: &Upstream, tokens: &Tokens) -> Followed {
    let mut stream = match upstream.stream::<TokensWatch>(WatchRequest {}).await {
        Ok(stream) => stream,
        Err(error) => {
            return Followed {
                worked: false,
                cause: error.to_string(),
            };
        }
    };
    let mut worked = false;
    loop {
        let cause = match tokio::time::timeout(SILENCE, stream.message()).await {
            Ok(Ok(Some(update))) => {
                worked = true;
                tokens.apply(update);
                gauge!("tokens_stream_connected").set(1.0);
                gauge!("tokens_stream_heard_timestamp_seconds").set(seconds());
                continue;
            }
            Ok(Ok(None)) => "users ended it".to_owned(),
            Ok(Err(status)) => status.message().to_owned(),
            Err(_) => "users is silent".to_owned(),
        };
        return Followed { worked, cause };
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "seconds since the epoch fit 53 bits"
)]
fn seconds() -> f64 {
    clock::now().timestamp() as f64
}
