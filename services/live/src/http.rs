//! The routes.

use std::sync::Arc;

use chassis::{Answer, Auth, Code, Error, Request, Route, socket::Talk};
use http::StatusCode;

use crate::{
    Live,
    comments::{self, Comments},
    limits::Asker,
    line::Line,
    model::RoomName,
    presence::PresenceResponse,
    reviews::Reviews,
    room::Room,
    session::Session,
    socketio,
    topics::Topic,
};

pub(crate) fn routes() -> Vec<Route<Live>> {
    let mut routes = conversations();
    routes.extend(presences());
    routes
}

fn conversations() -> Vec<Route<Live>> {
    vec![
        Route::socket("/ws/posts/{post_id}/comments", comments)
            .id("watchComments")
            .summary("Comments on a post, live: send {\"comment_text\"}, receive every comment")
            .query(
                "after",
                "The last comment that the client has: those since then come first, in order",
            )
            .fails(&[Code::NotFound]),
        Route::socket("/ws/topics/{car_model}", topic)
            .id("watchTopic")
            .summary("The discussion of a car model, live, with new posts about it"),
        // A path has no place for each name: `.` is gone on the way, and a slash is refused.
        Route::socket("/ws/topics", topic)
            .id("watchNamedTopic")
            .summary("The same, by the query, for a model whose name has no place in a path")
            .query("car_model", "The model, by any name")
            .fails(&[Code::NotFound]),
        Route::socket("/ws/reviews", reviews)
            .id("watchReviews")
            .summary("Rooms of movies: join_notification, leave_notification, new_review"),
        Route::socket("/", reviews)
            .undocumented()
            .id("watchReviewsAtRoot")
            .summary("The same as /ws/reviews, where S3 has it"),
        Route::socket("/socket.io/", socketio::socket)
            .id("openSocketIo")
            .summary("The same rooms for clients of Socket.IO 4")
            .choice("EIO", &["4"], "The version of Engine.IO")
            .choice(
                "transport",
                &["websocket", "polling"],
                "polling, without Upgrade, is how clients begin",
            )
            .query("sid", "The session, of a client that began by polling"),
        Route::get("/socket.io/", socketio::poll)
            .auth(Auth::Optional)
            .objective(socketio::POLL)
            .guards_origin()
            .undocumented()
            .media("text/plain")
            .id("pollSocketIo")
            .summary("How clients of Socket.IO begin before their WebSocket is open"),
        Route::post_text("/socket.io/", socketio::post)
            .answers(StatusCode::OK)
            .guards_origin()
            .undocumented()
            .media("text/plain")
            .id("sendToSocketIo")
            .summary("What clients of Socket.IO say before their WebSocket is open"),
    ]
}

fn presences() -> Vec<Route<Live>> {
    vec![
        Route::get("/ws/presence/{room}", presence)
            .id("getPresence")
            .summary("Who is in a room: posts:<post_id>, topics:<car model>, reviews:<room_id>"),
        Route::get("/ws/presence", presence)
            .id("getPresenceOfNamedRoom")
            .summary("Who is in a room whose name has no place in a path")
            .query(
                "room",
                "posts:<post_id>, topics:<car model> or reviews:<room_id>",
            )
            .fails(&[Code::NotFound]),
    ]
}

/// S0-11
async fn comments(live: Arc<Live>, request: Request) -> Result<Talk, Error> {
    let post_id: String = request.param("post_id")?;
    let after = request
        .query("after")
        .map(|after| comments::place(&post_id, &after))
        .transpose()?;
    let session = session(&live, &request)?;
    let room = live.hub.of_post(&post_id).await?;
    // Whoever has the answer hears all that comes after it, however long the upgrade takes.
    let after = Some(after.unwrap_or_else(|| room.last()));
    let speech = Comments {
        hub: Arc::clone(&live.hub),
        room,
        after,
    };
    Ok(Talk::new(|socket| session.run(Line::plain(socket), speech)))
}

/// D10
async fn topic(live: Arc<Live>, request: Request) -> Result<Talk, Error> {
    let model = named(&request, "car_model")?;
    let name = RoomName::of_topic(&model)
        .ok_or_else(|| Error::not_found("A car model has 1 to 100 characters"))?;
    let session = session(&live, &request)?;
    let speech = Topic {
        hub: Arc::clone(&live.hub),
        room: Arc::new(Room::new(name)),
    };
    Ok(Talk::new(|socket| session.run(Line::plain(socket), speech)))
}

/// S3-19
async fn reviews(live: Arc<Live>, request: Request) -> Result<Talk, Error> {
    let session = session(&live, &request)?;
    let speech = Reviews::new(&live.hub);
    Ok(Talk::new(|socket| session.run(Line::plain(socket), speech)))
}

/// A session for whoever asks, if there is a seat.
fn session(live: &Live, request: &Request) -> Result<Session, Error> {
    let identity = request.identity().cloned();
    let user_id = identity.as_ref().map(|identity| identity.user_id);
    let asker = Asker::new(user_id, request.client_address());
    let seat = live.seats.take(asker)?;
    Ok(Session::new(live, identity, seat))
}

async fn presence(live: Arc<Live>, request: Request) -> Result<Answer<PresenceResponse>, Error> {
    let room = named(&request, "room")?;
    let room = RoomName::parse(&room)
        .ok_or_else(|| Error::not_found("A room is called posts:…, topics:… or reviews:…"))?;
    Ok(Answer::from(live.presence.of(&room).await))
}

/// What the path names, or the query.
fn named(request: &Request, name: &str) -> Result<String, Error> {
    let named = request.param(name).ok().or_else(|| request.query(name));
    named.ok_or_else(|| Error::malformed(format!("`{name}` is missing in the query")))
}
