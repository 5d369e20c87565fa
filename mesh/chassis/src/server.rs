//! The accept loop under Warp and tonic.
//!
//! Warp 0.4's own server has no header timeout, no connection cap and no deadline for its
//! shutdown; this one has, for REST and gRPC on the same port.

use std::{convert::Infallible, sync::Arc, time::Duration};

use http::{Request, Response};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{
    connection::Connection,
    front::Body,
    listen::Listener,
    patience::{Patient, Progress},
};

/// A connection may idle for longer than any proxy pools it: the proxy then closes it, not we.
const IDLE_TIMEOUT: Duration = Duration::from_mins(65);
/// An HTTP/2 peer that does not answer pings is gone.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// Requests that one HTTP/2 connection may have open.
const MAX_STREAMS: u32 = 256;
/// Bytes of headers that one request may have.
const MAX_HEADER_BYTES: u32 = 32 * 1024;

/// Bounds of a listener.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Connections open at once; more wait in the kernel's queue.
    pub(crate) connections: usize,
    /// Headers that are not complete by then end the connection (slow-header attacks).
    pub(crate) headers: Duration,
    /// What open requests get to finish once `shutdown` is called.
    pub(crate) drain: Duration,
}

/// Serves `listener` until `shutdown`, then drains; what is not done by then is cut.
pub(crate) async fn serve<F, R>(
    listener: Listener,
    bounds: Bounds,
    shutdown: CancellationToken,
    handle: F,
) where
    F: Fn(Request<Incoming>) -> R + Clone + Send + 'static,
    R: Future<Output = Response<Body>> + Send + 'static,
{
    let permits = Arc::new(Semaphore::new(bounds.connections));
    let builder = Arc::new(connection_builder());
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &permits) => accepted,
        };
        let Some((stream, permit)) = accepted else {
            continue;
        };
        let handle = handle.clone();
        let progress = Arc::new(Progress::default());
        let stream = Patient::new(stream, Arc::clone(&progress), bounds.headers);
        let service = service_fn(move |request| {
            progress.begin();
            let (reply, progress) = (handle(request), Arc::clone(&progress));
            async move {
                let response = reply.await;
                progress.answer(response.status());
                Ok::<_, Infallible>(response)
            }
        });
        let builder = Arc::clone(&builder);
        let connection = builder
            .serve_connection_with_upgrades(TokioIo::new(stream), service)
            .into_owned();
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(cause = %error, "connection ended early");
            }
            drop(permit);
        });
    }
    drop(listener);
    if tokio::time::timeout(bounds.drain, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("requests were cut off: they did not finish within the drain deadline");
    }
}

/// One connection, once there is room for it; `None` when accepting failed.
async fn accept(
    listener: &Listener,
    permits: &Arc<Semaphore>,
) -> Option<(Connection, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok(stream) => Some((stream, permit)),
        Err(error) => {
            // Out of file descriptors, most likely: spinning would only make it worse.
            tracing::warn!(cause = %error, "cannot accept connections");
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

fn connection_builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_TIMEOUT)
        .max_buf_size(64 * 1024)
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADER_BYTES)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}
