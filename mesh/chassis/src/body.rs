//! Request bodies: read within bounds, or read away so that a refusal arrives.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _, future, stream};
use http::{HeaderMap, header};

use crate::{
    Code, Error, Route,
    reply::Reply,
    request::unsupported,
    route::BodyHandler,
    schema::{Schema, Shape},
};

/// What is read away at most of a body that nobody wants, and for how long.
const DISCARD_BYTES: usize = 8 * 1024 * 1024;
const DISCARD_TIME: Duration = Duration::from_secs(2);

impl<S: Send + Sync + 'static> Route<S> {
    /// `POST template` with a body of text, whatever it says it is: for protocols that are not ours.
    /// The document, which knows JSON only, has to leave it out ([`Route::undocumented`]).
    pub fn post_text<T: Reply>(
        template: &'static str,
        handler: impl BodyHandler<S, String, T>,
    ) -> Self {
        let (body, reply) = (Some(Schema::of::<String>()), Shape::of::<T>());
        let post = http::Method::POST;
        Self::new(post, template, body, reply, false, move |_, status| {
            let handler = handler.clone();
            Arc::new(move |state, request| {
                let text = String::from_utf8(request.body.to_vec())
                    .map_err(|_| Error::malformed("The body is not UTF-8"));
                let reply = text.map(|text| handler(state, request, text));
                Box::pin(async move { reply?.await?.into_response(status) })
            })
        })
    }
}

/// Reads a body, counting as it comes: a chunked one has no length to check beforehand.
///
/// # Errors
/// 413 above `limit` bytes, 408 after `deadline`, 415 for a compressed one, 400 when it ends early.
pub(crate) async fn receive(
    headers: &HeaderMap,
    body: impl Stream<Item = Result<impl Buf, warp::Error>> + Unpin,
    limit: usize,
    deadline: Duration,
) -> Result<Bytes, Error> {
    let encoding = headers.get(header::CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| encoding != "identity") {
        return Err(unsupported("Compressed bodies are not accepted"));
    }
    let declared = headers.get(header::CONTENT_LENGTH);
    let declared = declared.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    match tokio::time::timeout(deadline, collect(body, limit)).await {
        Ok(collected) => collected,
        Err(_) => Err(Error::new(
            Code::Timeout,
            "The body took too long to arrive",
        )),
    }
}

async fn collect(
    mut body: impl Stream<Item = Result<impl Buf, warp::Error>> + Unpin,
    limit: usize,
) -> Result<Bytes, Error> {
    let mut collected = BytesMut::new();
    while let Some(chunk) = body.next().await {
        let mut chunk = chunk.map_err(|_| Error::malformed("The body ended early"))?;
        if collected.len() + chunk.remaining() > limit {
            return Err(too_large(limit));
        }
        collected.extend_from_slice(&chunk.copy_to_bytes(chunk.remaining()));
    }
    Ok(collected.freeze())
}

fn too_large(limit: usize) -> Error {
    Error::new(
        Code::TooLarge,
        format!("The body may have {limit} bytes at most"),
    )
}

/// The fields of a form as browsers' `FormData` sends it; `kind` is its content type.
///
/// # Errors
/// 400 when it is none.
pub(crate) async fn multipart(body: Bytes, kind: &str) -> Result<Vec<(String, String)>, Error> {
    let broken = |_| Error::malformed("The body is no valid multipart/form-data");
    let boundary = multer::parse_boundary(kind).map_err(broken)?;
    let body = stream::once(future::ready(Ok::<_, Infallible>(body)));
    let mut form = multer::Multipart::new(body, boundary);
    let mut fields = Vec::new();
    while let Some(field) = form.next_field().await.map_err(broken)? {
        let Some(name) = field.name().map(str::to_owned) else {
            continue;
        };
        let value = field.bytes().await.map_err(broken)?.to_vec();
        let value = String::from_utf8(value);
        fields.push((
            name,
            value.map_err(|_| Error::malformed("The body is not valid UTF-8"))?,
        ));
    }
    Ok(fields)
}

/// Reads away what is left of a body.
///
/// A connection that is closed with unread bytes is reset, and the reset can overtake the
/// answer: the sidecar would then tell the client 503 instead of our 401 or 413.
pub(crate) async fn discard(
    headers: &HeaderMap,
    mut body: impl Stream<Item = Result<impl Buf, warp::Error>> + Unpin,
) {
    // Whoever waits to be told to continue has sent nothing yet, and shall not now.
    if headers.contains_key(header::EXPECT) {
        return;
    }
    let read_away = async {
        let mut seen = 0;
        while let Some(Ok(chunk)) = body.next().await {
            seen += chunk.remaining();
            if seen > DISCARD_BYTES {
                return;
            }
        }
    };
    // Late or too much: the connection is then closed as it is.
    let _ = tokio::time::timeout(DISCARD_TIME, read_away).await;
}
