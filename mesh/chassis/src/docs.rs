//! `/docs` and `/openapi.json` (S2-64): what a service answers, for people and for programs.
//!
//! Every service has both on its own listener, beside its route table: they are in none of the
//! files that follow from it, so the ingress routes to no service's but the portal's, which has
//! them in its table.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http::Method;
use serde_json::Value;

use crate::{Answer, Content, Error, Request, Route, Service, openapi};

/// The three routes and a path of each.
const PATHS: [(&str, &str); 3] = [
    ("/openapi.json", "/openapi.json"),
    ("/docs", "/docs"),
    ("/docs/{file}", "/docs/x"),
];

/// The routes: a page with Swagger UI called `title`, its files, and the document that it shows.
///
/// The document is made when it is first asked for.
pub fn routes<S: Service>(title: &'static str, document: fn() -> Value) -> Vec<Route<S>> {
    let text = Arc::new(LazyLock::new(move || Bytes::from(document().to_string())));
    let [(openapi, _), (docs, _), (files, _)] = PATHS;
    vec![
        Route::get(openapi, move |_: Arc<S>, _: Request| {
            let text = Arc::clone(&text);
            async move { Ok(Answer::from(Content::new("application/json", (**text).clone())).tagged()) }
        })
        .media("application/json")
        .tagged().id("getOpenApiDocument").summary("The OpenAPI document"),
        Route::get(docs, move |_: Arc<S>, _: Request| async move {
            Ok(Answer::from(Content::html(page(title))).tagged())
        })
        .media("text/html")
        .tagged().id("getDocumentation").summary("The OpenAPI document for people, to read and to try out"),
        Route::get(files, |_: Arc<S>, request: Request| async move {
            let name: String = request.param("file")?;
            let content = file(&name).ok_or_else(|| Error::not_found("There is no such file"))?;
            Ok(Answer::from(content).tagged())
        })
        .media("text/javascript")
        .media("text/css")
        .tagged().id("getDocumentationFile").summary("What the page of the documentation loads"),
    ]
}

/// The routes that a service with these does not have itself.
pub(crate) fn of_service<S: Service>(own: &[Arc<Route<S>>]) -> Vec<Route<S>> {
    let all = routes::<S>(S::NAME, || {
        openapi::document(S::NAME, S::DESCRIPTION, &S::routes())
    });
    let taken = |path: &str| {
        own.iter()
            .any(|route| route.method == Method::GET && route.matches(path))
    };
    all.into_iter()
        .zip(PATHS)
        .filter(|(_, (_, path))| !taken(path))
        .map(|(route, _)| route)
        .collect()
}

/// The page. Its addresses are whole, so that they hold below `/docs` and below `/docs/`.
fn page(title: &str) -> String {
    format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger-ui.css">
<script src="/docs/swagger-ui.js" defer></script>
<script src="/docs/start.js" defer></script>
</head>
<body>
<div id="docs"></div>
<noscript>This page needs JavaScript; <a href="/openapi.json">the document itself</a> does not.</noscript>
</body>
</html>
"#
    )
}

fn file(name: &str) -> Option<Content> {
    const SCRIPT: &str = "text/javascript; charset=utf-8";
    match name {
        "swagger-ui.js" => Some(Content::new(SCRIPT, swagger_ui::SCRIPT)),
        "start.js" => Some(Content::new(SCRIPT, swagger_ui::START)),
        "swagger-ui.css" => Some(Content::new("text/css; charset=utf-8", swagger_ui::STYLE)),
        _ => None,
    }
}
