//! The calls of a Consul agent's HTTP API that `consulrs` lacks.

use std::{fmt, time::Duration};

use reqwest::{Method, RequestBuilder, Response};
use serde::{Serialize, de::DeserializeOwned};

use crate::Error;

/// The agent is on the same machine: what it cannot say within this time it cannot say.
pub(crate) const DEADLINE: Duration = Duration::from_secs(3);
/// How long the agent holds a question back whose answer has not changed.
const WAIT: Duration = Duration::from_secs(10);

/// An agent and the token to talk to it.
#[derive(Clone)]
pub(crate) struct Agent {
    http: reqwest::Client,
    address: String,
    token: Option<String>,
}

impl fmt::Debug for Agent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Agent({})", self.address)
    }
}

impl Agent {
    pub(crate) fn new(address: &str, token: Option<&str>) -> Result<Self, Error> {
        // Other clients panic on a token with a line break, as one read from a file has.
        let token = token
            .map(str::trim)
            .filter(|token| !token.is_empty())
            .map(str::to_owned);
        let graphic = |token: &str| token.bytes().all(|byte| byte.is_ascii_graphic());
        if token.as_deref().is_some_and(|token| !graphic(token)) {
            return Err(Error::Other(
                "the token has characters that no token has".into(),
            ));
        }
        let address = address.trim_end_matches('/').to_owned();
        if address.parse::<reqwest::Url>().is_err() {
            return Err(Error::Other(format!("`{address}` is no URL")));
        }
        let http = reqwest::Client::builder()
            .timeout(DEADLINE)
            .build()
            .map_err(|error| Error::Other(error.to_string()))?;
        Ok(Self {
            http,
            address,
            token,
        })
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// `GET /v1/<path>`
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        let answer = self.send(path, self.request(Method::GET, path)).await?;
        found(path, answer)?.json().await.map_err(|e| failed(&e))
    }

    /// `GET /v1/<path>`; nothing when what the path names does not exist.
    pub(crate) async fn find<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Error> {
        match self.send(path, self.request(Method::GET, path)).await? {
            Some(answer) => answer.json().await.map(Some).map_err(|e| failed(&e)),
            None => Ok(None),
        }
    }

    /// `GET /v1/<path>` of the entries that an expression fits.
    pub(crate) async fn filtered<T: DeserializeOwned>(
        &self,
        path: &str,
        filter: &str,
    ) -> Result<T, Error> {
        let request = self.request(Method::GET, path).query(&[("filter", filter)]);
        let answer = self.send(path, request).await?;
        found(path, answer)?.json().await.map_err(|e| failed(&e))
    }

    /// `PUT /v1/<path>`; `false` when what the path names does not exist.
    pub(crate) async fn put(&self, path: &str, body: &impl Serialize) -> Result<bool, Error> {
        let request = self.request(Method::PUT, path).json(body);
        Ok(self.send(path, request).await?.is_some())
    }

    /// `GET /v1/<path>` once it differs from what it was at `index`, or after a while; 0 is at once.
    pub(crate) async fn wait<T: DeserializeOwned>(
        &self,
        path: &str,
        index: u64,
    ) -> Result<(u64, T), Error> {
        let (index, wait) = (index.to_string(), format!("{}s", WAIT.as_secs()));
        let request = self
            .request(Method::GET, path)
            .query(&[("index", index.as_str()), ("wait", wait.as_str())])
            // Consul adds up to a sixteenth, so that not everybody asks again at once.
            .timeout(WAIT + WAIT / 16 + DEADLINE);
        let answer = found(path, self.send(path, request).await?)?;
        let index = answer.headers().get("x-consul-index");
        let index = index
            .and_then(|index| index.to_str().ok()?.parse().ok())
            .ok_or_else(|| Error::Other(format!("no index came with {path}")))?;
        let value = answer.json().await.map_err(|error| failed(&error))?;
        Ok((index, value))
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self
            .http
            .request(method, format!("{}/v1/{path}", self.address));
        match &self.token {
            Some(token) => request.header("x-consul-token", token),
            None => request,
        }
    }

    /// The answer, or nothing where there is nothing.
    async fn send(&self, path: &str, request: RequestBuilder) -> Result<Option<Response>, Error> {
        let answer = request.send().await.map_err(|error| failed(&error))?;
        match answer.status().as_u16() {
            403 => Err(Error::Denied),
            404 => Ok(None),
            code if code >= 400 => {
                let why = answer.text().await.unwrap_or_default();
                Err(Error::Other(format!("status {code} for {path}: {why}")))
            }
            _ => Ok(Some(answer)),
        }
    }
}

fn found(path: &str, answer: Option<Response>) -> Result<Response, Error> {
    answer.ok_or_else(|| Error::Other(format!("status 404 for {path}")))
}

fn failed(error: &reqwest::Error) -> Error {
    if error.is_timeout() {
        return Error::Timeout(DEADLINE);
    }
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        // What does not fit would be said back.
        if cause.is::<serde_json::Error>() {
            text += ": it is not JSON of the shape that is known";
            break;
        }
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    Error::Other(text)
}
