//! Requests as the people of the world make them, through the ingress.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::http::{self, Answer, Target};
use crate::progress::Step;
use crate::ready;

/// How long one request may take.
const LIMIT: Duration = Duration::from_secs(30);
/// How long services may put a request off.
const PATIENCE: Duration = Duration::from_mins(3);

/// Who asks for what.
pub struct Request<'a> {
    /// The username, or nothing for anybody.
    pub by: &'a str,
    /// The HTTP method.
    pub method: &'a str,
    /// The path.
    pub path: &'a str,
    /// Sent as JSON, unless it is null.
    pub body: &'a Value,
    /// The `Idempotency-Key`, where a list cannot tell at once whether the request was made before.
    pub key: Option<&'a str>,
}

/// A way to the ingress, and the tokens of those who logged in.
pub struct Client {
    target: Target,
    tokens: BTreeMap<String, String>,
    step: Step,
    /// How many things were not there before.
    pub written: u64,
}

impl Client {
    pub fn new(ingress: u16, step: Step) -> Self {
        Self {
            target: Target::Port(ingress),
            tokens: BTreeMap::new(),
            step,
            written: 0,
        }
    }

    /// Remembers the token of somebody who logged in.
    pub fn logged_in(&mut self, username: &str, token: &str) {
        self.tokens.insert(username.to_owned(), token.to_owned());
    }

    /// Shows how far the world is.
    pub fn advance(&mut self, position: u64, total: u64) {
        self.step.advance(position, total);
    }

    /// Ends the display.
    pub fn done(self) {
        self.step.done();
    }

    /// Creates something, which must succeed.
    pub fn create(&mut self, by: &str, path: &str, body: &Value) -> Result<Value> {
        self.create_once(by, path, body, None)
    }

    /// Creates something; the same key does so once, however often it is sent.
    pub fn create_once(
        &mut self,
        by: &str,
        path: &str,
        body: &Value,
        key: Option<&str>,
    ) -> Result<Value> {
        let request = Request {
            by,
            method: "POST",
            path,
            body,
            key,
        };
        let answer = self.succeed(&request)?;
        self.written += u64::from(answer.header("idempotent-replayed").is_none());
        answer.json()
    }

    /// Sees to it that something is so, whatever it was before.
    pub fn ensure(&mut self, by: &str, method: &str, path: &str) -> Result<()> {
        let body = &Value::Null;
        let request = Request {
            by,
            method,
            path,
            body,
            key: None,
        };
        self.succeed(&request).map(drop)
    }

    /// Returns all that a list has, page by page.
    pub fn list(&mut self, by: &str, path: &str) -> Result<Vec<Value>> {
        let mut all = Vec::new();
        let mut next = Some(format!("{path}?limit=200"));
        while let Some(path) = next.take() {
            let request = Request {
                by,
                method: "GET",
                path: &path,
                body: &Value::Null,
                key: None,
            };
            let answer = self.succeed(&request)?;
            match answer.json()? {
                Value::Array(page) => all.extend(page),
                other => bail!("{path} is no list: {other}"),
            }
            next = answer.header("link").and_then(next_page);
        }
        Ok(all)
    }

    fn succeed(&mut self, request: &Request<'_>) -> Result<Answer> {
        let answer = self.send(request)?;
        if answer.is_success() {
            return Ok(answer);
        }
        let by = if request.by.is_empty() {
            "anybody"
        } else {
            request.by
        };
        bail!(
            "{} {} by {by} is answered {}: {}",
            request.method,
            request.path,
            answer.status,
            answer.text()
        )
    }

    /// Sends a request, again as long as the service asks for patience.
    pub fn send(&mut self, request: &Request<'_>) -> Result<Answer> {
        let (method, path) = (request.method, request.path);
        let bearer = self
            .tokens
            .get(request.by)
            .map(|token| format!("Bearer {token}"));
        let mut headers = Vec::new();
        headers.extend(bearer.as_deref().map(|value| ("authorization", value)));
        headers.extend(request.key.map(|key| ("idempotency-key", key)));
        let body = if request.body.is_null() {
            Vec::new()
        } else {
            serde_json::to_vec(request.body)?
        };
        let deadline = Instant::now() + PATIENCE;
        loop {
            ready::stop_when_interrupted()?;
            let answer = http::send(&self.target, method, path, &headers, &body, LIMIT)
                .with_context(|| format!("{method} {path} is not answered"))?;
            let Some(wait) = put_off(&answer) else {
                return Ok(answer);
            };
            let until = Instant::now() + wait;
            if until > deadline {
                return Ok(answer);
            }
            self.step
                .note(&format!("{path} is put off for {} s", wait.as_secs()));
            while Instant::now() < until {
                ready::stop_when_interrupted()?;
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }
}

/// How long to wait before asking again, where an answer says so.
fn put_off(answer: &Answer) -> Option<Duration> {
    let later = matches!(answer.status, 429 | 503);
    let seconds = answer.header("retry-after").filter(|_| later)?;
    seconds.parse().ok().map(Duration::from_secs)
}

/// The path of the page behind this one.
fn next_page(link: &str) -> Option<String> {
    let (url, rest) = link.strip_prefix('<')?.split_once('>')?;
    rest.contains("rel=\"next\"").then(|| url.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found() {
        let link = "</posts?limit=2&cursor=abc>; rel=\"next\"";
        assert_eq!(
            next_page(link).as_deref(),
            Some("/posts?limit=2&cursor=abc")
        );
        assert_eq!(next_page("</posts>; rel=\"prev\""), None);
    }
}
