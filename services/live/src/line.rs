//! A socket, and the language that its client speaks over it.

use std::{
    fmt::Debug,
    sync::{Arc, OnceLock},
    time::Duration,
};

use chassis::socket::{Encoded, Ending, Frame, Life, Outlet, Received, Refused, Socket};

use crate::socketio::packet;

/// What a reader may take for what is in front of it.
pub(crate) const SENDING: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy)]
enum Language {
    /// Frames of D8 and D23 as they are.
    Plain,
    /// The same frames in packets of Socket.IO (D23b).
    SocketIo,
}

impl Language {
    fn translated(self, frame: Frame) -> Frame {
        match self {
            Self::Plain => frame,
            Self::SocketIo => packet::of_frame(frame),
        }
    }
}

/// What is said to a room: encoded once, or twice where both languages are spoken.
#[derive(Debug)]
pub(crate) struct Message {
    frame: Frame,
    plain: OnceLock<Encoded>,
    socket_io: OnceLock<Encoded>,
}

impl Message {
    pub(crate) fn new(frame: Frame) -> Self {
        Self {
            frame,
            plain: OnceLock::new(),
            socket_io: OnceLock::new(),
        }
    }

    fn in_language(&self, language: Language) -> &Encoded {
        let encoded = match language {
            Language::Plain => &self.plain,
            Language::SocketIo => &self.socket_io,
        };
        encoded.get_or_init(|| Encoded::new(&language.translated(self.frame.clone())))
    }

    /// The frame, whatever the language.
    #[cfg(test)]
    pub(crate) fn frame(&self) -> &Frame {
        &self.frame
    }
}

/// Where a socket hears what is said to a room.
pub(crate) trait Ear: Debug + Send + Sync {
    /// Takes in a message.
    fn hear(&self, message: &Message) -> Result<(), Refused>;
}

#[derive(Debug)]
struct Listening {
    outlet: Outlet,
    language: Language,
}

impl Ear for Listening {
    fn hear(&self, message: &Message) -> Result<(), Refused> {
        self.outlet.send(message.in_language(self.language))
    }
}

/// An open socket. Frames are those of a plain one, whatever its client speaks.
#[derive(Debug)]
pub(crate) struct Line {
    socket: Socket,
    language: Language,
}

impl Line {
    /// To a client of plain WebSockets.
    pub(crate) fn plain(socket: Socket) -> Self {
        let language = Language::Plain;
        Self { socket, language }
    }

    /// To a client of Socket.IO, once it is let in.
    pub(crate) fn socket_io(socket: Socket) -> Self {
        let language = Language::SocketIo;
        Self { socket, language }
    }

    /// See [`Socket::life`].
    pub(crate) fn life(&self) -> Life {
        self.socket.life()
    }

    /// Where it hears what is said to rooms, of which so much may wait.
    pub(crate) fn ear(&self, most: usize) -> Arc<dyn Ear> {
        Arc::new(Listening {
            outlet: self.socket.outlet(most),
            language: self.language,
        })
    }

    /// See [`Socket::next`]. What keeps a connection of Socket.IO up counts as pings and pongs.
    pub(crate) async fn next(&mut self) -> Received {
        match (self.language, self.socket.next().await) {
            (Language::SocketIo, Received::Text(text)) => {
                packet::upkeep(&text).unwrap_or(Received::Text(text))
            }
            (_, received) => received,
        }
    }

    /// See [`Socket::feed`].
    pub(crate) async fn feed(&mut self, frame: Frame) -> bool {
        let frame = self.language.translated(frame);
        self.socket.feed(frame).await
    }

    /// See [`Socket::flush`].
    pub(crate) async fn flush(&mut self) -> bool {
        self.socket.flush().await
    }

    /// Sends a frame; whoever does not take it in time counts as gone.
    pub(crate) async fn send(&mut self, frame: Frame) -> bool {
        let frame = self.language.translated(frame);
        let sent = tokio::time::timeout(SENDING, self.socket.send(frame)).await;
        sent.unwrap_or(false)
    }

    /// See [`Socket::ping`].
    pub(crate) async fn ping(&mut self) -> bool {
        match self.language {
            Language::Plain => self.socket.ping().await,
            Language::SocketIo => self.socket.send(packet::PING).await,
        }
    }

    /// See [`Socket::close`]. A client of Socket.IO comes back by itself when a connection breaks: one whose token is good no
    /// more is told to go, for with that token it would be refused.
    pub(crate) async fn close(self, ending: Ending) {
        match self.language {
            Language::SocketIo if ending.code == Ending::UNAUTHENTICATED => {
                let words = packet::farewell(ending.reason);
                self.socket.close_after(&words, ending).await;
            }
            _ => self.socket.close(ending).await,
        }
    }
}
