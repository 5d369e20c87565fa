//! The OpenAPI 3.1 document of a service, from its route table.

use serde_json::{Map, Value, json};

use crate::{
    Auth, Code, Route,
    route::{PUBLIC, Segment},
};

/// The document of the service `name`; `routes` is all it is made from.
pub fn document<S>(name: &str, description: &str, routes: &[Route<S>]) -> Value {
    let mut paths = Map::new();
    let mut schemas = Map::new();
    schemas.insert("Problem".into(), problem_schema());
    let shown = |route: &&Route<S>| route.listener == PUBLIC && route.documented;
    for route in routes.iter().filter(shown) {
        let path = paths
            .entry(route.public_template())
            .or_insert_with(|| json!({}));
        path[route.method.as_str().to_lowercase()] = operation(name, route);
        let bodies = route.body.iter().chain([&route.reply]);
        schemas.extend(bodies.flat_map(|schema| schema.components.iter().cloned()));
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": format!("Plaza {name}"), "description": description, "version": env!("CARGO_PKG_VERSION") },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" } },
        },
    })
}

impl<S> Route<S> {
    /// Left out of the document, which has room for one operation of a method and path: another
    /// service's is there (D15).
    #[must_use]
    pub fn undocumented(mut self) -> Self {
        self.documented = false;
        self
    }
}

fn operation<S>(name: &str, route: &Route<S>) -> Value {
    let mut operation = json!({
        "operationId": operation_id(route),
        "summary": route.summary,
        "tags": [name],
        "responses": responses(route),
    });
    let parameters = parameters(route);
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    match route.auth {
        Auth::None => operation["security"] = json!([]),
        Auth::Optional => operation["security"] = json!([{}, { "bearer": [] }]),
        Auth::Required => operation["security"] = json!([{ "bearer": [] }]),
    }
    if let Some(body) = &route.body {
        let mut content = json!({ "application/json": { "schema": body.schema } });
        if route.form_or_query {
            for form in ["application/x-www-form-urlencoded", "multipart/form-data"] {
                content[form] = json!({ "schema": body.schema });
            }
        }
        operation["requestBody"] = json!({ "required": !route.form_or_query, "content": content });
    }
    operation
}

fn operation_id<S>(route: &Route<S>) -> String {
    let path = route
        .public_template()
        .replace(['{', '}'], "")
        .replace(['/', '.', '-'], "_");
    format!(
        "{}{}",
        route.method.as_str().to_lowercase(),
        path.trim_end_matches('_')
    )
}

fn parameters<S>(route: &Route<S>) -> Vec<Value> {
    let of_path = route.segments.iter().filter_map(|segment| match segment {
        Segment::Literal(_) => None,
        Segment::Text(name) => Some(
            json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }),
        ),
        Segment::Integer(name) => Some(json!({
            "name": name, "in": "path", "required": true,
            "schema": { "type": "integer", "format": "int64", "minimum": 0 },
        })),
    });
    let of_query = route.query.iter().map(|(name, description)| {
        json!({ "name": name, "in": "query", "description": description, "schema": { "type": "string" } })
    });
    let of_header = route.idempotent.then(|| {
        json!({
            "name": "Idempotency-Key", "in": "header",
            "description": "A text of the client's choice: a repetition with the same one is answered as the first, and done once",
            "schema": { "type": "string", "minLength": 1, "maxLength": 255 },
        })
    });
    of_path.chain(of_query).chain(of_header).collect()
}

fn responses<S>(route: &Route<S>) -> Value {
    let mut responses = Map::new();
    responses.insert(
        route.status.as_u16().to_string(),
        json!({
            "description": route.status.canonical_reason().unwrap_or("Success"),
            "content": content(route),
        }),
    );
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
    if !route.query.is_empty() {
        codes.push(Code::Malformed);
    }
    if route
        .segments
        .iter()
        .any(|segment| !matches!(segment, Segment::Literal(_)))
    {
        codes.push(Code::NotFound);
    }
    for code in codes {
        let status = code.status();
        responses.entry(status.as_u16().to_string()).or_insert_with(|| {
            json!({
                "description": status.canonical_reason().unwrap_or("Error"),
                "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
            })
        });
    }
    responses.sort_keys();
    responses.into()
}

/// What success looks like, by media type.
fn content<S>(route: &Route<S>) -> Map<String, Value> {
    let json = route
        .json
        .then(|| ("application/json", route.reply.schema.clone()));
    let text = |kind: &str| match kind {
        "application/json" => json!({ "type": "object" }),
        _ => json!({ "type": "string" }),
    };
    let others = route.media.iter().map(|kind| (*kind, text(kind)));
    json.into_iter()
        .chain(others)
        .map(|(kind, schema)| (kind.to_owned(), json!({ "schema": schema })))
        .collect()
}

fn problem_schema() -> Value {
    json!({
        "type": "object",
        "description": "A problem document (RFC 9457) with `message` beside its own members.",
        "required": ["type", "title", "status", "message"],
        "properties": {
            "type": { "type": "string" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string" },
            "message": { "type": "string" },
            "trace_id": { "type": "string" },
            "errors": {
                "type": "array",
                "description": "Which members of a body are not acceptable (422), and why",
                "items": {
                    "type": "object",
                    "required": ["pointer", "detail"],
                    "properties": {
                        "pointer": { "type": "string", "description": "A JSON Pointer: /options/3; empty for the whole body" },
                        "detail": { "type": "string" },
                    },
                },
            },
        },
    })
}
