//! What a handler answers with.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::Error;

/// A body, with headers and a status where they differ from what the route declares.
#[derive(Debug)]
pub struct Answer<T> {
    body: T,
    status: Option<StatusCode>,
    headers: HeaderMap,
}

impl<T> From<T> for Answer<T> {
    fn from(body: T) -> Self {
        Self {
            body,
            status: None,
            headers: HeaderMap::new(),
        }
    }
}

impl<T: Serialize> Answer<T> {
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

    pub(crate) fn into_response(self, default: StatusCode) -> Result<http::Response<Bytes>, Error> {
        let body = serde_json::to_vec(&self.body).map_err(Error::internal)?;
        let mut response = http::Response::new(Bytes::from(body));
        *response.status_mut() = self.status.unwrap_or(default);
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        response.headers_mut().extend(self.headers);
        Ok(response)
    }
}
