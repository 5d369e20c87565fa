//! The route table of a service: the one place from which the filter, the OpenAPI document,
//! the ingress routes, the intentions and the metric labels follow.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Method, StatusCode};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    Answer, Code, Error, Objective, Request,
    page::Paging,
    query::Described,
    reply::Reply,
    schema::{Schema, Shape},
    widest,
};

/// Whether a route needs a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Auth {
    /// Anybody. A token that is sent with a GET must be good all the same, as everywhere; with what
    /// registers or logs in it is not even looked at.
    None,
    /// Anybody; a token that is sent must be good, and the handler learns whose it is.
    Optional,
    /// Only with a good token.
    Required,
}

/// The ingress listener of routes that name no other.
pub const PUBLIC: &str = "public";

/// Bytes of a request body beside those that follow from its schema: blanks, members that nobody knows, texts that have no
/// longest.
pub const DEFAULT_BODY_LIMIT: usize = 64 * 1024;

pub(crate) type Answered = BoxFuture<'static, Result<http::Response<Bytes>, Error>>;
pub(crate) type Endpoint<S> = Arc<dyn Fn(Arc<S>, Request) -> Answered + Send + Sync>;

/// What may come in a body.
pub trait Body: DeserializeOwned + ToSchema + Send + 'static {}
impl<B: DeserializeOwned + ToSchema + Send + 'static> Body for B {}

/// `async fn(Arc<S>, Request) -> Result<Answer<T>, Error>`
pub trait Handler<S, T>:
    Fn(Arc<S>, Request) -> Self::Future + Clone + Send + Sync + 'static
{
    /// What the function returns.
    type Future: Future<Output = Result<Answer<T>, Error>> + Send + 'static;
}
impl<S, T, F, R> Handler<S, T> for F
where
    F: Fn(Arc<S>, Request) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Result<Answer<T>, Error>> + Send + 'static,
{
    type Future = R;
}

/// `async fn(Arc<S>, Request, B) -> Result<Answer<T>, Error>`
pub trait BodyHandler<S, B, T>:
    Fn(Arc<S>, Request, B) -> Self::Future + Clone + Send + Sync + 'static
{
    /// What the function returns.
    type Future: Future<Output = Result<Answer<T>, Error>> + Send + 'static;
}
impl<S, B, T, F, R> BodyHandler<S, B, T> for F
where
    F: Fn(Arc<S>, Request, B) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Result<Answer<T>, Error>> + Send + 'static,
{
    type Future = R;
}

/// One part of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Segment {
    Literal(&'static str),
    /// Any text but a slash.
    Text(&'static str),
    /// Decimal digits that fit 63 bits.
    Integer(&'static str),
}

/// A route: method, template, who may call it, what goes in and out, and the handler.
#[expect(clippy::struct_excessive_bools, reason = "each is a word of the table")]
pub struct Route<S> {
    pub(crate) method: Method,
    pub(crate) template: &'static str,
    pub(crate) listener: &'static str,
    pub(crate) documented: bool,
    pub(crate) segments: Vec<Segment>,
    /// Whether a word where a number belongs is refused (422), rather than nowhere (404).
    pub(crate) refuses_words: bool,
    pub(crate) paging: Paging,
    pub(crate) auth: Auth,
    pub(crate) status: StatusCode,
    /// The name of its operation.
    pub(crate) id: &'static str,
    pub(crate) summary: &'static str,
    /// What more there is to say of it.
    pub(crate) about: &'static str,
    pub(crate) body: Option<Schema>,
    /// Whether the body may be left out.
    pub(crate) optional_body: bool,
    pub(crate) reply: Schema,
    /// Media types of success beside or instead of JSON.
    pub(crate) media: Vec<&'static str>,
    /// Whether success may be JSON.
    pub(crate) json: bool,
    pub(crate) query: Vec<Described>,
    /// What is known of parameters of the template beside their names.
    pub(crate) places: Vec<Described>,
    pub(crate) fails: Vec<Code>,
    /// Other answers than success and problems.
    pub(crate) others: Vec<(StatusCode, Schema)>,
    /// Headers of success, each with what it says.
    pub(crate) tells: Vec<(&'static str, &'static str)>,
    /// Whether success has a tag, and is not sent again to who has it.
    pub(crate) tagged: bool,
    pub(crate) paged: bool,
    pub(crate) form_or_query: bool,
    pub(crate) idempotent: bool,
    /// Whether pages of foreign origins are refused, as sockets refuse them.
    pub(crate) guards_origin: bool,
    pub(crate) body_limit: usize,
    pub(crate) objective: Objective,
    pub(crate) endpoint: Endpoint<S>,
}

impl<S> std::fmt::Debug for Route<S> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.method, self.template)
    }
}

impl<S: Send + Sync + 'static> Route<S> {
    /// `GET template`. A parameter is written `{name}`, or `{name:int}` where only a number fits.
    pub fn get<T: Reply>(template: &'static str, handler: impl Handler<S, T>) -> Self {
        Self::without_body(Method::GET, template, handler)
    }

    /// `DELETE template`.
    pub fn delete<T: Reply>(template: &'static str, handler: impl Handler<S, T>) -> Self {
        Self::without_body(Method::DELETE, template, handler).auth(Auth::Required)
    }

    /// `DELETE template` with a JSON body, for what takes more than a token to remove.
    pub fn delete_with<B: Body, T: Reply>(
        template: &'static str,
        handler: impl BodyHandler<S, B, T>,
    ) -> Self {
        Self::with_body(Method::DELETE, template, false, handler).auth(Auth::Required)
    }

    /// `method template`, where a request body means nothing (`POST` to follow somebody).
    pub fn without_body<T: Reply>(
        method: Method,
        template: &'static str,
        handler: impl Handler<S, T>,
    ) -> Self {
        Self::new(
            method,
            template,
            None,
            Shape::of::<T>(),
            false,
            move |_, status| {
                let handler = handler.clone();
                Arc::new(move |state, request| {
                    let reply = handler(state, request);
                    Box::pin(async move { reply.await?.into_response(status) })
                })
            },
        )
    }

    /// `POST template` with a JSON body.
    pub fn post<B: Body, T: Reply>(
        template: &'static str,
        handler: impl BodyHandler<S, B, T>,
    ) -> Self {
        Self::with_body(Method::POST, template, false, handler).auth(Auth::Required)
    }

    /// `POST template` with a JSON body that may be left out altogether.
    pub fn post_or_nothing<B: Body + Default, T: Reply>(
        template: &'static str,
        handler: impl BodyHandler<S, B, T>,
    ) -> Self {
        let (body, reply) = (Some(Schema::of::<B>()), Shape::of::<T>());
        let mut route = Self::new(
            Method::POST,
            template,
            body,
            reply,
            false,
            move |_, status| {
                let handler = handler.clone();
                Arc::new(move |state, request| {
                    let body = request.json_or_nothing();
                    let reply = body.map(|body| handler(state, request, body));
                    Box::pin(async move { reply?.await?.into_response(status) })
                })
            },
        );
        route.optional_body = true;
        route.auth(Auth::Required)
    }

    /// `PUT template` with a JSON body.
    pub fn put<B: Body, T: Reply>(
        template: &'static str,
        handler: impl BodyHandler<S, B, T>,
    ) -> Self {
        Self::with_body(Method::PUT, template, false, handler).auth(Auth::Required)
    }

    /// `POST template` whose fields may come as JSON, as a form of either kind or in the query (D17).
    ///
    /// The query is then kept out of logs, traces and metrics, as that of every route is.
    pub fn post_form<B: Body, T: Reply>(
        template: &'static str,
        handler: impl BodyHandler<S, B, T>,
    ) -> Self {
        Self::with_body(Method::POST, template, true, handler).auth(Auth::Required)
    }

    fn with_body<B: Body, T: Reply>(
        method: Method,
        template: &'static str,
        form_or_query: bool,
        handler: impl BodyHandler<S, B, T>,
    ) -> Self {
        let body = Some(Schema::of::<B>());
        Self::new(
            method,
            template,
            body,
            Shape::of::<T>(),
            form_or_query,
            move |form_or_query, status| {
                let handler = handler.clone();
                Arc::new(move |state, request| {
                    let handler = handler.clone();
                    Box::pin(async move {
                        let body: B = if form_or_query {
                            request.fields().await?
                        } else {
                            request.json()?
                        };
                        handler(state, request, body).await?.into_response(status)
                    })
                })
            },
        )
    }

    pub(crate) fn new(
        method: Method,
        template: &'static str,
        body: Option<Schema>,
        reply: Shape,
        form_or_query: bool,
        endpoint: impl Fn(bool, StatusCode) -> Endpoint<S>,
    ) -> Self {
        // Everywhere, a POST that carries a body creates something (201); a route says otherwise by `answers`.
        let status = if method == Method::POST && body.is_some() {
            StatusCode::CREATED
        } else {
            StatusCode::OK
        };
        Self {
            objective: Objective::of(&method),
            endpoint: endpoint(form_or_query, status),
            segments: segments(template),
            body_limit: widest::limit(body.as_ref()),
            method,
            template,
            listener: PUBLIC,
            documented: true,
            refuses_words: false,
            paging: Paging::PLAIN,
            auth: Auth::None,
            status,
            id: "",
            summary: "",
            about: "",
            body,
            optional_body: form_or_query,
            reply: reply.schema,
            media: Vec::new(),
            json: reply.json,
            query: Vec::new(),
            places: Vec::new(),
            fails: Vec::new(),
            others: Vec::new(),
            tells: Vec::new(),
            tagged: false,
            paged: false,
            form_or_query,
            idempotent: false,
            guards_origin: false,
        }
    }

    /// Who may call it. Reading is open and writing needs a token unless this says otherwise.
    #[must_use]
    pub fn auth(mut self, auth: Auth) -> Self {
        self.auth = auth;
        self
    }

    /// Refuses pages of foreign origins, as sockets do; those of allowed ones may read the answers.
    #[must_use]
    pub fn guards_origin(mut self) -> Self {
        self.guards_origin = true;
        self
    }

    /// The ingress listener that this route is reached by, where it is not `public`.
    ///
    /// Routes of other listeners are not in the OpenAPI document: its paths are those of the public one.
    #[must_use]
    pub fn listener(mut self, listener: &'static str) -> Self {
        self.listener = listener;
        self
    }

    /// The status of success, where it is not 201 for a body posted and 200 for the rest.
    #[must_use]
    pub fn answers(mut self, status: StatusCode) -> Self {
        let endpoint = self.endpoint;
        let default = self.status;
        self.endpoint = Arc::new(move |state, request| {
            let reply = endpoint(state, request);
            Box::pin(async move {
                let mut response = reply.await?;
                if response.status() == default {
                    *response.status_mut() = status;
                }
                Ok(response)
            })
        });
        self.status = status;
        self
    }

    /// Answers 422 to a word where the path has a number, as the source of the route does;
    /// otherwise a thing with such a name is nowhere (404).
    #[must_use]
    pub fn refuses_words(mut self) -> Self {
        self.refuses_words = true;
        self.fails(&[Code::Unacceptable])
    }
}

/// A route without its handler, as `describe` prints it.
#[derive(Debug, Clone, Serialize)]
pub struct RouteInfo {
    /// `GET`, `POST`, …
    pub method: String,
    /// `/api/users/{user_id}`
    pub template: String,
    /// The ingress listener that it is reached by.
    pub listener: &'static str,
    /// Type of each parameter: `integer` or `string`.
    pub params: serde_json::Map<String, Value>,
    /// Whether it needs a token.
    pub auth: Auth,
    /// Whether it is a WebSocket.
    pub socket: bool,
    /// What it promises.
    pub objective: Objective,
    /// The name of its operation.
    pub operation: &'static str,
    /// What it does.
    pub summary: &'static str,
}

impl<S> Route<S> {
    /// The template as the outside world writes it, without the types of its parameters.
    pub(crate) fn public_template(&self) -> String {
        self.template.replace(":int}", "}")
    }

    pub(crate) fn info(&self) -> RouteInfo {
        let params = self.segments.iter().filter_map(|segment| match segment {
            Segment::Literal(_) => None,
            Segment::Text(name) => Some(((*name).to_owned(), "string".into())),
            // What the service itself refuses has to reach it.
            Segment::Integer(name) if self.refuses_words => {
                Some(((*name).to_owned(), "string".into()))
            }
            Segment::Integer(name) => Some(((*name).to_owned(), "integer".into())),
        });
        RouteInfo {
            method: self.method.to_string(),
            template: self.public_template(),
            listener: self.listener,
            params: params.collect(),
            auth: self.auth,
            socket: self.is_socket(),
            objective: self.objective,
            operation: self.id,
            summary: self.summary,
        }
    }

    /// Literals before parameters, segment by segment: `/users/me` is tried before `/users/{id}`.
    pub(crate) fn rank(&self) -> Vec<u8> {
        let rank = |segment: &Segment| match segment {
            Segment::Literal(_) => 0,
            Segment::Integer(_) => 1,
            Segment::Text(_) => 2,
        };
        self.segments.iter().map(rank).collect()
    }

    /// Which of its segments are literals.
    pub(crate) fn literals(&self) -> Vec<bool> {
        let literal = |segment: &Segment| matches!(segment, Segment::Literal(_));
        self.segments.iter().map(literal).collect()
    }

    /// Whether `path` (percent-encoded, without query) is one of this template's.
    pub(crate) fn matches(&self, path: &str) -> bool {
        let mut parts = path
            .trim_start_matches('/')
            .split('/')
            .filter(|part| !part.is_empty());
        self.segments.iter().all(|segment| {
            parts.next().is_some_and(|part| match segment {
                Segment::Literal(literal) => part == *literal,
                Segment::Text(_) => true,
                Segment::Integer(_) => {
                    self.refuses_words || part.parse::<i64>().is_ok_and(|number| number >= 0)
                }
            })
        }) && parts.next().is_none()
    }
}

/// Whether a text is a whole number, be it one that nothing has.
pub(crate) fn is_whole_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn segments(template: &'static str) -> Vec<Segment> {
    let parts = template.split('/').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            match part
                .strip_prefix('{')
                .and_then(|part| part.strip_suffix('}'))
            {
                None => Segment::Literal(part),
                Some(name) => match name.strip_suffix(":int") {
                    Some(name) => Segment::Integer(name),
                    None => Segment::Text(name),
                },
            }
        })
        .collect()
}

#[cfg(test)]
mod tests;
