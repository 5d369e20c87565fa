//! A connection of Socket.IO until it is let in.

use std::sync::Arc;

use chassis::{
    Error, Identity, Request, clock,
    socket::{Ending, Frame, Received, Socket},
};

use super::{
    door::PATIENCE,
    packet::{self, Auth, MAIN, Packet},
    rooms::Rooms,
};
use crate::{
    Live,
    limits::{Asker, Seat},
    line::Line,
    session::Session,
};

/// Packets that a client may need to get in.
const MAX_PACKETS: usize = 20;
const NONSENSE: Ending = Ending::new(1002, "This is no way to connect by Socket.IO 4");
const LATE: Ending = Ending::new(1008, "No namespace was joined in time");
const AWAY: Ending = Ending::new(1013, "What you said before cannot be read: connect again");

/// Somebody who may want in.
#[derive(Debug)]
pub(super) struct Visit {
    live: Arc<Live>,
    /// Who the request of the WebSocket came from; a token in `auth` counts more.
    identity: Option<Identity>,
    asker: Asker,
    seat: Option<Seat>,
    /// The session at the door, of a client that did not begin with a WebSocket.
    session: Option<String>,
    /// Once it is let in.
    entered: Option<Session>,
}

impl Visit {
    /// Takes a seat, as every socket does.
    ///
    /// # Errors
    /// 429 or 503 when there is none.
    pub(super) fn new(
        live: Arc<Live>,
        request: &Request,
        session: Option<String>,
    ) -> Result<Self, Error> {
        let identity = request.identity().cloned();
        let user_id = identity.as_ref().map(|identity| identity.user_id);
        let asker = Asker::new(user_id, request.client_address());
        let seat = live.seats.take(asker)?;
        Ok(Self {
            live,
            identity,
            asker,
            seat: Some(seat),
            session,
            entered: None,
        })
    }

    /// Lets in who asks for it in time, and talks until the end.
    pub(super) async fn run(mut self, mut socket: Socket) {
        let entering = tokio::time::timeout(PATIENCE, self.enter(&mut socket));
        let entered = entering.await.unwrap_or(Err(Some(LATE)));
        match entered {
            Ok(session) => {
                let rooms = Rooms::new(&self.live.hub);
                drop(self);
                session.run(Line::socket_io(socket), rooms).await;
            }
            Err(Some(ending)) => socket.close(ending).await,
            Err(None) => {}
        }
    }

    async fn enter(&mut self, socket: &mut Socket) -> Result<Session, Option<Ending>> {
        if let Some(session) = self.session.take() {
            let said = self.change(socket, &session).await?;
            if said.len() > MAX_PACKETS {
                return Err(Some(NONSENSE));
            }
            for text in said {
                self.hear(socket, &text).await?;
            }
        } else {
            let id = clock::id().simple().to_string();
            send(socket, packet::open(&id, &[])).await?;
        }
        for _ in 0..MAX_PACKETS {
            if let Some(session) = self.entered.take() {
                return Ok(session);
            }
            let text = heard(socket).await?;
            self.hear(socket, &text).await?;
        }
        Err(Some(NONSENSE))
    }

    async fn hear(&mut self, socket: &mut Socket, text: &str) -> Result<(), Option<Ending>> {
        let answer = match Packet::parse(text) {
            Ok(Packet::Connect(namespace, _)) if namespace != MAIN => nowhere(&namespace),
            Ok(Packet::Connect(_, auth)) if self.entered.is_none() => match self.seated(auth) {
                Ok(session) => {
                    if let Some(identity) = session.identity() {
                        socket.belongs_to(identity);
                    }
                    self.entered = Some(session);
                    packet::connected(&clock::id().simple().to_string())
                }
                Err(error) => packet::refused(MAIN, &error),
            },
            Ok(Packet::Connect(..) | Packet::Disconnect) => return Ok(()),
            Ok(Packet::Event(..)) | Err(_) => return Err(Some(NONSENSE)),
        };
        send(socket, answer).await
    }

    /// Changes from polling to this WebSocket; what was said before.
    async fn change(
        &self,
        socket: &mut Socket,
        session: &str,
    ) -> Result<Vec<String>, Option<Ending>> {
        if heard(socket).await? != packet::PROBE {
            return Err(Some(NONSENSE));
        }
        send(socket, packet::PROBED).await?;
        if heard(socket).await? != packet::UPGRADE {
            return Err(Some(NONSENSE));
        }
        let said = self.live.door.take(session, self.asker).await;
        let said = said.map_err(|_| Some(AWAY))?;
        let messages = said.into_iter().filter(|packet| packet.starts_with('4'));
        Ok(messages.collect())
    }

    fn seated(&mut self, auth: Result<Auth, String>) -> Result<Session, Error> {
        let auth = auth.map_err(Error::unacceptable)?;
        let identity = match auth.token {
            Some(token) => Some(self.live.tokens.verify(&token)?),
            None => self.identity.clone(),
        };
        let user_id = identity.as_ref().map(|who| who.user_id);
        let asker = self.asker.signed_in_as(user_id);
        let own = self.seat.take_if(|_| user_id == self.asker.user_id);
        let seat = own.map_or_else(|| self.live.seats.take(asker), Ok)?;
        Ok(Session::new(&self.live, identity, seat))
    }
}

/// The answer to who wants into another namespace than the main one.
pub(super) fn nowhere(namespace: &str) -> Frame {
    packet::refused(namespace, &Error::not_found("Invalid namespace"))
}

async fn send(socket: &mut Socket, frame: Frame) -> Result<(), Option<Ending>> {
    if socket.send(frame).await {
        Ok(())
    } else {
        Err(None)
    }
}

async fn heard(socket: &mut Socket) -> Result<Frame, Option<Ending>> {
    loop {
        match socket.next().await {
            Received::Text(text) => return Ok(text),
            Received::Ping | Received::Pong => {}
            Received::Binary => return Err(Some(NONSENSE)),
            Received::Gone => return Err(None),
            Received::Broken(ending) | Received::Over(ending) => return Err(Some(ending)),
        }
    }
}
