//! Requests in tests, and answers that explain themselves when an assertion fails.

use reqwest::RequestBuilder;
use serde_json::Value;

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: http::HeaderMap,
    /// The body as text.
    pub text: String,
    /// The body as JSON; `null` where it is none.
    pub json: Value,
}

impl Reply {
    /// Asserts the status and gives the JSON body.
    ///
    /// # Panics
    /// When the status is another one.
    #[track_caller]
    pub fn expect(&self, status: u16) -> &Value {
        assert_eq!(self.status, status, "{}", self.text);
        &self.json
    }

    /// Asserts a problem document (RFC 9457) with this status, and gives its `message`.
    ///
    /// # Panics
    /// When it is anything else.
    #[track_caller]
    pub fn problem(&self, status: u16) -> &str {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{}",
            self.text
        );
        assert_eq!(self.json["status"], status, "{}", self.text);
        assert!(
            self.json["title"].is_string() && self.json["type"].is_string(),
            "{}",
            self.text
        );
        let message = self.json["message"].as_str().unwrap_or_default();
        assert!(!message.is_empty(), "{}", self.text);
        message
    }

    /// A header as text; empty where it is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

/// Sends and reads.
///
/// # Panics
/// When the connection breaks: no request of a test may end so, but to a program that a test ended
/// ([`attempt`]).
#[track_caller]
pub fn send(request: RequestBuilder) -> impl Future<Output = Reply> {
    let caller = std::panic::Location::caller();
    async move {
        attempt(request)
            .await
            .unwrap_or_else(|error| panic!("{caller}: {error}"))
    }
}

/// Sends and reads, to be tried again by [`eventually`](crate::eventually) while a program that the
/// test ended is not back yet.
///
/// # Errors
/// Why there is no whole answer.
pub async fn attempt(request: RequestBuilder) -> Result<Reply, String> {
    let answer = request
        .send()
        .await
        .map_err(|error| format!("connection dropped: {error:?}"))?;
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let text = answer
        .text()
        .await
        .map_err(|error| format!("answer cut off: {error:?}"))?;
    let json = serde_json::from_str(&text).unwrap_or_default();
    Ok(Reply {
        status,
        headers,
        text,
        json,
    })
}
