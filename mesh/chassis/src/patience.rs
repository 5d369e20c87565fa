//! How long a client may take for the headers of a request.
//!
//! hyper's own header timeout also runs while a kept-alive connection idles. The sidecar pools
//! its connections for an hour, and one that we close just when it sends a request fails that
//! request. So the time counts here from the first byte of a request, and idling is free.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};

use crate::connection::Connection;

/// What a connection's requests tell its reader.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    begun: AtomicU64,
    answered: AtomicU64,
    /// WebSockets and the like: what comes from now on is no request.
    upgraded: AtomicBool,
}

impl Progress {
    /// The headers of a request are complete.
    pub(crate) fn begin(&self) {
        self.begun.fetch_add(1, Ordering::AcqRel);
    }

    /// A request is answered, but perhaps for the rest of its body.
    pub(crate) fn answer(&self, status: http::StatusCode) {
        if status == http::StatusCode::SWITCHING_PROTOCOLS {
            self.upgraded.store(true, Ordering::Release);
        }
        self.answered.fetch_add(1, Ordering::AcqRel);
    }

    fn requests(&self) -> u64 {
        self.begun.load(Ordering::Acquire)
    }

    fn is_idle(&self) -> bool {
        !self.upgraded.load(Ordering::Acquire)
            && self.answered.load(Ordering::Acquire) == self.requests()
    }
}

/// A connection whose reads fail when headers do not become complete in time.
#[derive(Debug)]
pub(crate) struct Patient {
    stream: Connection,
    progress: Arc<Progress>,
    limit: Duration,
    deadline: Pin<Box<Sleep>>,
    /// The number of requests so far when the clock was started; `None` while it stands.
    waiting_since: Option<u64>,
    first_read: bool,
    http2: bool,
}

impl Patient {
    /// The first request's clock starts now.
    pub(crate) fn new(stream: Connection, progress: Arc<Progress>, limit: Duration) -> Self {
        let deadline = Box::pin(tokio::time::sleep(limit));
        Self {
            stream,
            progress,
            limit,
            deadline,
            waiting_since: Some(0),
            first_read: true,
            http2: false,
        }
    }

    /// The connection, for who speaks something else over it from now on.
    pub(crate) fn into_stream(self) -> Connection {
        self.stream
    }

    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        match self.waiting_since {
            Some(requests) if requests == self.progress.requests() => {
                self.deadline.as_mut().poll(context).is_ready()
            }
            _ => {
                self.waiting_since = None;
                false
            }
        }
    }

    fn arrived(&mut self, bytes: &[u8]) {
        if std::mem::take(&mut self.first_read) {
            self.http2 = bytes.starts_with(b"PRI ");
        }
        // Later frames of an HTTP/2 connection need not belong to a request at all.
        let begins = self.waiting_since.is_none() && !self.http2 && self.progress.is_idle();
        if begins && !bytes.is_empty() {
            self.waiting_since = Some(self.progress.requests());
            self.deadline.as_mut().reset(Instant::now() + self.limit);
        }
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Pending if self.is_late(context) => {
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            Poll::Pending => Poll::Pending,
            done @ Poll::Ready(_) => {
                ready!(done)?;
                // A trickle of bytes is no excuse.
                if self.is_late(context) {
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
                self.arrived(&buffer.filled()[before..]);
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
