//! WebSockets (RFC 6455) as routes: who may open one, and what is told to both sides at its end.
//!
//! A route made by [`Route::socket`] is found, labelled and documented as any other. Its handler
//! may still refuse with a problem document; what it returns otherwise talks over the socket, as
//! a task that the process waits for when it ends.

mod handshake;
mod life;
mod origin;
mod outlet;

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context as Waker, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _, future::BoxFuture};
use http::{Method, StatusCode};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::{rt::TokioIo, server::conn::auto::upgrade::downcast};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, Join, ReadBuf, join};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self, Message,
        protocol::{CloseFrame, Role, WebSocketConfig},
    },
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use handshake::identify;
pub use life::Life;
pub(crate) use origin::{Origins, parse as parse_origin};
pub use outlet::{Encoded, Outlet, Refused};
pub use tokio_tungstenite::tungstenite::Utf8Bytes as Frame;

use self::{
    handshake::{accept_key, switching},
    life::Over,
    outlet::Out,
};
use crate::{
    Auth, Code, Context, Error, Identity, Request, Route, Tokens,
    connection::{self, Connection, Input},
    patience::Patient,
    route::{Answered, Endpoint},
    schema::Shape,
};

/// Bytes of the largest message, in however many frames it comes: a comment with each of its characters escaped, and its
/// envelope. What is said over a socket is checked against it where its bounds are (`live`).
pub const MAX_MESSAGE: usize = 32 * 1024;
/// Bytes that a message may take on the wire: one in ever smaller pieces, even empty ones, might
/// never end otherwise.
const MAX_WIRE: usize = 4 * MAX_MESSAGE;
/// Bytes of a control frame of a client, beside its payload.
const CONTROL_HEADER: usize = 6;
/// Bytes that are read at once: an idle socket keeps a buffer of this size.
const READ_BUFFER: usize = 4 * 1024;
/// Bytes that may wait in a socket for a slow reader, beside the kernel's.
const WRITE_BUFFER: usize = 256 * 1024;
/// What a client may take to complete the change of protocols.
const PATIENCE: Duration = Duration::from_secs(2);
/// What a client may take to read a farewell: a slow one has much in front of it.
const FAREWELL: Duration = Duration::from_secs(8);

/// Why a socket ends: a code of RFC 6455, 7.4.1, and the words for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// The close code.
    pub code: u16,
    /// At most 123 bytes.
    pub reason: &'static str,
}

impl Ending {
    /// An ending with a code and a reason.
    pub const fn new(code: u16, reason: &'static str) -> Self {
        Self { code, reason }
    }

    /// This instance ends; another one answers.
    pub const RESTART: Self = Self::new(1012, "This instance restarts: connect again");
}

/// What came over a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// A text message.
    Text(Frame),
    /// A binary message.
    Binary,
    /// A ping; it is answered already.
    Ping,
    /// The answer to a ping.
    Pong,
    /// The other side has gone.
    Gone,
    /// The other side broke the rules: the socket has to end like this.
    Broken(Ending),
    /// The process or the token of who opened it ends, and the socket has to end like this.
    Over(Ending),
}

/// The reading half of a connection, which gives up on a message that does not end.
#[derive(Debug)]
struct Metered {
    connection: Input,
    /// Bytes read since the last message ended.
    unfinished: usize,
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        waker: &mut Waker<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.unfinished > MAX_WIRE {
            return Poll::Ready(Err(io::ErrorKind::QuotaExceeded.into()));
        }
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.connection).poll_read(waker, buffer));
        self.unfinished += buffer.filled().len() - before;
        Poll::Ready(read)
    }
}

/// An open WebSocket.
#[derive(Debug)]
pub struct Socket {
    stream: WebSocketStream<Join<Metered, Out>>,
    life: Life,
    over: Over,
}

impl Socket {
    /// What the socket does not outlive: for those who do something else than to wait for [`Socket::next`].
    pub fn life(&self) -> Life {
        self.life.clone()
    }

    /// The socket is another one's than it was opened by, and ends with that one's token.
    pub fn belongs_to(&mut self, identity: &Identity) {
        self.life = self.life.with(identity);
        self.over = Over::of(&self.life);
    }

    /// The way out for those who talk to many sockets, and may have so many messages wait.
    pub fn outlet(&self, most: usize) -> Outlet {
        self.stream.get_ref().writer().outlet(most)
    }

    /// Waits for what comes next, and sends what waits. Nothing is lost when this is given up
    /// halfway.
    pub async fn next(&mut self) -> Received {
        loop {
            let next = poll_fn(|waker| {
                if let Poll::Ready(ending) = self.over.poll(waker) {
                    return Poll::Ready(Err(ending));
                }
                self.stream.get_ref().writer().keep_flowing(waker);
                self.stream.poll_next_unpin(waker).map(Ok)
            });
            let next = match next.await {
                Ok(next) => next,
                Err(ending) => return Received::Over(ending),
            };
            self.count(next.as_ref());
            return match next {
                None => Received::Gone,
                Some(Ok(Message::Close(_))) => {
                    // The answer to it, which the other side waits for, is in the buffer (RFC 6455, 5.5.1).
                    let _ = tokio::time::timeout(FAREWELL, self.flush()).await;
                    Received::Gone
                }
                Some(Ok(Message::Text(text))) => Received::Text(text),
                Some(Ok(Message::Binary(_))) => Received::Binary,
                Some(Ok(Message::Ping(_))) => Received::Ping,
                Some(Ok(Message::Pong(_))) => Received::Pong,
                Some(Ok(Message::Frame(_))) => continue,
                Some(Err(error)) => ending(&error).map_or(Received::Gone, Received::Broken),
            };
        }
    }

    /// A message has ended; a ping in the middle of one ends nothing.
    fn count(&mut self, next: Option<&tungstenite::Result<Message>>) {
        let unfinished = &mut self.stream.get_mut().reader_mut().unfinished;
        *unfinished = match next {
            Some(Ok(Message::Ping(payload) | Message::Pong(payload))) => {
                unfinished.saturating_sub(payload.len() + CONTROL_HEADER)
            }
            _ => 0,
        };
    }

    /// Puts a message into the buffer; [`Socket::flush`] sends it. `false` when the other side has gone.
    pub async fn feed(&mut self, frame: Frame) -> bool {
        self.stream.feed(Message::Text(frame)).await.is_ok()
    }

    /// Sends what is in the buffer. `false` when the other side has gone.
    pub async fn flush(&mut self) -> bool {
        self.stream.flush().await.is_ok()
    }

    /// Sends a message. `false` when the other side has gone.
    pub async fn send(&mut self, frame: Frame) -> bool {
        self.stream.send(Message::Text(frame)).await.is_ok()
    }

    /// Asks whether the other side is still there. `false` when it has gone.
    pub async fn ping(&mut self) -> bool {
        self.stream.send(Message::Ping(Bytes::new())).await.is_ok()
    }

    /// Says why, instead of what waits, and ends. Whoever does not read it in time does not get it.
    pub async fn close(self, ending: Ending) {
        self.close_after(&[], ending).await;
    }

    /// As [`Socket::close`], after some last words.
    pub async fn close_after(mut self, words: &[Frame], ending: Ending) {
        let farewell = CloseFrame {
            code: ending.code.into(),
            reason: Frame::from_static(ending.reason),
        };
        self.stream.get_ref().writer().forget();
        let closing = async {
            for word in words {
                let word = Message::Text(word.clone());
                self.stream.feed(word).await.ok()?;
            }
            self.stream
                .send(Message::Close(Some(farewell)))
                .await
                .ok()?;
            let connection = self.stream.get_mut();
            connection.shutdown().await.ok()?;
            let connection = &mut connection.reader_mut().connection;
            // What is unread when a connection ends may take the farewell with it.
            let mut rest = [0; 1024];
            while connection.read(&mut rest).await.ok()? > 0 {}
            Some(())
        };
        let _ = tokio::time::timeout(FAREWELL, closing).await;
    }
}

/// How to end after an error; `None` when nobody is there to be told.
fn ending(error: &tungstenite::Error) -> Option<Ending> {
    match error {
        tungstenite::Error::Capacity(_) => Some(Ending::new(1009, "The message is too big")),
        tungstenite::Error::Io(error) if error.kind() == io::ErrorKind::QuotaExceeded => {
            Some(Ending::new(1009, "The message comes in too many pieces"))
        }
        tungstenite::Error::Utf8(_) => Some(Ending::new(1007, "The message is not UTF-8")),
        tungstenite::Error::Protocol(
            tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
        ) => None,
        tungstenite::Error::Protocol(_) => Some(Ending::new(1002, "This is no WebSocket frame")),
        _ => None,
    }
}

/// What talks over a socket once it is open.
pub struct Talk(Box<dyn FnOnce(Socket) -> BoxFuture<'static, ()> + Send>);

impl std::fmt::Debug for Talk {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Talk")
    }
}

impl Talk {
    /// Talks by an `async` function, whose end is that of the socket.
    pub fn new<R>(talk: impl FnOnce(Socket) -> R + Send + 'static) -> Self
    where
        R: Future<Output = ()> + Send + 'static,
    {
        Self(Box::new(|socket| Box::pin(talk(socket))))
    }
}

/// What the sockets of a process share.
#[derive(Debug)]
pub(crate) struct Sockets {
    pub(crate) origins: Origins,
    tokens: Arc<Tokens>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl Sockets {
    pub(crate) fn new(context: &Context) -> Self {
        Self {
            origins: Origins::new(&context.settings),
            tokens: Arc::clone(&context.tokens),
            tasks: context.tasks.clone(),
            shutdown: context.shutdown.clone(),
        }
    }

    /// Refuses what is no handshake, and pages of foreign origins.
    pub(crate) fn admit(&self, request: &Request) -> Result<(), Error> {
        accept_key(&request.headers)?;
        self.origins.admit(&request.headers)
    }
}

/// The connection under a request, for the taking.
#[derive(Debug, Clone)]
pub(crate) struct Upgrade {
    connection: OnUpgrade,
    sockets: Arc<Sockets>,
}

impl Upgrade {
    pub(crate) fn new(connection: OnUpgrade, sockets: &Arc<Sockets>) -> Self {
        Self {
            connection,
            sockets: Arc::clone(sockets),
        }
    }

    fn start(self, talk: Talk, identity: Option<&Identity>) {
        let life = Life::new(Arc::clone(&self.sockets), identity);
        self.sockets.tasks.spawn(async move {
            let Ok(Ok(upgraded)) = tokio::time::timeout(PATIENCE, self.connection).await else {
                return;
            };
            let Some((connection, read)) = connection_of(upgraded) else {
                tracing::error!("a WebSocket over something that is no connection of ours");
                return;
            };
            let config = WebSocketConfig::default()
                .read_buffer_size(READ_BUFFER)
                .write_buffer_size(READ_BUFFER)
                .max_write_buffer_size(WRITE_BUFFER)
                .max_message_size(Some(MAX_MESSAGE))
                .max_frame_size(Some(MAX_MESSAGE));
            let (input, output) = connection::split(connection);
            let input = Metered {
                connection: input,
                unfinished: read.len(),
            };
            let stream = WebSocketStream::from_partially_read(
                join(input, Out::new(output)),
                read,
                Role::Server,
                Some(config),
            );
            (talk.0)(Socket {
                stream: stream.await,
                over: Over::of(&life),
                life,
            })
            .await;
        });
    }
}

/// The connection itself, and what was read behind the request. That is a copy: else an idle socket
/// would keep all of the buffer that the request was read into.
fn connection_of(upgraded: Upgraded) -> Option<(Connection, Vec<u8>)> {
    let parts = downcast::<TokioIo<Patient>>(upgraded).ok()?;
    let connection = parts.io.into_inner().into_stream();
    Some((connection, parts.read_buf.to_vec()))
}

impl<S: Send + Sync + 'static> Route<S> {
    /// A WebSocket at `GET template`, which anybody may open; the handler learns who does, if they
    /// say so. A page of a foreign origin and a bad token are refused before it is asked. The
    /// socket ends with the token ([`Received::Over`]).
    pub fn socket<F, R>(template: &'static str, handler: F) -> Self
    where
        F: Fn(Arc<S>, Request) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Result<Talk, Error>> + Send + 'static,
    {
        let endpoint = move |_, _| -> Endpoint<S> {
            let handler = handler.clone();
            Arc::new(move |state, mut request: Request| -> Answered {
                let handler = handler.clone();
                Box::pin(async move {
                    let response = switching(&request)?;
                    let upgrade = request.upgrade.take();
                    let upgrade = upgrade.ok_or_else(|| {
                        Error::new(
                            Code::UpgradeRequired,
                            "Only HTTP/1.1 can become a WebSocket",
                        )
                    })?;
                    let identity = request.identity.clone();
                    let talk = handler(state, request).await?;
                    upgrade.start(talk, identity.as_ref());
                    Ok(response)
                })
            })
        };
        let mut reply = Shape::of::<String>();
        reply.json = false;
        let mut route = Self::new(Method::GET, template, None, reply, false, endpoint);
        route.status = StatusCode::SWITCHING_PROTOCOLS;
        route.auth(Auth::Optional).query(
            "access_token",
            "The token, for clients that cannot send headers",
        )
    }
}

impl<S> Route<S> {
    /// Whether it is a WebSocket.
    pub(crate) fn is_socket(&self) -> bool {
        self.status == StatusCode::SWITCHING_PROTOCOLS
    }
}
