//! The page for operators, and the one to watch a discussion. Names come from whoever registers something: every text is
//! escaped.

use std::fmt::{self, Display, Formatter, Write as _};

use chassis::Content;

use crate::{
    figures::Known,
    model::{Instance, Link, Overview, Part, Status},
    plot,
};

const STYLE: &str = include_str!("assets/portal.css");
const SCRIPT: &str = include_str!("assets/portal.js");
const LIVE: &str = include_str!("assets/live.html");
const LIVE_STYLE: &str = include_str!("assets/live.css");
const LIVE_SCRIPT: &str = include_str!("assets/live.js");
const ICON: &str = include_str!("assets/icon.svg");

const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// A file of a page.
pub(crate) fn file(name: &str) -> Option<Content> {
    match name {
        "portal.css" => Some(Content::new(CSS, STYLE)),
        "portal.js" => Some(Content::new(JAVASCRIPT, SCRIPT)),
        "live.css" => Some(Content::new(CSS, LIVE_STYLE)),
        "live.js" => Some(Content::new(JAVASCRIPT, LIVE_SCRIPT)),
        "icon.svg" => Some(Content::new("image/svg+xml", ICON)),
        _ => None,
    }
}

/// The page that shows the comments on a post as they are written: its script does all of it.
pub(crate) fn live() -> Content {
    Content::html(LIVE)
}

/// The page as it is now; its script asks for it again and puts what is new in place.
pub(crate) fn render(overview: &Overview, figures: &Known, links: &[Link]) -> String {
    let mut page = String::with_capacity(16 * 1024);
    // Writing into a String cannot fail.
    let _ = write!(
        page,
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Plaza</title>
<link rel="icon" href="/portal/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/portal/portal.css">
<script src="/portal/portal.js" defer></script>
</head>
<body>
<header>
<h1>Plaza</h1>
<nav aria-label="Tools"><ul>
<li><a href="/live">Live comments</a></li>
<li><a href="/docs">API documentation</a></li>
<li><a href="/openapi.json">OpenAPI</a></li>
<li><a href="/health">Health</a></li>
{}</ul></nav>
</header>
<main>
<section id="summary" aria-label="Summary">{}</section>
<p id="connection" role="status"><noscript>Reload the page to see what changed.</noscript></p>
<section id="figures" aria-labelledby="figures-title"><h2 id="figures-title">Figures</h2>
{}</section>
<section id="services" aria-labelledby="services-title"><h2 id="services-title">Services</h2>
<ul class="cards">{}</ul></section>
<section id="others" aria-labelledby="others-title"><h2 id="others-title">Beside them</h2>
<ul class="rows">{}</ul></section>
</main>
<footer><p>Plaza {}, as Consul sees it.</p></footer>
</body>
</html>
"#,
        Each(links, link),
        Shown(|out: &mut Formatter<'_>| summary(out, overview)),
        Shown(|out: &mut Formatter<'_>| plot::all(out, figures)),
        Each(&overview.services, card),
        Each(&overview.others, row),
        env!("CARGO_PKG_VERSION"),
    );
    page
}

fn link(out: &mut Formatter<'_>, link: &Link) -> fmt::Result {
    let (name, url) = (Escaped(&link.name), Escaped(&link.url));
    writeln!(
        out,
        r#"<li><a href="{url}" rel="noreferrer">{name}</a></li>"#
    )
}

fn summary(out: &mut Formatter<'_>, overview: &Overview) -> fmt::Result {
    let all = overview.services.len();
    let healthy = overview
        .services
        .iter()
        .filter(|part| part.status == Status::Healthy)
        .count();
    let status = overview.status;
    write!(out, r#"<p class="status" data-status="{status}">"#)?;
    match status {
        Status::Healthy => write!(out, "All {all} services are healthy")?,
        Status::Unknown => write!(out, "Consul has not told yet what runs")?,
        _ => write!(out, "{healthy} of {all} services are healthy")?,
    }
    write!(out, "</p>")?;
    if overview.away {
        write!(
            out,
            r#"<p class="warning">Consul does not answer: this is what was known before.</p>"#
        )?;
    }
    Ok(())
}

fn card(out: &mut Formatter<'_>, part: &Part) -> fmt::Result {
    let (name, description) = (Escaped(&part.name), Escaped(&part.description));
    let (status, healthy, count) = (part.status, part.healthy, part.count);
    write!(
        out,
        r#"<li class="card" data-service="{name}" data-status="{status}">
<h3>{name}</h3><p class="status" data-status="{status}">{status}</p>
<p>{description}</p>
<p class="counts"><span class="healthy">{healthy}</span> of <span class="count">{count}</span> instances healthy"#
    )?;
    if part.operations > 0 {
        let operations = part.operations;
        write!(
            out,
            r#", <a id="docs-{name}" href="/docs#/{name}">{operations} operations</a>"#
        )?;
    }
    write!(
        out,
        "</p>\n<ul class=\"instances\">{}</ul></li>\n",
        Each(&part.instances, instance)
    )
}

fn instance(out: &mut Formatter<'_>, instance: &Instance) -> fmt::Result {
    let (id, status) = (Escaped(&instance.id), instance.status());
    write!(
        out,
        r#"<li data-instance="{id}"><span class="dot" data-status="{status}" aria-hidden="true"></span>{id} <span class="word">{status}</span>"#
    )?;
    if let Some(docs) = &instance.docs {
        let docs = Escaped(docs);
        write!(
            out,
            r#" <a id="own-docs-{id}" href="{docs}" rel="noreferrer" aria-label="Documentation of {id} itself">docs</a>"#
        )?;
    }
    writeln!(out, "</li>")
}

fn row(out: &mut Formatter<'_>, part: &Part) -> fmt::Result {
    let name = Escaped(&part.name);
    let (status, healthy, count) = (part.status, part.healthy, part.count);
    writeln!(
        out,
        r#"<li data-service="{name}"><span class="dot" data-status="{status}" aria-hidden="true"></span>{name} <span class="word">{status}, {healthy} of {count}</span></li>"#
    )
}

/// What a function writes.
struct Shown<F>(F);

impl<F: Fn(&mut Formatter<'_>) -> fmt::Result> Display for Shown<F> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        (self.0)(formatter)
    }
}

/// What a function writes of each item.
struct Each<'a, T>(&'a [T], fn(&mut Formatter<'_>, &T) -> fmt::Result);

impl<T> Display for Each<'_, T> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|item| (self.1)(formatter, item))
    }
}

/// Text that stays text, in a page and in its attributes.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| match character {
            '&' => formatter.write_str("&amp;"),
            '<' => formatter.write_str("&lt;"),
            '>' => formatter.write_str("&gt;"),
            '"' => formatter.write_str("&quot;"),
            '\'' => formatter.write_str("&#39;"),
            other => formatter.write_char(other),
        })
    }
}

#[cfg(test)]
mod tests {
    use discovery::{Health, Listed, Snapshot};

    use super::*;

    #[test]
    fn what_others_register_stays_text() {
        let evil = "\"><script>alert('x')</script>&";
        let listed = Listed {
            id: evil.into(),
            address: evil.into(),
            port: 1,
            meta: [].into(),
            health: Health::Passing,
        };
        let snapshot = Snapshot {
            services: [(evil.to_owned(), vec![listed])].into(),
            ..Snapshot::default()
        };
        let link = Link {
            name: evil.into(),
            url: format!("http://a/{evil}"),
        };
        let page = render(
            &Overview::of(&[], Some(&snapshot), false),
            &Known::Nothing,
            &[link],
        );
        assert!(!page.contains("<script>alert"), "{page}");
        assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)"), "{page}");
    }
}
