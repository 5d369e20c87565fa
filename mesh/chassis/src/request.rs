//! What a handler is given of a request.

use std::{net::IpAddr, str::FromStr};

use bytes::Bytes;
use http::{HeaderMap, header};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::{
    Error, Identity, Page, accept, body, client,
    json::{self, Fields},
    page::Paging,
    socket::Upgrade,
};

/// A request whose route is found and whose token, if it has one, is verified.
#[derive(Debug, Clone)]
pub struct Request {
    pub(crate) path: String,
    pub(crate) params: Vec<(&'static str, String)>,
    pub(crate) query: String,
    /// The parameters that the route says it has.
    pub(crate) declared: Vec<&'static str>,
    /// What its list may be asked for.
    pub(crate) paging: Paging,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) identity: Option<Identity>,
    pub(crate) operation: Option<Uuid>,
    pub(crate) upgrade: Option<Upgrade>,
}

impl Request {
    /// With a query and nothing else.
    #[cfg(test)]
    pub(crate) fn asking(query: &str) -> Self {
        Self {
            path: "/".to_owned(),
            params: Vec::new(),
            query: query.to_owned(),
            paging: Paging::PLAIN,
            declared: Vec::new(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            identity: None,
            operation: None,
            upgrade: None,
        }
    }

    /// The path as the client sent it, without the query.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The headers as they arrived.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Which of the media types on offer its sender likes best, the first of equals; `None` when it takes none of them.
    pub fn prefers(&self, offers: &[&'static str]) -> Option<&'static str> {
        accept::prefer(&self.headers, offers)
    }

    /// A parameter of the route's template, parsed.
    ///
    /// # Errors
    /// 404 when it is not of the type: a thing with such a name cannot exist.
    pub fn param<T: FromStr>(&self, name: &str) -> Result<T, Error> {
        self.params
            .iter()
            .find(|(known, _)| *known == name)
            .and_then(|(_, value)| value.parse().ok())
            .ok_or_else(|| Error::not_found("There is nothing at this address"))
    }

    /// Who is asking, if anybody signed in is.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// Who is asking; for routes that need a token this cannot fail.
    ///
    /// # Errors
    /// 401 on other routes, when nobody is signed in.
    pub fn caller(&self) -> Result<&Identity, Error> {
        self.identity
            .as_ref()
            .ok_or_else(|| Error::unauthenticated("A Bearer token is needed"))
    }

    /// The number of what this request does: random, and the same in every repetition under its
    /// `Idempotency-Key`, where the route minds one.
    pub fn operation(&self) -> Uuid {
        self.operation.unwrap_or_else(Uuid::now_v7)
    }

    /// The same number, where the client may send this request again; `None` without a key.
    pub fn repeatable(&self) -> Option<Uuid> {
        self.operation
    }

    /// The query parameters in order, decoded.
    pub fn query_pairs(&self) -> impl Iterator<Item = (String, String)> + use<> {
        serde_urlencoded::from_str::<Vec<(String, String)>>(&self.query)
            .unwrap_or_default()
            .into_iter()
    }

    /// One query parameter, decoded; the first where it is given twice. An empty one is none: forms send all they have.
    pub fn query(&self, name: &str) -> Option<String> {
        self.query_pairs()
            .find(|(known, value)| known == name && !value.trim().is_empty())
            .map(|(_, value)| value)
    }

    /// A query parameter that is a whole number, `2.0` too.
    ///
    /// # Errors
    /// 400 for anything else.
    pub fn query_whole(&self, name: &str) -> Result<Option<i64>, Error> {
        let number = |text: String| {
            let number = json::whole(&text);
            number.ok_or_else(|| Error::malformed(format!("{name} must be a whole number")))
        };
        self.query(name).map(number).transpose()
    }

    /// Which part of a list is asked for.
    ///
    /// # Errors
    /// 400 for a foreign `cursor`; 400, or 422 where the list takes an `offset`, for a `limit` or an
    /// `offset` out of its bounds.
    pub fn page<K: Serialize + DeserializeOwned>(&self) -> Result<Page<K>, Error> {
        Page::parse(
            self.paging,
            self.query("limit").as_deref(),
            self.query("cursor").as_deref(),
            self.query("offset").as_deref(),
        )
    }

    /// The address of the client as the ingress saw it: the last entry of `x-forwarded-for`,
    /// the only one that the ingress itself wrote.
    pub fn client_address(&self) -> Option<IpAddr> {
        let forwarded = self.headers.get_all("x-forwarded-for").iter().next_back()?;
        forwarded
            .to_str()
            .ok()?
            .rsplit(',')
            .next()?
            .trim()
            .parse()
            .ok()
    }

    /// The network of the client, which is what limits count ([`client::network`]).
    pub fn client_network(&self) -> Option<IpAddr> {
        self.client_address().map(client::network)
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// 415 for another content type, 400 for broken JSON, 422 for JSON of another shape.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        if !self.content_type().as_deref().is_some_and(is_json) {
            return Err(unsupported(
                "The body must be JSON, with content type application/json",
            ));
        }
        json::from_slice(&self.body).map_err(|misfit| misfit.in_body())
    }

    /// The body as JSON; one that is empty or null is left out.
    pub(crate) fn json_or_nothing<T: DeserializeOwned + Default>(&self) -> Result<T, Error> {
        if self.body.trim_ascii().is_empty() {
            return Ok(T::default());
        }
        Ok(self.json::<Option<T>>()?.unwrap_or_default())
    }

    /// Fields of the body, as JSON or as a form, and those that it does not have of the query: who sends all in the query
    /// may have any body beside it, as HTTP clients add one by themselves.
    pub(crate) fn fields<T: DeserializeOwned>(
        &self,
    ) -> impl Future<Output = Result<T, Error>> + Send + use<T> {
        let (body, query) = (self.body.clone(), self.query.clone());
        let kind = self.content_type();
        async move {
            let unfit = |misfit: json::Misfit| misfit.in_body();
            let in_query = Fields::of_query(query.as_bytes()).map_err(unfit)?;
            let in_body = match kind.as_deref() {
                _ if body.trim_ascii().is_empty() => Fields::default(),
                Some(kind) if is_json(kind) => Fields::of_json(&body).map_err(unfit)?,
                Some(kind) if essence(kind) == "application/x-www-form-urlencoded" => {
                    Fields::of_query(&body).map_err(unfit)?
                }
                Some(kind) if essence(kind) == "multipart/form-data" => {
                    Fields::of_pairs(body::multipart(body, kind).await?)
                }
                _ if !query.is_empty() => Fields::default(),
                _ => return Err(unsupported("The body must be JSON or a form")),
            };
            in_body.or(in_query).read().map_err(unfit)
        }
    }

    /// What the body is said to be; two equal headers are one, and some proxies make one line of them. `None` where it is
    /// not said, or two things are.
    fn content_type(&self) -> Option<String> {
        let lines = self.headers.get_all(header::CONTENT_TYPE).iter();
        let mut kinds = lines.flat_map(|line| {
            let line = line.to_str().unwrap_or_default();
            let parts: Vec<&str> = line.split(',').map(str::trim).collect();
            let repeated = parts.windows(2).all(|pair| pair[0] == pair[1]);
            if repeated { parts } else { vec![line] }
        });
        let first = kinds.next()?;
        let same = kinds.all(|kind| essence(kind) == essence(first));
        same.then(|| first.to_owned())
    }
}

/// A media type without its parameters.
fn essence(kind: &str) -> String {
    let kind = kind.split(';').next().unwrap_or_default();
    kind.trim().to_ascii_lowercase()
}

fn is_json(kind: &str) -> bool {
    let kind = essence(kind);
    kind == "application/json" || kind.ends_with("+json")
}

pub(crate) fn unsupported(message: &str) -> Error {
    Error::new(crate::Code::UnsupportedMediaType, message)
}
