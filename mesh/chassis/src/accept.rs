//! Which form of a resource its reader likes best (RFC 9110, 12.5.1).

use http::{HeaderMap, header};

/// Ranges that are looked at in one request; more than any browser sends.
const RANGES: usize = 32;

/// The offer that `Accept` likes best, the first of equals; `None` when it takes none of them.
pub(crate) fn prefer(headers: &HeaderMap, offers: &[&'static str]) -> Option<&'static str> {
    let lines = headers.get_all(header::ACCEPT).iter();
    let ranges: Vec<Range<'_>> = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .filter_map(Range::parse)
        .take(RANGES)
        .collect();
    if ranges.is_empty() {
        return offers.first().copied();
    }
    let liked = offers
        .iter()
        .rev()
        .map(|offer| (quality(&ranges, offer), *offer));
    let best = liked.max_by_key(|(quality, _)| *quality)?;
    (best.0 > 0).then_some(best.1)
}

/// `text/html;q=0.8`
struct Range<'a> {
    kind: &'a str,
    /// In thousandths.
    quality: u16,
}

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let kind = parts.next().filter(|kind| kind.contains('/'))?;
        let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
        Some(Self {
            kind,
            quality: weight.map_or(1000, thousandths),
        })
    }

    /// How closely the range names `offer`: 3 itself, 2 its kind, 1 anything; 0 not at all.
    fn closeness(&self, offer: &str) -> u8 {
        let of_type = |kind: &str| {
            kind.split('/')
                .next()
                .unwrap_or_default()
                .to_ascii_lowercase()
        };
        if self.kind.eq_ignore_ascii_case(offer) {
            3
        } else if self.kind.ends_with("/*") && of_type(self.kind) == of_type(offer) {
            2
        } else {
            u8::from(self.kind == "*/*")
        }
    }
}

/// `0.8` is 800; what is no number is 0.
fn thousandths(text: &str) -> u16 {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if !matches!(whole, "0" | "1") || part.len() > 3 {
        return 0;
    }
    format!("{whole}{part:0<3}")
        .parse()
        .map_or(0, |number: u16| number.min(1000))
}

fn quality(ranges: &[Range<'_>], offer: &str) -> u16 {
    let closest = ranges
        .iter()
        .map(|range| (range.closeness(offer), range.quality))
        .filter(|(closeness, _)| *closeness > 0)
        .max_by_key(|(closeness, _)| *closeness);
    closest.map_or(0, |(_, quality)| quality)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFERS: [&str; 2] = ["application/json", "text/html"];

    fn preferred(accept: &str) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        prefer(&headers, &OFFERS)
    }

    #[test]
    fn programs_get_json_and_browsers_a_page() {
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";
        assert_eq!(preferred(browser), Some("text/html"));
        assert_eq!(prefer(&HeaderMap::new(), &OFFERS), Some("application/json"));
        for program in [
            "*/*",
            "application/json",
            "application/json, text/plain, */*",
            "application/*",
        ] {
            assert_eq!(preferred(program), Some("application/json"), "{program}");
        }
    }

    #[test]
    fn weights_count_and_the_closest_range_rules() {
        assert_eq!(
            preferred("application/json;q=0.5, text/html;q=0.501"),
            Some("text/html")
        );
        assert_eq!(
            preferred("text/html;q=0.5, application/json;q=0.9"),
            Some("application/json")
        );
        assert_eq!(
            preferred("application/json;q=0, */*;q=0.1"),
            Some("text/html")
        );
        assert_eq!(preferred("TEXT/HTML; level=1; Q=1"), Some("text/html"));
        assert_eq!(
            preferred("text/*, application/json;q=0.999"),
            Some("text/html")
        );
    }

    #[test]
    fn what_is_refused_or_no_weight_at_all_is_not_preferred() {
        assert_eq!(preferred("image/png"), None);
        assert_eq!(preferred("text/html;q=0"), None);
        assert_eq!(preferred("text/html;q=9, application/json;q=NaN"), None);
        assert_eq!(preferred("garbage"), Some("application/json"));
    }
}
