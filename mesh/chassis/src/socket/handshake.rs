//! What a client sends to open a socket, and the answer to it.

use base64::Engine as _;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::{Auth, Code, Error, Identity, Request, Tokens};

/// The subprotocol under which browsers send a token (D8): `bearer, <token>`.
const BEARER: &str = "bearer";

/// Who opens the socket (D8): a token in `Authorization`, in the subprotocols or in the query.
pub(crate) fn identify(tokens: &Tokens, request: &Request) -> Result<Option<Identity>, Error> {
    if request.headers.contains_key(header::AUTHORIZATION) {
        return tokens.identify(Auth::Optional, &request.headers);
    }
    let offered = protocols(&request.headers);
    let place = offered.iter().position(|name| *name == BEARER);
    let in_protocol = place.and_then(|place| offered.get(place + 1).copied());
    let token = in_protocol.map(str::to_owned);
    match token.or_else(|| request.query("access_token")) {
        Some(token) => tokens.verify(&token).map(Some),
        None => Ok(None),
    }
}

fn protocols(headers: &HeaderMap) -> Vec<&str> {
    let lines = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(',').map(str::trim))
        .collect()
}

/// The answer to the client's key.
pub(super) fn accept_key(headers: &HeaderMap) -> Result<HeaderValue, Error> {
    let has = |name: &header::HeaderName, word: &str| {
        let mut lines = headers.get_all(name).iter();
        lines.any(|line| {
            let mut words = line.to_str().unwrap_or_default().split(',');
            words.any(|found| found.trim().eq_ignore_ascii_case(word))
        })
    };
    let wanted = has(&header::CONNECTION, "upgrade")
        && has(&header::UPGRADE, "websocket")
        && has(&header::SEC_WEBSOCKET_VERSION, "13");
    if !wanted {
        let error = Error::new(Code::UpgradeRequired, "Only a WebSocket is served here");
        return Err(error
            .with(header::UPGRADE, HeaderValue::from_static("websocket"))
            .with(
                header::SEC_WEBSOCKET_VERSION,
                HeaderValue::from_static("13"),
            ));
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY);
    let sound = |key: &&HeaderValue| {
        let decoded = base64::engine::general_purpose::STANDARD.decode(key.as_bytes());
        decoded.is_ok_and(|bytes| bytes.len() == 16)
    };
    let key = key
        .filter(sound)
        .ok_or_else(|| Error::malformed("Sec-WebSocket-Key must be 16 bytes in base64"))?;
    HeaderValue::try_from(derive_accept_key(key.as_bytes())).map_err(Error::internal)
}

/// 101
pub(super) fn switching(request: &Request) -> Result<http::Response<Bytes>, Error> {
    let mut response = http::Response::new(Bytes::new());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let key = accept_key(&request.headers)?;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, key);
    if protocols(&request.headers).contains(&BEARER) {
        let bearer = HeaderValue::from_static(BEARER);
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, bearer);
    }
    Ok(response)
}
