//! Which pages of other origins may read answers, and which addresses of clients are believed, as the operator says.

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::mesh::Mesh;
use crate::template::Values;

/// The variable that names origins, to services too.
pub const ORIGINS: &str = "ALLOWED_ORIGINS";

/// The variable that says how many proxies stand in front.
pub const HOPS: &str = "PLAZA_TRUSTED_HOPS";

/// An origin that every mesh of tests allows beside those of developers.
const OF_TESTS: &str = "https://friend.example";

/// What the operator says of those outside.
#[derive(Clone, Debug)]
pub struct Outside {
    /// Origins of pages that may read answers, separated by commas.
    pub origins: String,
    /// Whether pages that are being developed may too.
    pub development: bool,
    /// How many proxies of the operator's stand in front, each of which adds the address that it sees to `X-Forwarded-For`.
    pub hops: u32,
}

impl Outside {
    /// Reads the variables of this process.
    pub fn of_environment(mesh: &Mesh) -> Result<Self> {
        let environment = std::env::var("PLAZA_ENV").unwrap_or_default();
        Ok(Self {
            origins: allowed_origins(mesh),
            development: environment.is_empty() || environment.eq_ignore_ascii_case("development"),
            hops: trusted_hops(&hops())?,
        })
    }

    /// Adds what the script has to know of origins.
    pub fn fill(&self, values: &mut Values) -> Result<()> {
        let origins = parse(&self.origins)?;
        let named = origins.iter().filter(|origin| *origin != "*");
        let lines: Vec<_> = named
            .map(|origin| format!("[\"{origin}\"] = true"))
            .collect();
        let every = origins.iter().any(|origin| origin == "*");
        values.insert("origins".to_owned(), json!(lines.join(",\n  ")));
        values.insert("every_origin".to_owned(), json!(every.to_string()));
        let development = self.development.to_string();
        values.insert("development".to_owned(), json!(development));
        Ok(())
    }
}

/// Returns the origins that the operator allows.
pub fn allowed_origins(mesh: &Mesh) -> String {
    let set = std::env::var(ORIGINS).unwrap_or_default();
    if set.is_empty() && mesh.name == "test" {
        return OF_TESTS.to_owned();
    }
    set
}

/// Returns what the operator says of proxies.
pub fn hops() -> String {
    std::env::var(HOPS).unwrap_or_default()
}

/// Returns the origins of a list, each `scheme://host[:port]` as browsers write it, or `*`.
fn parse(list: &str) -> Result<Vec<String>> {
    let parts = list.split(',').map(str::trim);
    let mut origins = Vec::new();
    for origin in parts.filter(|origin| !origin.is_empty()) {
        let authority = origin
            .strip_prefix("https://")
            .or_else(|| origin.strip_prefix("http://"));
        let sound = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-:[]".contains(&byte)
        };
        let fits = authority.is_some_and(|host| !host.is_empty() && host.bytes().all(sound));
        if origin != "*" && !fits {
            bail!(
                "{ORIGINS}: `{origin}` is no origin; write https://example.com, without a path, in small letters, or *"
            );
        }
        origins.push(origin.to_owned());
    }
    Ok(origins)
}

fn trusted_hops(set: &str) -> Result<u32> {
    if set.is_empty() {
        return Ok(0);
    }
    let hops = set.parse().ok().filter(|hops| *hops <= 10);
    hops.with_context(|| format!("{HOPS} must be 0 to 10: it is `{set}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_browsers_send() {
        let good = parse("https://a.example, http://b.example:3000,,*").unwrap();
        assert_eq!(good, ["https://a.example", "http://b.example:3000", "*"]);
        for bad in [
            "a.example",
            "https://a.example/",
            "https://A.example",
            "https://",
            "null",
            "https://a\"] = true",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn hops_are_a_small_number() {
        assert_eq!(trusted_hops("").unwrap(), 0);
        assert_eq!(trusted_hops("2").unwrap(), 2);
        for bad in ["-1", "11", "one"] {
            assert!(trusted_hops(bad).unwrap_err().to_string().contains(bad));
        }
    }
}
