//! What a handler answers with.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use crate::{Error, reply::Reply};

/// A body, with headers and a status where they differ from what the route declares.
#[derive(Debug)]
pub struct Answer<T> {
    body: T,
    status: Option<StatusCode>,
    headers: HeaderMap,
    tagged: bool,
}

impl<T> From<T> for Answer<T> {
    fn from(body: T) -> Self {
        Self {
            body,
            status: None,
            headers: HeaderMap::new(),
            tagged: false,
        }
    }
}

impl<T> Answer<T> {
    /// The same body with another status than the route's.
    #[must_use]
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = Some(status);
        self
    }

    /// The same body with one header more.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// The same body, which whoever has it already is not sent again: a browser keeps it and asks
    /// each time whether it still holds (`ETag`, 304).
    #[must_use]
    pub fn tagged(mut self) -> Self {
        self.tagged = true;
        self
    }
}

impl<T: Reply> Answer<T> {
    pub(crate) fn into_response(self, default: StatusCode) -> Result<http::Response<Bytes>, Error> {
        let (headers, body) = self.body.write()?;
        let mut response = http::Response::new(body);
        *response.status_mut() = self.status.unwrap_or(default);
        *response.headers_mut() = headers;
        if self.tagged {
            let tag = tag(response.body());
            let headers = response.headers_mut();
            headers.insert(header::ETAG, tag);
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        }
        response.headers_mut().extend(self.headers);
        Ok(response)
    }
}

/// The same bytes have the same tag, in every instance of one build. It is weak, since the ingress may compress them.
fn tag(body: &Bytes) -> HeaderValue {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    HeaderValue::try_from(format!("W/\"{:016x}\"", hasher.finish()))
        .unwrap_or(HeaderValue::from_static("W/\"\""))
}

/// 304 without a body in place of a good answer that the client says it has (RFC 9110, 13.1.2).
pub(crate) fn unless_known(
    known: Option<&HeaderValue>,
    mut response: http::Response<Bytes>,
) -> http::Response<Bytes> {
    let tag = response.headers().get(header::ETAG);
    let (Some(known), Some(tag)) = (known, tag) else {
        return response;
    };
    let (known, tag) = (known.as_bytes(), tag.as_bytes());
    let mut listed = known.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let opaque = |tag: &[u8]| tag.strip_prefix(b"W/").unwrap_or(tag).to_vec();
    let tag = opaque(tag);
    let holds = listed.any(|one| one == b"*" || opaque(one) == tag);
    if holds && response.status().is_success() {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = Bytes::new();
        response.headers_mut().remove(header::CONTENT_TYPE);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_client_has_is_not_sent_again() {
        let answer = || Answer::from("x".to_owned()).tagged();
        let response = answer().into_response(StatusCode::OK).unwrap();
        let tag = response.headers()[header::ETAG].clone();
        assert_eq!(
            tag,
            answer().into_response(StatusCode::OK).unwrap().headers()["etag"]
        );
        for known in [
            tag.clone(),
            HeaderValue::from_static("*"),
            HeaderValue::try_from(format!("\"a\", {}", tag.to_str().unwrap())).unwrap(),
            HeaderValue::from_str(tag.to_str().unwrap().trim_start_matches("W/")).unwrap(),
        ] {
            let sent = unless_known(
                Some(&known),
                answer().into_response(StatusCode::OK).unwrap(),
            );
            assert_eq!(
                (sent.status(), sent.body().len()),
                (StatusCode::NOT_MODIFIED, 0)
            );
            assert_eq!(sent.headers()[header::ETAG], tag);
        }
        let other = HeaderValue::from_static("\"other\"");
        let failed = answer().status(StatusCode::SERVICE_UNAVAILABLE);
        let failed = failed.into_response(StatusCode::OK).unwrap();
        assert_eq!(unless_known(Some(&tag), failed).body().len(), 3);
        assert_eq!(
            unless_known(Some(&other), response).status(),
            StatusCode::OK
        );
    }
}
