//! Which pages may talk to us from a browser, which lets any page open a socket to anywhere. What REST answers may be read by
//! pages of other origins is the ingress's to say, by the same setting.

use http::{HeaderMap, HeaderValue, header};

use crate::{Environment, Error, Settings};

/// Allows the pages of every origin.
const EVERY: &str = "*";
/// Hosts of those who develop a page, on whatever port.
const DEVELOPERS: [&str; 2] = ["localhost", "127.0.0.1"];

/// The origins of pages that may.
#[derive(Debug)]
pub(crate) struct Origins {
    allowed: Vec<String>,
    development: bool,
}

impl Origins {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            allowed: settings
                .allowed_origins
                .iter()
                .filter(|origin| !origin.is_empty())
                .cloned()
                .collect(),
            development: settings.plaza_env == Environment::Development,
        }
    }

    /// Refuses pages of foreign origins; who sends no origin is no page.
    pub(crate) fn admit(&self, headers: &HeaderMap) -> Result<(), Error> {
        let Some(origin) = headers.get(header::ORIGIN) else {
            return Ok(());
        };
        let origin = origin.to_str().unwrap_or_default();
        if is_own(origin, headers) || self.is_allowed(origin) {
            return Ok(());
        }
        Err(Error::forbidden(
            "Pages of this origin may not open sockets here",
        ))
    }

    /// Lets a page of another origin read an answer, if it may: never with cookies or other credentials of the browser.
    pub(crate) fn share(&self, asked: &HeaderMap, answer: &mut HeaderMap) {
        answer.append(header::VARY, HeaderValue::from_static("origin"));
        let origin = asked.get(header::ORIGIN);
        let origin = origin.filter(|origin| {
            let origin = origin.to_str().unwrap_or_default();
            self.is_allowed(origin) && !is_own(origin, asked)
        });
        if let Some(origin) = origin {
            answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        }
    }

    fn is_allowed(&self, origin: &str) -> bool {
        let named = |allowed: &String| allowed == EVERY || allowed == origin;
        self.allowed.iter().any(named) || (self.development && is_of_a_developer(origin))
    }
}

/// Reads an origin of the setting: as browsers send it, or `*`. Nothing is one too, where a variable is set and empty.
pub(crate) fn parse(text: &str) -> Result<String, String> {
    let text = text.trim();
    let authority = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let sound =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-:[]".contains(&byte);
    let fits = authority.is_some_and(|host| !host.is_empty() && host.bytes().all(sound));
    if fits || text == EVERY || text.is_empty() {
        return Ok(text.to_owned());
    }
    Err("write https://example.com, without a path, in small letters, or *".to_owned())
}

fn is_own(origin: &str, headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
}

fn is_of_a_developer(origin: &str) -> bool {
    let authority = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"));
    authority.is_some_and(|authority| {
        let (host, port) = authority.split_once(':').unwrap_or((authority, "80"));
        DEVELOPERS.contains(&host) && port.parse::<u16>().is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(origin: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("plaza.example:8080"));
        headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
        headers
    }

    fn origins(development: bool) -> Origins {
        Origins {
            allowed: vec!["https://friend.example".to_owned()],
            development,
        }
    }

    #[test]
    fn pages_of_others_come_in_only_if_they_are_named_or_being_developed() {
        for (origin, in_production, in_development) in [
            ("http://plaza.example:8080", true, true),
            ("https://friend.example", true, true),
            ("http://friend.example", false, false),
            ("https://friend.example.evil", false, false),
            ("http://localhost:5173", false, true),
            ("https://127.0.0.1", false, true),
            ("http://localhost.evil.example", false, false),
            ("http://localhost:80@evil.example", false, false),
            ("http://localhost:x", false, false),
            ("ftp://localhost", false, false),
            ("null", false, false),
            ("", false, false),
        ] {
            for (development, admitted) in [(false, in_production), (true, in_development)] {
                let outcome = origins(development).admit(&headers(origin));
                assert_eq!(outcome.is_ok(), admitted, "{origin} {development}");
            }
        }
        assert!(origins(false).admit(&HeaderMap::new()).is_ok());
    }

    #[test]
    fn a_star_lets_every_page_in() {
        let every = Origins {
            allowed: vec!["*".to_owned()],
            development: false,
        };
        assert!(every.admit(&headers("https://foe.example")).is_ok());
        assert!(every.admit(&headers("null")).is_ok());
    }

    #[test]
    fn a_setting_that_no_browser_would_send_is_refused() {
        for good in ["https://a.example", " http://b.example:3000", "*", ""] {
            assert_eq!(parse(good), Ok(good.trim().to_owned()));
        }
        for bad in [
            "a.example",
            "https://a.example/",
            "https://A.example",
            "null",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_answer_is_shared_with_named_pages_and_never_with_credentials() {
        for (origin, shared) in [
            ("https://friend.example", Some("https://friend.example")),
            ("http://plaza.example:8080", None),
            ("https://foe.example", None),
        ] {
            let mut answer = HeaderMap::new();
            origins(false).share(&headers(origin), &mut answer);
            let with = answer.get(header::ACCESS_CONTROL_ALLOW_ORIGIN);
            assert_eq!(with.map(|with| with.to_str().unwrap()), shared);
            assert_eq!(answer[header::VARY], "origin");
            assert!(!answer.contains_key(header::ACCESS_CONTROL_ALLOW_CREDENTIALS));
        }
    }
}
