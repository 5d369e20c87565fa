//! What others wrote and we ship: under which licences, from where, and with which known holes. `deny.toml` is the policy, in the
//! words of cargo-deny, so that whoever has it can ask it too.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use semver::{Version, VersionReq};
use serde::Deserialize;
use serde_json::Value;
use spdx::{Expression, ParseMode};

use super::dependencies::array;

/// The policy.
const POLICY: &str = "deny.toml";

/// Variable with the folder of a copy of the `RustSec` database.
const DATABASE: &str = "PLAZA_ADVISORIES";

/// What to do where there is no copy.
pub const NO_DATABASE: &str = "no copy of the RustSec database is here: \
    `git clone https://github.com/rustsec/advisory-db ~/.cargo/advisory-db`, or name the folder of one in PLAZA_ADVISORIES";

/// The part of that file that is read here.
#[derive(Deserialize)]
struct Policy {
    licenses: Licenses,
    sources: Sources,
    advisories: Accepted,
}

/// Licences that are fine for all crates, and those that are for some.
#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
    exceptions: Vec<Exception>,
}

/// Licences of one crate.
#[derive(Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    package: String,
    allow: Vec<String>,
}

/// Where crates may come from.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: Vec<String>,
}

/// Advisories that do not concern us, each with its reason.
#[derive(Deserialize)]
struct Accepted {
    ignore: Vec<Ignored>,
}

/// One of them.
#[derive(Deserialize)]
struct Ignored {
    id: String,
    reason: String,
}

/// The head of an advisory.
#[derive(Deserialize)]
struct Head {
    advisory: Advisory,
    #[serde(default)]
    versions: Versions,
}

#[derive(Deserialize)]
struct Advisory {
    id: String,
    /// Not a hole: a notice, or that nobody looks after the crate any more.
    #[serde(default)]
    informational: Option<String>,
    #[serde(default)]
    withdrawn: Option<String>,
}

/// Versions without the hole.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Versions {
    patched: Vec<VersionReq>,
    unaffected: Vec<VersionReq>,
}

/// A crate that is built.
struct Package<'a> {
    name: &'a str,
    version: &'a str,
    license: &'a str,
    source: Option<&'a str>,
}

fn policy(checkout: &Path) -> Result<Policy> {
    let text = fs::read_to_string(checkout.join(POLICY));
    let text = text.with_context(|| format!("cannot read {POLICY}"))?;
    toml::from_str(&text).with_context(|| format!("{POLICY} is no policy"))
}

/// Returns crates that may not be shipped, and lines of the policy that nothing needs any more.
pub fn findings(checkout: &Path, metadata: &Value) -> Result<Vec<String>> {
    let (policy, packages) = (policy(checkout)?, packages(metadata));
    let mut found = licenses(&packages, &policy.licenses);
    let allowed = |source: &str| {
        let registry = source.strip_prefix("registry+");
        registry.is_some_and(|url| {
            policy
                .sources
                .allow_registry
                .iter()
                .any(|known| known == url)
        })
    };
    let strangers = packages
        .iter()
        .filter(|package| package.source.is_some_and(|source| !allowed(source)));
    found.extend(strangers.map(|package| {
        let source = package.source.unwrap_or_default();
        format!(
            "{} comes from {source}, which is none of the sources in {POLICY}",
            package.name
        )
    }));
    Ok(found)
}

/// Returns known holes of what is built, by a copy of the `RustSec` database; `None` where there is no copy.
pub fn advisories(checkout: &Path, metadata: &Value) -> Result<Option<Vec<String>>> {
    let Some(database) = database()? else {
        return Ok(None);
    };
    holes(
        &packages(metadata),
        &database,
        &policy(checkout)?.advisories.ignore,
    )
    .map(Some)
}

/// A copy that is named has to be there.
fn database() -> Result<Option<PathBuf>> {
    if let Some(named) = std::env::var_os(DATABASE) {
        let folder = PathBuf::from(named);
        fs::read_dir(folder.join("crates"))
            .with_context(|| format!("{DATABASE} is no copy of the database"))?;
        return Ok(Some(folder));
    }
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let usual = home.map(|home| home.join("advisory-db"));
    Ok(usual.filter(|folder| folder.join("crates").is_dir()))
}

fn packages(metadata: &Value) -> Vec<Package<'_>> {
    let built: BTreeSet<_> = array(&metadata["resolve"]["nodes"])
        .filter_map(|node| node["id"].as_str())
        .collect();
    let packages = array(&metadata["packages"]);
    let packages =
        packages.filter(|package| package["id"].as_str().is_some_and(|id| built.contains(id)));
    packages
        .map(|package| Package {
            name: package["name"].as_str().unwrap_or_default(),
            version: package["version"].as_str().unwrap_or_default(),
            license: package["license"].as_str().unwrap_or_default(),
            source: package["source"].as_str(),
        })
        .collect()
}

fn licenses(packages: &[Package<'_>], policy: &Licenses) -> Vec<String> {
    let (mut found, mut needed) = (Vec::new(), BTreeSet::new());
    for package in packages {
        let own = policy
            .exceptions
            .iter()
            .filter(|exception| exception.package == package.name);
        let own: Vec<_> = own.flat_map(|exception| &exception.allow).collect();
        let Ok(expression) = Expression::parse_mode(package.license, ParseMode::LAX) else {
            found.push(format!(
                "{} is under `{}`, which is no licence",
                package.name, package.license
            ));
            continue;
        };
        let mut used = BTreeSet::new();
        let fine = expression.evaluate(|wanted| {
            let wanted = wanted.to_string();
            let known = policy.allow.contains(&wanted) || own.contains(&&wanted);
            used.extend(known.then_some(wanted));
            known
        });
        if fine {
            needed.extend(used);
        } else {
            found.push(format!(
                "{} is under {}, which {POLICY} does not allow",
                package.name, package.license
            ));
        }
    }
    let stale = policy
        .allow
        .iter()
        .filter(|license| !needed.contains(*license));
    found.extend(
        stale.map(|license| {
            format!("no crate is under {license} any more: remove it from {POLICY}")
        }),
    );
    let gone = policy.exceptions.iter().map(|exception| &exception.package);
    let gone = gone.filter(|name| !packages.iter().any(|package| package.name == *name));
    found.extend(gone.map(|name| format!("{name} is not built any more: remove it from {POLICY}")));
    found
}

fn holes(packages: &[Package<'_>], database: &Path, ignored: &[Ignored]) -> Result<Vec<String>> {
    let (mut found, mut met) = (Vec::new(), BTreeSet::new());
    for package in packages.iter().filter(|package| package.source.is_some()) {
        let version = Version::parse(package.version)?;
        for (path, text) in texts(&database.join("crates").join(package.name))? {
            let head = head(&text).with_context(|| format!("{} is no advisory", path.display()))?;
            if !head.concerns(&version) {
                continue;
            }
            let id = head.advisory.id;
            let title = text
                .lines()
                .find_map(|line| line.strip_prefix("# "))
                .unwrap_or_default();
            if !ignored
                .iter()
                .any(|ignored| ignored.id == id && !ignored.reason.is_empty())
            {
                found.push(format!("{} {version}: {id}: {title}", package.name));
            }
            met.insert(id);
        }
    }
    let stale = ignored.iter().filter(|ignored| !met.contains(&ignored.id));
    found.extend(stale.map(|ignored| {
        format!(
            "{} concerns nothing any more: remove it from {POLICY}",
            ignored.id
        )
    }));
    Ok(found)
}

/// The advisories of a crate; most have none.
fn texts(folder: &Path) -> Result<Vec<(PathBuf, String)>> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let paths = paths.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    paths
        .map(|path| {
            let text = fs::read_to_string(&path)?;
            Ok((path, text))
        })
        .collect()
}

/// An advisory is a text that begins with a block of TOML.
fn head(text: &str) -> Result<Head> {
    let block = text
        .split("```toml")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    Ok(toml::from_str(block.context("it has no head")?)?)
}

impl Head {
    fn concerns(&self, version: &Version) -> bool {
        let safe = self
            .versions
            .patched
            .iter()
            .chain(&self.versions.unaffected);
        let hole = self
            .advisory
            .informational
            .as_deref()
            .is_none_or(|kind| kind == "unsound");
        hole && self.advisory.withdrawn.is_none()
            && !safe.into_iter().any(|safe| safe.matches(version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;

    fn package(license: &'static str) -> Package<'static> {
        let source = Some("registry+https://github.com/rust-lang/crates.io-index");
        Package {
            name: "ring",
            version: "0.17.11",
            license,
            source,
        }
    }

    fn policy(allow: &[&str], exceptions: &[&str]) -> Licenses {
        let own = |licenses: &[&str]| {
            licenses
                .iter()
                .map(|license| (*license).to_owned())
                .collect()
        };
        let exception = Exception {
            package: "ring".to_owned(),
            allow: own(exceptions),
        };
        let exceptions = if exceptions.is_empty() {
            Vec::new()
        } else {
            vec![exception]
        };
        Licenses {
            allow: own(allow),
            exceptions,
        }
    }

    #[test]
    fn a_licence_that_is_not_allowed_is_found() {
        let mit = policy(&["MIT"], &[]);
        assert!(licenses(&[package("MIT/Apache-2.0")], &mit).is_empty());
        assert!(licenses(&[package("MIT OR Apache-2.0")], &mit).is_empty());
        assert_eq!(
            licenses(&[package("MIT AND GPL-3.0-only"), package("MIT")], &mit).len(),
            1
        );
        assert_eq!(licenses(&[package(""), package("MIT")], &mit).len(), 1);
        assert!(licenses(&[package("MPL-2.0")], &policy(&[], &["MPL-2.0"])).is_empty());
    }

    #[test]
    fn a_licence_that_nobody_needs_is_found() {
        let found = licenses(&[package("MIT")], &policy(&["MIT", "Zlib"], &[]));
        assert_eq!(
            found,
            ["no crate is under Zlib any more: remove it from deny.toml"]
        );
    }

    #[test]
    fn a_known_hole_is_found_until_it_is_mended_or_accepted() {
        let database =
            std::env::temp_dir().join(format!("plaza-advisories-{}", random::uuid().unwrap()));
        let folder = database.join("crates/ring");
        fs::create_dir_all(&folder).unwrap();
        let hole = "```toml\n[advisory]\nid = \"RUSTSEC-2025-0009\"\npackage = \"ring\"\ndate = \"2025-03-06\"\n\
            [versions]\npatched = [\">= 0.17.12\"]\nunaffected = [\"< 0.16\"]\n```\n\n# It panics\n";
        fs::write(folder.join("RUSTSEC-2025-0009.md"), hole).unwrap();
        let notice = hole.replace("date =", "informational = \"unmaintained\"\ndate =");
        fs::write(folder.join("RUSTSEC-2025-0010.md"), notice).unwrap();
        let at = |version| {
            [Package {
                version,
                ..package("ISC")
            }]
        };
        let accepted = Ignored {
            id: "RUSTSEC-2025-0009".to_owned(),
            reason: "we do not call it".to_owned(),
        };

        let found = holes(&at("0.17.11"), &database, &[]).unwrap();
        let mended = holes(&at("0.17.12"), &database, &[]).unwrap();
        let unaffected = holes(&at("0.15.0"), &database, &[]).unwrap();
        let known = holes(&at("0.17.11"), &database, std::slice::from_ref(&accepted)).unwrap();
        let stale = holes(&at("0.17.12"), &database, &[accepted]).unwrap();

        fs::remove_dir_all(&database).unwrap();
        assert_eq!(found, ["ring 0.17.11: RUSTSEC-2025-0009: It panics"]);
        assert!([mended, unaffected, known].iter().all(Vec::is_empty));
        assert_eq!(stale.len(), 1, "{stale:?}");
    }
}
