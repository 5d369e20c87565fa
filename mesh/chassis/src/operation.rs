//! Requests that may be repeated: the `Idempotency-Key` of
//! <https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/>.
//!
//! A route that is [`idempotent`](crate::Route::idempotent) answers a repeated key with the first
//! answer, without doing anything again. What the store of keys cannot know, after a crash between
//! effect and answer, the effect itself does: it carries the request's
//! [`operation`](crate::Request::operation), which is the same in every repetition.
//!
//! A key belongs to a caller, a service, a method and a route, for 24 hours. Its operation has a
//! random number, which is noted when it begins: a key that is used after that time is another
//! operation. See `docs/adr/0033`.

#[cfg(feature = "documents")]
mod documents;
#[cfg(feature = "sql")]
mod sql;

use std::sync::Arc;
#[cfg(any(feature = "sql", feature = "documents"))]
use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::digest;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use uuid::{Builder, Uuid};

use crate::{Code, Error, Request, Route, Service, clock};

#[cfg(feature = "sql")]
pub use sql::{LocationMigration, Migration, NumberMigration};

/// Longest key that is accepted, in bytes.
const MAX_KEY: usize = 255;
/// How long a key is known, from its first request on.
#[cfg(any(feature = "sql", feature = "documents"))]
const KEPT: Duration = Duration::from_hours(24);
/// How often older ones are forgotten.
#[cfg(any(feature = "sql", feature = "documents"))]
const PRUNING: Duration = Duration::from_hours(1);
/// A request that began longer ago has no process any more, and may be begun again.
#[cfg(any(feature = "sql", feature = "documents"))]
const ABANDONED: Duration = Duration::from_secs(15);

/// An answer that is kept for repetitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Status of the first answer.
    pub status: u16,
    /// Its JSON.
    pub body: Vec<u8>,
    /// Where what it made is.
    pub location: Option<String>,
}

/// What is known of a key when a request brings it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// This request is to be done, as the operation of this number: it is noted.
    First(Uuid),
    /// An earlier request of the same fingerprint is at work.
    Running,
    /// An earlier request of the same fingerprint was answered.
    Answered(Kept),
    /// The key was used for something else.
    Other,
}

/// What became of an attempt that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failed {
    /// The request was refused, and has done nothing.
    Refused,
    /// The effect may be there: the next attempt has to look for it.
    Unknown,
}

/// Where keys and answers are kept. Of many that begin at once, one is the first.
#[async_trait]
pub trait Store: Send + Sync + std::fmt::Debug {
    /// Notes that a request of the key `id` begins, unless one did before. It is the operation
    /// `new`, unless an attempt was left behind: that one's number is taken over.
    async fn begin(&self, id: &str, fingerprint: &str, new: Uuid) -> Result<Begun, Error>;
    /// Keeps the answer.
    async fn finish(&self, id: &str, operation: Uuid, answer: &Kept) -> Result<(), Error>;
    /// Nobody is at work on the operation any more. It keeps its number, unless its only attempt
    /// has done nothing: then the key is free.
    async fn abandon(&self, id: &str, operation: Uuid, failed: Failed) -> Result<(), Error>;
    /// What the version before this one noted of the same request, under an id of its own.
    async fn earlier(&self, id: &str, fingerprint: &str) -> Result<Earlier, Error>;
}

/// A request that the version before this one may have done: it noted a key without its service
/// and route, and made the operation's number of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Earlier {
    /// It did not.
    None,
    /// It did, and is at work on it or has answered it.
    Begun(Begun),
    /// It began, and nobody is at work on it any more.
    LeftBehind,
}

/// The operations of a service, shared by its instances through their store.
#[derive(Debug, Clone)]
pub struct Operations(Arc<dyn Store>);

impl Operations {
    /// Kept in the relational store; its migrator has [`Migration`], [`LocationMigration`] and
    /// [`NumberMigration`].
    #[cfg(feature = "sql")]
    pub fn in_sql(connection: &crate::sql::Database, context: &crate::Context) -> Self {
        let store = sql::Rows(connection.clone());
        context.spawn(store.clone().prune());
        Self(Arc::new(store))
    }

    /// Kept in the document store, in a collection `keys`; with them, what they claimed there is
    /// forgotten ([`Claims`](crate::documents::Claims)).
    #[cfg(feature = "documents")]
    pub fn in_documents(database: &crate::documents::Database, context: &crate::Context) -> Self {
        let store = documents::Documents::of(database);
        context.spawn(store.clone().prune());
        Self(Arc::new(store))
    }

    /// Runs `handler`, or answers as it was answered before. `scope` is where the key is known:
    /// service, method and route.
    ///
    /// # Errors
    /// 400 for a key that is none, 422 for one that was used for another request, 409 while the
    /// first is at work, and what `handler` answers.
    pub(crate) async fn run<R>(
        &self,
        scope: [&str; 3],
        mut request: Request,
        handler: impl FnOnce(Request) -> R,
    ) -> Result<Response<Bytes>, Error>
    where
        R: Future<Output = Result<Response<Bytes>, Error>> + Send + 'static,
    {
        let Some(key) = key(&request)? else {
            return handler(request).await;
        };
        let owner = request.caller()?.user_id.to_string();
        let [service, method, route] = scope.map(str::as_bytes);
        let id = hash(&[service, method, route, owner.as_bytes(), key.as_bytes()]);
        let (id, fingerprint) = (hex(&id), fingerprint(&request));
        let unscoped = hash(&[owner.as_bytes(), key.as_bytes()]);
        match self.begin(&id, &fingerprint, &unscoped).await? {
            Begun::First(operation) => {
                request.operation = Some(operation);
                self.first(id, operation, handler(request)).await
            }
            Begun::Answered(answer) => replayed(answer),
            Begun::Running => Err(Error::conflict(
                "The first request with this Idempotency-Key is still running",
            )
            .with(header::RETRY_AFTER, HeaderValue::from_static("1"))),
            Begun::Other => Err(Error::unacceptable(
                "This Idempotency-Key was used for another request",
            )),
        }
    }

    async fn begin(
        &self,
        id: &str,
        fingerprint: &str,
        unscoped: &[u8; 32],
    ) -> Result<Begun, Error> {
        let new = match self.0.earlier(&hex(unscoped), fingerprint).await? {
            Earlier::None => clock::id(),
            Earlier::Begun(begun) => return Ok(begun),
            // Its effect, if it came to that, has the number that it had then.
            Earlier::LeftBehind => unscoped_operation(unscoped),
        };
        self.0.begin(id, fingerprint, new).await
    }

    /// Goes on when the client goes away, so that its next try finds the answer.
    async fn first(
        &self,
        id: String,
        operation: Uuid,
        answer: impl Future<Output = Result<Response<Bytes>, Error>> + Send + 'static,
    ) -> Result<Response<Bytes>, Error> {
        use tracing::Instrument as _;
        let store = Arc::clone(&self.0);
        let work = async move {
            let answer = answer.await;
            let noted = match &answer {
                Ok(answer) => store.finish(&id, operation, &Kept::from(answer)).await,
                Err(error) => store.abandon(&id, operation, Failed::from(error)).await,
            };
            if let Err(error) = noted {
                // Whoever repeats it has to wait, and then finds the effect under its operation.
                tracing::warn!(cause = %error, "the end of an operation could not be noted");
            }
            answer
        };
        let work = tokio::spawn(work.in_current_span());
        work.await.map_err(Error::internal)?
    }
}

impl From<&Error> for Failed {
    fn from(error: &Error) -> Self {
        if error.code().status().is_client_error() {
            Self::Refused
        } else {
            Self::Unknown
        }
    }
}

impl<S: Repeatable + Service> Route<S> {
    /// A request may be repeated with the same `Idempotency-Key`, and has its effect once.
    #[must_use]
    pub fn idempotent(mut self) -> Self {
        let endpoint = self.endpoint;
        let (method, template) = (self.method.clone(), self.template);
        self.endpoint = Arc::new(move |state, request| {
            let endpoint = Arc::clone(&endpoint);
            let method = method.clone();
            Box::pin(async move {
                let operations = state.operations().clone();
                let scope = [S::NAME, method.as_str(), template];
                operations
                    .run(scope, request, |request| endpoint(state, request))
                    .await
            })
        });
        self.idempotent = true;
        self.fails(&[Code::Conflict])
    }
}

/// A service whose routes may be [`idempotent`](crate::Route::idempotent).
pub trait Repeatable {
    /// Where its operations are kept.
    fn operations(&self) -> &Operations;
}

impl From<&Response<Bytes>> for Kept {
    fn from(answer: &Response<Bytes>) -> Self {
        let location = answer.headers().get(header::LOCATION);
        let location = location.and_then(|location| location.to_str().ok());
        Self {
            status: answer.status().as_u16(),
            body: answer.body().to_vec(),
            location: location.map(str::to_owned),
        }
    }
}

fn replayed(kept: Kept) -> Result<Response<Bytes>, Error> {
    let mut response = Response::new(Bytes::from(kept.body));
    *response.status_mut() = StatusCode::from_u16(kept.status).map_err(Error::internal)?;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert("idempotent-replayed", HeaderValue::from_static("true"));
    if let Some(location) = kept.location {
        let location = HeaderValue::try_from(location).map_err(Error::internal)?;
        headers.insert(header::LOCATION, location);
    }
    Ok(response)
}

/// The key of a request; a string as RFC 9651 writes them, with or without its quotes.
fn key(request: &Request) -> Result<Option<String>, Error> {
    let mut given = request.headers().get_all("idempotency-key").iter();
    let Some(value) = given.next() else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    let text = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(text);
    let fits = !text.is_empty() && text.len() <= MAX_KEY && given.next().is_none();
    if fits {
        Ok(Some(text.to_owned()))
    } else {
        Err(Error::new(
            Code::Malformed,
            format!("Idempotency-Key must be one text of 1 to {MAX_KEY} ASCII characters"),
        ))
    }
}

/// What makes two requests the same one.
fn fingerprint(request: &Request) -> String {
    hex(&hash(&[
        request.path().trim_end_matches('/').as_bytes(),
        request.query.as_bytes(),
        &request.body,
    ]))
}

/// SHA-256 of the parts, each with its length before it, so that none runs into the next.
fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

fn hex(hash: &[u8; 32]) -> String {
    use std::fmt::Write as _;
    hash.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The number that the version before this one gave an operation: made of owner and key alone.
fn unscoped_operation(hash: &[u8; 32]) -> Uuid {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    Builder::from_custom_bytes(bytes).into_uuid()
}
