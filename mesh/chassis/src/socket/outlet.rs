//! The way out of a socket: its own task has it, and whoever talks to many sockets at once.
//!
//! What is said to thousands is encoded once and written where it is said: mostly the connection
//! takes it, and no task is woken for it. What it does not take waits in a queue for the task.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, Waker, ready},
};

use bytes::{Buf as _, Bytes};
use tokio::io::AsyncWrite;
use tokio_tungstenite::tungstenite::protocol::frame::{
    self,
    coding::{Data, OpCode},
};

use super::Frame;
use crate::connection::{Output, try_write};

/// A text message as it goes over the wire, for as many sockets as there are.
#[derive(Debug, Clone)]
pub struct Encoded(Bytes);

impl Encoded {
    /// Encodes a text.
    pub fn new(text: &Frame) -> Self {
        let frame = frame::Frame::message(text.clone(), OpCode::Data(Data::Text), true);
        let mut bytes = Vec::with_capacity(frame.len());
        // Writing to memory does not fail.
        let _ = frame.format(&mut bytes);
        Self(bytes.into())
    }
}

/// Why a message is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Too much waits already: its reader is too slow.
    Full,
    /// Nobody is there any more.
    Gone,
}

/// The way out of a socket, for others than its own task. The connection ends with the socket,
/// whoever still has this.
#[derive(Debug, Clone)]
pub struct Outlet {
    queue: Weak<Mutex<Queue>>,
    most: usize,
}

impl Outlet {
    /// Sends a message: at once, or in its turn when the connection takes it again.
    ///
    /// # Errors
    /// When it does not, and more waits than may.
    pub fn send(&self, message: &Encoded) -> Result<(), Refused> {
        let queue = self.queue.upgrade().ok_or(Refused::Gone)?;
        let mut queue = lock(&queue);
        let mut rest = message.0.clone();
        if queue.waiting.is_empty() {
            match try_write(&queue.connection, &rest) {
                Ok(written) if written == rest.len() => return Ok(()),
                Ok(written) => rest.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Err(Refused::Gone),
            }
        } else if queue.waiting.len() >= self.most {
            return Err(Refused::Full);
        }
        queue.waiting.push_back(rest);
        if let Some(task) = queue.task.take() {
            task.wake();
        }
        Ok(())
    }
}

/// The writing half of a connection. Messages go whole into it, whoever writes them.
#[derive(Debug)]
pub(super) struct Out(Arc<Mutex<Queue>>);

#[derive(Debug)]
struct Queue {
    connection: Output,
    /// Messages in their order; the first may have been written in part.
    waiting: VecDeque<Bytes>,
    /// The socket's own, to be woken when something waits.
    task: Option<Waker>,
}

impl Out {
    pub(super) fn new(connection: Output) -> Self {
        Self(Arc::new(Mutex::new(Queue {
            connection,
            waiting: VecDeque::new(),
            task: None,
        })))
    }

    /// For others, who may have so many messages wait.
    pub(super) fn outlet(&self, most: usize) -> Outlet {
        let queue = Arc::downgrade(&self.0);
        Outlet { queue, most }
    }

    /// Sends what waits as far as the connection takes it, now and whenever the task is polled.
    pub(super) fn keep_flowing(&self, context: &mut Context<'_>) {
        let mut queue = self.queue();
        if queue.poll_empty(context).is_pending() {
            return;
        }
        let known = queue.task.as_ref();
        if known.is_none_or(|task| !task.will_wake(context.waker())) {
            queue.task = Some(context.waker().clone());
        }
    }

    /// Forgets what waits, but for the message that was begun.
    pub(super) fn forget(&self) {
        self.queue().waiting.truncate(1);
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        lock(&self.0)
    }
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Queue {
    /// Sends all that waits.
    fn poll_empty(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(first) = self.waiting.front_mut() {
            match ready!(Pin::new(&mut self.connection).poll_write(context, first)) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(written) => first.advance(written),
                Err(error) => return Poll::Ready(Err(error)),
            }
            if first.is_empty() {
                self.waiting.pop_front();
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Out {
    /// Takes all or nothing, so that nobody else's message gets into the middle of it.
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut queue = self.queue();
        ready!(queue.poll_empty(context))?;
        let written = ready!(Pin::new(&mut queue.connection).poll_write(context, bytes))?;
        if written < bytes.len() {
            let rest = Bytes::copy_from_slice(&bytes[written..]);
            queue.waiting.push_back(rest);
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.queue().poll_empty(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut queue = self.queue();
        ready!(queue.poll_empty(context))?;
        Pin::new(&mut queue.connection).poll_shutdown(context)
    }
}
