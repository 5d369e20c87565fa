//! Socket.IO 4 at `/socket.io/` (D23b): the rooms, frames and limits of plain sockets, in the
//! packets of Engine.IO 4 and Socket.IO 5 (`docs/adr/0022-socket-io.md`).

mod door;
pub(crate) mod packet;
mod rooms;
mod visit;

use std::sync::Arc;

use chassis::{Answer, Content, Error, Objective, Request, clock, socket::Talk};

pub(crate) use door::Door;

use crate::{Live, limits::Asker, socketio::visit::Visit};

/// What clients are told that ask for what is not there.
const UNKNOWN_SESSION: &str = "Session ID unknown";

/// A poll is held for a moment on purpose.
pub(crate) const POLL: Objective = Objective {
    within_seconds: 0.5,
    ..Objective::READ
};

/// `GET` with `Upgrade`: where Socket.IO is spoken.
pub(crate) async fn socket(live: Arc<Live>, request: Request) -> Result<Talk, Error> {
    require(&request, "websocket")?;
    let session = session(&request)?;
    if let Some(id) = &session {
        let age = live.door.age(id).await?;
        age.ok_or_else(|| Error::malformed(UNKNOWN_SESSION))?;
    }
    let visit = Visit::new(live, &request, session)?;
    Ok(Talk::new(|socket| visit.run(socket)))
}

/// `GET` without: where clients begin that were not told to begin with a WebSocket.
pub(crate) async fn poll(live: Arc<Live>, request: Request) -> Result<Answer<Content>, Error> {
    require(&request, "polling")?;
    let payload = if let Some(id) = session(&request)? {
        live.door.wait(&id).await?
    } else {
        // Whoever would be refused a socket shall hear why: later it only sees that it gets none.
        let mut identity = request.identity().cloned();
        if let Some(token) = request.query("access_token") {
            identity = Some(live.tokens.verify(&token)?);
        }
        let user_id = identity.map(|identity| identity.user_id);
        let asker = Asker::new(user_id, request.client_address());
        drop(live.seats.take(asker)?);
        let id = clock::id().simple().to_string();
        live.door.open(&id, asker).await?;
        packet::open(&id, &["websocket"]).to_string()
    };
    Ok(text(payload))
}

/// `POST`: what clients say before they have changed to a WebSocket.
pub(crate) async fn post(
    live: Arc<Live>,
    request: Request,
    payload: String,
) -> Result<Answer<Content>, Error> {
    require(&request, "polling")?;
    let id = session(&request)?.ok_or_else(|| Error::malformed(UNKNOWN_SESSION))?;
    live.door.keep(&id, &payload).await?;
    Ok(text("ok"))
}

fn text(payload: impl Into<String>) -> Answer<Content> {
    Content::new("text/plain; charset=UTF-8", payload.into()).into()
}

fn require(request: &Request, transport: &str) -> Result<(), Error> {
    if request.query("EIO").as_deref() != Some("4") {
        return Err(Error::malformed(
            "Unsupported protocol version: EIO=4 is spoken here, by clients of Socket.IO 3 and 4",
        ));
    }
    if request.query("transport").as_deref() != Some(transport) {
        let message = format!("`transport` must be {transport} for such a request");
        return Err(Error::malformed(message));
    }
    Ok(())
}

/// The session that a request belongs to; none for the first one of a client.
fn session(request: &Request) -> Result<Option<String>, Error> {
    let sound = |id: &String| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    match request.query("sid") {
        Some(id) if !sound(&id) => Err(Error::malformed(UNKNOWN_SESSION)),
        id => Ok(id),
    }
}
