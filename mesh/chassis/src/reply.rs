//! How a handler's answer is written: as JSON, unless its type says otherwise.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{Error, schema::Schema};

/// What a page may do: show what comes from here, in what it says itself, and nothing else. No script and no style
/// stands in the page, so that text which slipped in could not become one.
const POLICY: &str = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; \
     frame-ancestors 'none'";
/// What a page also says of itself.
const PAGE_HEADERS: [(HeaderName, &str); 3] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::REFERRER_POLICY, "same-origin"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
];

/// What may be answered.
pub trait Reply: Send {
    /// Whether it may be JSON of [`Reply::schema`].
    const JSON: bool;

    /// The schema of its JSON.
    fn schema() -> Schema;

    /// Its bytes, and the headers that say what they are.
    fn write(self) -> Result<(HeaderMap, Bytes), Error>;
}

impl<T: Serialize + ToSchema + Send> Reply for T {
    const JSON: bool = true;

    fn schema() -> Schema {
        Schema::of::<T>()
    }

    fn write(self) -> Result<(HeaderMap, Bytes), Error> {
        let body = serde_json::to_vec(&self).map_err(Error::internal)?;
        Ok((of_kind("application/json"), body.into()))
    }
}

/// A body that is no JSON of a type: a page, a file, a document made before. The route names its media types by
/// [`Route::media`](crate::Route::media).
#[derive(Debug, Clone)]
pub struct Content {
    headers: HeaderMap,
    body: Bytes,
}

impl Content {
    /// Bytes of a media type.
    pub fn new(kind: &'static str, body: impl Into<Bytes>) -> Self {
        let mut headers = of_kind(kind);
        headers.insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
        Self {
            headers,
            body: body.into(),
        }
    }

    /// A page, which loads and runs only what comes from the same address.
    pub fn html(page: impl Into<Bytes>) -> Self {
        let mut content = Self::new("text/html; charset=utf-8", page);
        let headers = PAGE_HEADERS.map(|(name, value)| (name, HeaderValue::from_static(value)));
        content.headers.extend(headers);
        content
    }
}

impl Reply for Content {
    const JSON: bool = false;

    fn schema() -> Schema {
        Schema::of::<String>()
    }

    fn write(self) -> Result<(HeaderMap, Bytes), Error> {
        Ok((self.headers, self.body))
    }
}

/// No body at all: for 204.
#[derive(Debug, Clone, Copy)]
pub struct Nothing;

impl Reply for Nothing {
    const JSON: bool = false;

    fn schema() -> Schema {
        Schema::of::<String>()
    }

    fn write(self) -> Result<(HeaderMap, Bytes), Error> {
        Ok((HeaderMap::new(), Bytes::new()))
    }
}

/// One resource in the form that its reader asked for ([`Request::prefers`](crate::Request::prefers)).
#[derive(Debug, Clone)]
pub enum Negotiated<T> {
    /// For programs.
    Json(T),
    /// For people.
    Other(Content),
}

impl<T: Serialize + ToSchema + Send> Reply for Negotiated<T> {
    const JSON: bool = true;

    fn schema() -> Schema {
        Schema::of::<T>()
    }

    fn write(self) -> Result<(HeaderMap, Bytes), Error> {
        let (mut headers, body) = match self {
            Self::Json(body) => body.write()?,
            Self::Other(content) => content.write()?,
        };
        headers.insert(header::VARY, HeaderValue::from_static("accept"));
        Ok((headers, body))
    }
}

fn of_kind(kind: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(kind))])
}
