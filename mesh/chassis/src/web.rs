//! Addresses on the web that people give: of a picture, of what a post repeats.
//!
//! They end in pages of others, so they are read as browsers read them: by the URL Standard.

use url::Url;

/// Longest address, in bytes.
const LONGEST: usize = 2048;
/// Where a relative reference is read from: what it means on a page of ours.
const HERE: &str = "https://plaza.invalid/";

/// Whether a text is an absolute `http` or `https` URL without user info.
pub fn is_web_url(text: &str) -> bool {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme);
    let web = scheme.is_some_and(|scheme| {
        scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
    });
    web && is_web_reference(text)
}

/// Whether a text is such a URL, or a relative reference (RFC 3986, 4.2): `/a.png`, `a.png`, `//host/a.png`.
pub fn is_web_reference(text: &str) -> bool {
    // Browsers leave out blanks and take `\` for `/`: nobody else sees then what they see.
    let odd = |c: char| c.is_control() || c.is_whitespace() || c == '\\';
    if text.is_empty() || text.len() > LONGEST || text.contains(odd) {
        return false;
    }
    let Ok(here) = Url::parse(HERE) else {
        return false;
    };
    here.join(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.has_host() && !has_user_info(text)
    })
}

/// Whether there is an `@` before a host, with or without a name. However many slashes there are, what follows them is a host.
fn has_user_info(text: &str) -> bool {
    let (scheme, rest) = match text.split_once(':') {
        Some((scheme, rest)) if !scheme.contains(['/', '?', '#']) => (true, rest),
        _ => (false, text),
    };
    if !scheme && !rest.starts_with("//") {
        return false;
    }
    let authority = rest.trim_start_matches('/').split(['/', '?', '#']).next();
    authority.is_some_and(|authority| authority.contains('@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_leads_to_the_web_as_browsers_see_it() {
        for url in [
            "https://example.com/a.png",
            "HTTP://EXAMPLE.com",
            "http://localhost:8080/posts/id/7",
            "https://example.com/@ada",
            "https://example.com/?mail=a@b.c",
        ] {
            assert!(is_web_url(url) && is_web_reference(url), "{url}");
        }
        for relative in [
            "avatar",
            "/static/a.png",
            "../a.png",
            "./a:b",
            "?a=b:c",
            "#x",
            "//cdn.example.com/a.png",
            "a@b.png",
            "/@ada",
            "bild-ä.png",
        ] {
            assert!(is_web_reference(relative), "{relative}");
            assert!(!is_web_url(relative), "{relative}");
        }
    }

    #[test]
    fn nothing_else_is_an_address() {
        for bad in [
            "",
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            " javascript:alert(1)",
            "java\nscript:alert(1)",
            "\u{1}javascript:alert(1)",
            "javascript://example.com/%0aalert(1)",
            "data:text/html,x",
            "vbscript:x",
            "file:///etc/passwd",
            "ftp://example.com/a",
            "mailto:a@b.c",
            "blob:https://example.com/1",
            "a:b",
            "https://ada@example.com/",
            "https://ada:secret@example.com/",
            "https://@example.com/",
            "https:ada@example.com",
            "https:/ada@example.com/a",
            "https:///ada@example.com/a",
            "//ada@example.com/a.png",
            "///ada@example.com/a.png",
            "\\\\ada@example.com",
            "/\\example.com",
            "http://a b/",
            "http://",
            "https://exa mple.com",
            "/a b.png",
            "/a\0.png",
            "//",
            "//:80/a",
        ] {
            assert!(!is_web_reference(bad), "{bad:?}");
            assert!(!is_web_url(bad), "{bad:?}");
        }
        let long = format!("https://example.com/{}", "x".repeat(LONGEST));
        assert!(!is_web_reference(&long) && !is_web_url(&long));
    }
}
