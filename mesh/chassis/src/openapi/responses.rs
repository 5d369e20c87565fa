//! What an operation answers: every status, its headers, and an example of each.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::{Examples, Schemas};
use crate::{Auth, Code, Route, route::Segment};

/// Headers that more than one operation answers with: the name, the type, and what it says.
const HEADERS: &[(&str, &str, &str)] = &[
    ("ETag", "string", "Names this very content"),
    (
        "Link",
        "string",
        "`<…>; rel=\"next\"`: where the next page is; absent on the last one",
    ),
    ("Location", "string", "Where what was made is"),
    ("Retry-After", "integer", "Seconds after which to try again"),
    (
        "WWW-Authenticate",
        "string",
        "What is needed: a Bearer token",
    ),
    (
        "X-Request-Id",
        "string",
        "The number of the request in logs and traces; the ingress gives one to each",
    ),
];

/// The header that every answer has.
const EVERYWHERE: &str = "X-Request-Id";

/// What a status means here, and what somebody reads who gets it.
fn meaning(code: Code) -> (&'static str, &'static str) {
    match code {
        Code::Malformed => (
            "The request cannot be read, or two of its parts do not fit.",
            "The body is not JSON",
        ),
        Code::Unauthenticated => (
            "There is no token, or it is not good, or name and password do not fit.",
            "A Bearer token is needed",
        ),
        Code::Forbidden => ("It is somebody else's.", "It belongs to somebody else"),
        Code::NotFound => (
            "There is no such thing.",
            "There is nothing at this address",
        ),
        Code::MethodNotAllowed => (
            "The path has other methods.",
            "This method is not possible here",
        ),
        Code::Timeout => (
            "The body took too long.",
            "The body took too long to arrive",
        ),
        Code::Conflict => (
            "It is taken, or changes at this moment.",
            "It is taken already",
        ),
        Code::TooLarge => (
            "The body is too large.",
            "The body may have 65536 bytes at most",
        ),
        Code::UnsupportedMediaType => (
            "The body has another media type.",
            "The body must be JSON, with content type application/json",
        ),
        Code::Unacceptable => (
            "It can be read, but a value is not acceptable.",
            "text: a text of 1 to 280 characters is needed, this one has 0",
        ),
        Code::UpgradeRequired => (
            "Only a WebSocket is served here.",
            "Only a WebSocket is served here",
        ),
        Code::TooManyRequests => ("Too many requests.", "Too many requests; try again later"),
        Code::Internal => (
            "Something went wrong on our side.",
            "Something went wrong on our side",
        ),
        Code::Unavailable => (
            "A part of the system does not answer; to try again helps.",
            "A part of the system does not answer; try again",
        ),
    }
}

pub(super) fn responses<S>(route: &Route<S>, schemas: &Schemas) -> Value {
    let examples = Examples(schemas);
    let mut responses = Map::new();
    responses.insert(route.status.as_u16().to_string(), success(route, &examples));
    if route.tagged {
        let known =
            json!({ "description": "The client has it already.", "headers": with(&["ETag"]) });
        responses.insert("304".into(), known);
    }
    for (status, schema) in &route.others {
        let mut other = json!({
            "description": status.canonical_reason().unwrap_or("Other"),
            "headers": with(&[]),
        });
        // A socket's address may have a page beside it.
        other["content"]["application/json"] =
            json!({ "schema": schema.schema, "example": examples.of(&schema.schema) });
        responses.insert(status.as_u16().to_string(), other);
    }
    for code in codes(route) {
        let status = code.status().as_u16().to_string();
        let shared = || json!({ "$ref": format!("#/components/responses/{}", name(code)) });
        responses.entry(status).or_insert_with(shared);
    }
    responses.sort_keys();
    responses.into()
}

/// The failures that can come.
fn codes<S>(route: &Route<S>) -> Vec<Code> {
    let mut codes = route.fails.clone();
    codes.extend([Code::TooManyRequests, Code::Unavailable, Code::Internal]);
    if route.is_socket() {
        codes.extend([Code::Malformed, Code::Forbidden, Code::UpgradeRequired]);
    }
    if route.body.is_some() {
        codes.extend([
            Code::Malformed,
            Code::Timeout,
            Code::TooLarge,
            Code::UnsupportedMediaType,
            Code::Unacceptable,
        ]);
    }
    if route.auth != Auth::None {
        codes.push(Code::Unauthenticated);
    }
    if !route.query.is_empty() || route.idempotent {
        codes.push(Code::Malformed);
    }
    let is_literal = |segment: &Segment| matches!(segment, Segment::Literal(_));
    if !route.segments.iter().all(is_literal) {
        codes.push(Code::NotFound);
    }
    codes
}

/// The name of a failure among the shared answers: `NotFound`.
fn name(code: Code) -> String {
    let reason = code.status().canonical_reason().unwrap_or("Error");
    reason.replace(' ', "")
}

/// The headers of a failure, beside the one that all answers have.
fn of_failure(code: Code) -> &'static [&'static str] {
    match code {
        Code::Unauthenticated => &["WWW-Authenticate"],
        Code::TooManyRequests | Code::Unavailable => &["Retry-After"],
        _ => &[],
    }
}

/// The failures of routes by name: they look the same everywhere.
pub(super) fn problems<S>(routes: &[&Route<S>]) -> Value {
    let shown = |route: &&Route<S>| {
        let codes = codes(route);
        let shown = codes.into_iter().filter(|code| !is_other(route, *code));
        shown.collect::<Vec<_>>()
    };
    let all = routes.iter().flat_map(shown);
    all.map(|code| (name(code), problem(code)))
        .collect::<Map<_, _>>()
        .into()
}

fn problem(code: Code) -> Value {
    let (description, message) = meaning(code);
    let status = code.status();
    json!({
        "description": description,
        "headers": with(of_failure(code)),
        "content": { "application/problem+json": {
            "schema": { "$ref": "#/components/schemas/Problem" },
            "example": {
                "type": "about:blank",
                "title": status.canonical_reason().unwrap_or("Error"),
                "status": status.as_u16(),
                "detail": message,
                "message": message,
            },
        } },
    })
}

fn success<S>(route: &Route<S>, examples: &Examples<'_>) -> Value {
    let description = match route.status {
        StatusCode::SWITCHING_PROTOCOLS => "The connection is a WebSocket from now on.",
        StatusCode::CREATED => "It is made.",
        StatusCode::ACCEPTED => "It is taken, and will be done.",
        _ => "It is done, or here is what was asked for.",
    };
    let mut names = of_success(route);
    let mut headers = with(&[]);
    for (name, about) in &route.tells {
        if HEADERS.iter().any(|(known, ..)| known == name) {
            names.push(*name);
        } else {
            let header = json!({ "description": about, "schema": { "type": "string" } });
            headers.insert((*name).to_owned(), header);
        }
    }
    headers.extend(with(&names));
    let mut success = json!({ "description": description, "headers": headers });
    let content = content(route, examples);
    if !content.is_empty() {
        success["content"] = content.into();
    }
    success
}

/// The shared headers of success, without the one that all answers have.
fn of_success<S>(route: &Route<S>) -> Vec<&'static str> {
    let own = [(route.tagged, "ETag"), (route.paged, "Link")];
    let own = own.into_iter().filter(|(holds, _)| *holds);
    own.map(|(_, name)| name).collect()
}

/// References to shared headers, and to the one that all answers have.
fn with(names: &[&str]) -> Map<String, Value> {
    let all = names.iter().chain(&[EVERYWHERE]);
    let reference = |name: &&str| {
        let place = format!("#/components/headers/{name}");
        ((*name).to_owned(), json!({ "$ref": place }))
    };
    all.map(reference).collect()
}

/// The shared headers that routes answer with.
pub(super) fn headers<S>(routes: &[&Route<S>]) -> Value {
    let used = |name: &str| {
        let answers = |route: &&Route<S>| {
            name == EVERYWHERE
                || of_success(route).contains(&name)
                || route.tells.iter().any(|(told, _)| *told == name)
                || codes(route)
                    .into_iter()
                    .any(|code| !is_other(route, code) && !problem(code)["headers"][name].is_null())
        };
        routes.iter().any(answers)
    };
    let used = HEADERS.iter().filter(|(name, ..)| used(name));
    used.map(|(name, kind, about)| {
        let header = json!({ "description": about, "schema": { "type": kind } });
        ((*name).to_owned(), header)
    })
    .collect::<Map<_, _>>()
    .into()
}

/// Whether the status of a failure is that of an answer of its own.
fn is_other<S>(route: &Route<S>, code: Code) -> bool {
    let mut others = route.others.iter();
    others.any(|(status, _)| *status == code.status())
}

/// What success looks like, by media type.
fn content<S>(route: &Route<S>, examples: &Examples<'_>) -> Map<String, Value> {
    let schema = &route.reply.schema;
    let json = route
        .json
        .then(|| json!({ "schema": schema, "example": examples.of(schema) }));
    let json = json.map(|json| ("application/json".to_owned(), json));
    let other = |kind: &&str| {
        let schema = match *kind {
            "application/json" => json!({ "type": "object" }),
            _ => json!({ "type": "string" }),
        };
        ((*kind).to_owned(), json!({ "schema": schema }))
    };
    json.into_iter()
        .chain(route.media.iter().map(other))
        .collect()
}

pub(super) fn problem_schema() -> Value {
    json!({
        "type": "object",
        "description": "A problem document (RFC 9457) with `message` beside its own members.",
        "required": ["type", "title", "status", "message"],
        "properties": {
            "type": { "type": "string", "description": "Always `about:blank`: the status says what kind it is." },
            "title": { "type": "string", "description": "The status in words." },
            "status": { "type": "integer", "minimum": 400, "maximum": 599 },
            "detail": { "type": "string", "description": "The same as `message`." },
            "message": { "type": "string", "description": "What is wrong, for people." },
            "trace_id": { "type": "string", "description": "The trace of the request, for operators." },
            "errors": {
                "type": "array",
                "description": "Which members of a body are not acceptable (422), and why.",
                "items": {
                    "type": "object",
                    "required": ["pointer", "detail"],
                    "properties": {
                        "pointer": { "type": "string", "description": "A JSON Pointer (RFC 6901): `/options/3`; empty for the whole body." },
                        "detail": { "type": "string", "description": "What belongs there." },
                    },
                },
            },
        },
    })
}
