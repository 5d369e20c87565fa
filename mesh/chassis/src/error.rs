//! One error for all services: a [`Code`] that maps once to HTTP and once to gRPC.

use std::fmt;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::json;

/// What kind of failure it is; the status of an answer follows from it alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// 400: malformed, or a check between fields failed.
    Malformed,
    /// 401: no token, or a bad one.
    Unauthenticated,
    /// 403: somebody else's.
    Forbidden,
    /// 404
    NotFound,
    /// 405
    MethodNotAllowed,
    /// 408: the body did not arrive in time.
    Timeout,
    /// 409: taken, or changed meanwhile.
    Conflict,
    /// 413
    TooLarge,
    /// 415
    UnsupportedMediaType,
    /// 422: well-formed, but not an acceptable value.
    Unacceptable,
    /// 426: only a WebSocket is served here.
    UpgradeRequired,
    /// 429
    TooManyRequests,
    /// 500: a bug of ours.
    Internal,
    /// 503: a part we need is away; trying again helps.
    Unavailable,
}

impl Code {
    /// Every code, for tables and tests.
    pub const ALL: [Code; 14] = [
        Code::Malformed,
        Code::Unauthenticated,
        Code::Forbidden,
        Code::NotFound,
        Code::MethodNotAllowed,
        Code::Timeout,
        Code::Conflict,
        Code::TooLarge,
        Code::UnsupportedMediaType,
        Code::Unacceptable,
        Code::UpgradeRequired,
        Code::TooManyRequests,
        Code::Internal,
        Code::Unavailable,
    ];

    /// The HTTP status (RFC 9110, RFC 6585).
    pub fn status(self) -> StatusCode {
        match self {
            Code::Malformed => StatusCode::BAD_REQUEST,
            Code::Unauthenticated => StatusCode::UNAUTHORIZED,
            Code::Forbidden => StatusCode::FORBIDDEN,
            Code::NotFound => StatusCode::NOT_FOUND,
            Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Code::Timeout => StatusCode::REQUEST_TIMEOUT,
            Code::Conflict => StatusCode::CONFLICT,
            Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Code::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Code::Unacceptable => StatusCode::UNPROCESSABLE_ENTITY,
            Code::UpgradeRequired => StatusCode::UPGRADE_REQUIRED,
            Code::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The gRPC status (<https://grpc.github.io/grpc/core/md_doc_statuscodes.html>).
    pub fn grpc(self) -> tonic::Code {
        match self {
            Code::Malformed | Code::TooLarge | Code::UnsupportedMediaType | Code::Unacceptable => {
                tonic::Code::InvalidArgument
            }
            Code::Unauthenticated => tonic::Code::Unauthenticated,
            Code::Forbidden => tonic::Code::PermissionDenied,
            Code::NotFound => tonic::Code::NotFound,
            Code::MethodNotAllowed => tonic::Code::Unimplemented,
            Code::Timeout => tonic::Code::DeadlineExceeded,
            Code::Conflict => tonic::Code::AlreadyExists,
            Code::UpgradeRequired => tonic::Code::FailedPrecondition,
            Code::TooManyRequests => tonic::Code::ResourceExhausted,
            Code::Internal => tonic::Code::Internal,
            Code::Unavailable => tonic::Code::Unavailable,
        }
    }
}

/// A failure with the text that its caller may read, and the cause that only the log may.
#[derive(Debug)]
pub struct Error {
    code: Code,
    message: String,
    source: Option<anyhow::Error>,
    headers: Vec<(HeaderName, HeaderValue)>,
    member: Option<Member>,
}

/// The member of a body that a failure is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Member {
    /// The way to it (RFC 6901): `/options/3`; empty for all of the body.
    pointer: String,
    /// What is wrong with it, for a form to show beside it.
    detail: String,
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $code:ident),* $(,)?) => {
        $($(#[$doc])* pub fn $name(message: impl Into<String>) -> Self { Self::new(Code::$code, message) })*
    };
}

impl Error {
    /// A failure of kind `code`; `message` is shown to the caller.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let mut error = Self {
            code,
            message: message.into(),
            source: None,
            headers: Vec::new(),
            member: None,
        };
        if code == Code::Unauthenticated {
            error.headers.push((
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"plaza\""),
            ));
        }
        if code == Code::Unavailable {
            error
                .headers
                .push((header::RETRY_AFTER, HeaderValue::from_static("1")));
        }
        error
    }

    constructors! {
        /// 400
        malformed => Malformed,
        /// 401, with `WWW-Authenticate`
        unauthenticated => Unauthenticated,
        /// 403
        forbidden => Forbidden,
        /// 404
        not_found => NotFound,
        /// 409
        conflict => Conflict,
        /// 422
        unacceptable => Unacceptable,
        /// 503, with `Retry-After: 1`
        unavailable => Unavailable,
    }

    /// 429 with `Retry-After` in whole seconds, rounded up.
    pub fn too_many(message: impl Into<String>, wait: std::time::Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Self::new(Code::TooManyRequests, message)
            .with(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)))
    }

    /// 500; the cause goes to the log, never to the caller.
    pub fn internal(source: impl Into<anyhow::Error>) -> Self {
        let mut error = Self::new(Code::Internal, "Something went wrong on our side");
        error.source = Some(source.into());
        error
    }

    /// The same failure with what caused it, for the log.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<anyhow::Error>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same failure with one header more in its answer.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The same failure, of the member of the body to which this JSON Pointer leads.
    #[must_use]
    pub fn at(self, pointer: impl Into<String>) -> Self {
        let detail = self.message.clone();
        self.because_of(pointer, detail)
    }

    /// The same, with words for who sees the member and this alone.
    #[must_use]
    pub(crate) fn because_of(
        mut self,
        pointer: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        self.member = Some(Member {
            pointer: pointer.into(),
            detail: detail.into(),
        });
        self
    }

    /// The kind of failure.
    pub fn code(&self) -> Code {
        self.code
    }

    /// What the caller is told.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Writes the failure to the log, once, where it is handled: only what an operator can act on.
    pub(crate) fn log(&self) {
        // What the caller is told is in the trace too, whatever the status.
        tracing::Span::current().record("error.message", self.message.as_str());
        if self.code.status().is_server_error() {
            let cause = self.source.as_ref().map(cause).unwrap_or_default();
            tracing::error!(code = ?self.code, cause, "{}", self.message.to_lowercase());
        }
    }

    /// The problem document (RFC 9457), with `message` beside its own members, and `errors` that say which members of a body
    /// are not acceptable.
    pub fn into_response(mut self) -> http::Response<Bytes> {
        self.log();
        let status = self.code.status();
        let mut document = json!({
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or("Error"),
            "status": status.as_u16(),
            "detail": self.message,
            "message": self.message,
        });
        if self.code == Code::Unacceptable && self.member.is_none() {
            // It is about several of them, or about none in particular.
            self = self.at("");
        }
        if let Some(member) = self.member {
            document["errors"] = json!([member]);
        }
        if let Some(trace) = telemetry::propagation::current_trace_id() {
            document["trace_id"] = trace.into();
        }
        let mut response = http::Response::new(Bytes::from(document.to_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(self.headers);
        response
    }
}

/// An error and what caused it, in one line, without what could not be read: serde says a value that does not fit
/// back, be it a password, and so does whoever passes its words on.
pub fn cause(error: &anyhow::Error) -> String {
    let mut told: Vec<String> = Vec::new();
    for cause in error.chain() {
        let unread = cause.is::<serde_json::Error>() || is_unread_document(cause);
        if unread {
            told.push("it does not fit the type that it is read as".to_owned());
            break;
        }
        told.push(cause.to_string());
    }
    told.join(": ")
}

#[cfg(feature = "documents")]
fn is_unread_document(cause: &(dyn std::error::Error + 'static)) -> bool {
    use mongodb::error::{Error, ErrorKind};
    cause.is::<mongodb::bson::error::Error>()
        || cause.downcast_ref::<Error>().is_some_and(|error| {
            matches!(
                *error.kind,
                ErrorKind::BsonDeserialization(_) | ErrorKind::Bson(_)
            )
        })
}

#[cfg(not(feature = "documents"))]
fn is_unread_document(_: &(dyn std::error::Error + 'static)) -> bool {
    false
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(AsRef::as_ref)
    }
}

impl From<Error> for tonic::Status {
    fn from(error: Error) -> Self {
        error.log();
        Self::new(error.code.grpc(), error.message)
    }
}

/// What a peer's refusal means to the one who called it.
impl From<tonic::Status> for Error {
    fn from(status: tonic::Status) -> Self {
        match status.code() {
            tonic::Code::NotFound => Self::not_found(status.message()),
            tonic::Code::InvalidArgument => Self::unacceptable(status.message()),
            tonic::Code::Unavailable | tonic::Code::DeadlineExceeded | tonic::Code::Cancelled => {
                Self::unavailable("A part of the system does not answer; try again")
                    .caused_by(status)
            }
            // Denied by an intention, or a bug: nothing that the caller of ours could mend.
            _ => Self::internal(status),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_maps_to_an_error_status_on_both_sides() {
        for code in Code::ALL {
            assert!(code.status().as_u16() >= 400, "{code:?}");
            assert_ne!(code.grpc(), tonic::Code::Ok, "{code:?}");
        }
    }

    #[test]
    fn a_problem_document_never_carries_the_cause() {
        let response = Error::internal(anyhow::anyhow!("password=canary")).into_response();
        let text = String::from_utf8(response.body().to_vec()).unwrap();
        assert!(!text.contains("canary"), "{text}");
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document["status"], 500);
        assert_eq!(document["message"], document["detail"]);
    }

    #[test]
    fn what_is_not_acceptable_is_named_by_its_member() {
        let errors = |error: Error| {
            let response = error.into_response();
            let document: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
            document["errors"].clone()
        };
        let of_member = Error::unacceptable("not so many").at("/quantity");
        assert_eq!(
            errors(of_member),
            json!([{ "pointer": "/quantity", "detail": "not so many" }])
        );
        assert_eq!(
            errors(Error::unacceptable("no")),
            json!([{ "pointer": "", "detail": "no" }])
        );
        assert!(errors(Error::not_found("no")).is_null());
    }

    #[test]
    fn the_log_says_why_and_never_what_could_not_be_read() {
        let unread = serde_json::from_str::<u8>("\"canary\"").unwrap_err();
        assert!(unread.to_string().contains("canary"));
        let error = anyhow::Error::new(unread).context("a page of somebody");
        let told = cause(&error);
        assert_eq!(
            told,
            "a page of somebody: it does not fit the type that it is read as"
        );
        let plain = anyhow::anyhow!("refused").context("no connection");
        assert_eq!(cause(&plain), "no connection: refused");
    }

    #[test]
    fn d4_the_headers_that_a_status_owes_are_there() {
        let headers = |error: Error| error.into_response().headers().clone();
        assert!(headers(Error::unauthenticated("no")).contains_key("www-authenticate"));
        assert!(headers(Error::unavailable("no")).contains_key("retry-after"));
        let wait = std::time::Duration::from_millis(1200);
        assert_eq!(headers(Error::too_many("no", wait))["retry-after"], "2");
    }
}
