//! What may be registered: names, addresses, ids, and how long an instance stays.

use std::{collections::BTreeMap, fmt, str::FromStr, time::Duration};

use chrono::{DateTime, Utc};
use http::Uri;

/// Before the name of every service that is not of the mesh, in Consul alone: the registry's token may write names
/// that begin so and no others.
pub const PREFIX: &str = "ext-";

/// A DNS label is no longer than 63 characters, and Consul's name of the service has the prefix too.
const LONGEST_NAME: usize = 50;
const LONGEST_URL: usize = 200;
const LONGEST_ID: usize = LONGEST_NAME + 33;

/// The name of a service, a DNS label: `<name>` is `ext-<name>.service.consul` too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServiceName(String);

impl ServiceName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name that Consul has for it.
    pub fn in_consul(&self) -> String {
        format!("{PREFIX}{}", self.0)
    }
}

impl FromStr for ServiceName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if is_label(text) && text.len() <= LONGEST_NAME {
            return Ok(Self(text.to_owned()));
        }
        Err(format!(
            "service_name must be 1 to {LONGEST_NAME} of a-z, 0-9 and -, and neither begin nor end with -"
        ))
    }
}

fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// Where an instance answers. Nobody here ever goes there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    text: String,
    host: String,
    port: u16,
}

impl BaseUrl {
    /// The URL as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its host: a name, or an address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Its port: that of the scheme where it names none.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for BaseUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let form = || {
            format!(
                "base_url must be http://<host>[:<port>][/<path>], or https, of {LONGEST_URL} characters at most"
            )
        };
        // A parser forgives more than a URL that others shall use may have.
        let sound = text.len() <= LONGEST_URL && text.bytes().all(|byte| byte.is_ascii_graphic());
        if !sound || text.contains(['#', '?', '\\', '"', '<', '>']) {
            return Err(form());
        }
        let uri: Uri = text.parse().map_err(|_| form())?;
        let default = match uri.scheme_str() {
            Some("http") => 80,
            Some("https") => 443,
            _ => return Err(form()),
        };
        let authority = uri.authority().ok_or_else(form)?.as_str();
        if authority.contains('@') {
            return Err("base_url may carry no user and no password".to_owned());
        }
        let host = authority_host(&uri).ok_or_else(form)?;
        let port = match authority.rsplit_once(':') {
            Some((_, port)) if !port.ends_with(']') => port.parse().ok().filter(|port| *port != 0),
            _ => Some(default),
        };
        Ok(Self {
            text: text.to_owned(),
            host,
            port: port.ok_or_else(form)?,
        })
    }
}

fn authority_host(uri: &Uri) -> Option<String> {
    let host = uri.host()?;
    if let Some(address) = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        let address: std::net::Ipv6Addr = address.parse().ok()?;
        return Some(address.to_string());
    }
    let label = |part: &str| {
        let byte = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        !part.is_empty() && part.len() <= 63 && part.bytes().all(byte)
    };
    host.split('.').all(label).then(|| host.to_owned())
}

/// The id of an instance, made here: `<service_name>-<random>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InstanceId(String);

impl InstanceId {
    /// An id that nobody has.
    pub fn new(name: &ServiceName, random: uuid::Uuid) -> Self {
        Self(format!("{}-{}", name.as_str(), random.simple()))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id that Consul has for it.
    pub fn in_consul(&self) -> String {
        format!("{PREFIX}{}", self.0)
    }
}

impl FromStr for InstanceId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if is_label(text) && text.len() <= LONGEST_ID {
            Ok(Self(text.to_owned()))
        } else {
            Err("this is no id of an instance".to_owned())
        }
    }
}

/// How long an instance stays without a heartbeat.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// It is critical after this.
    pub ttl: Duration,
    /// It is gone after this.
    pub expiry: Duration,
}

impl Terms {
    /// How often heartbeats should come: two may be lost.
    pub fn heartbeat(&self) -> Duration {
        self.ttl / 3
    }

    /// How often is looked for those that are to go.
    pub fn sweep(&self) -> Duration {
        (self.expiry / 45).max(Duration::from_millis(50))
    }
}

/// What Consul keeps of an instance for us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The user id of who registered it.
    pub owner: i64,
    /// Where its owner registered it from; nothing of those that were registered before this was kept.
    pub network: Option<String>,
    /// Where it answers.
    pub base_url: String,
    /// When it was registered.
    pub registered_at: DateTime<Utc>,
}

impl Record {
    /// As the meta data of a Consul service.
    pub fn to_meta(&self) -> BTreeMap<String, String> {
        let network = self.network.clone().map(|network| ("network", network));
        [
            ("owner", self.owner.to_string()),
            ("base_url", self.base_url.clone()),
            ("registered_at", chassis::clock::text(self.registered_at)),
        ]
        .into_iter()
        .chain(network)
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }

    /// From the meta data of a Consul service, if they are of ours.
    pub fn from_meta(meta: &BTreeMap<String, String>) -> Option<Self> {
        Some(Self {
            owner: meta.get("owner")?.parse().ok()?,
            network: meta.get("network").cloned(),
            base_url: meta.get("base_url")?.clone(),
            registered_at: moment(meta.get("registered_at")?)?,
        })
    }
}

/// A time as [`chassis::clock::text`] writes it.
pub fn moment(text: &str) -> Option<DateTime<Utc>> {
    Some(DateTime::parse_from_rfc3339(text).ok()?.to_utc())
}

/// Whether an instance that was last heard of at `last` is to go.
pub fn is_over(last: DateTime<Utc>, now: DateTime<Utc>, expiry: Duration) -> bool {
    (now - last).to_std().is_ok_and(|silent| silent >= expiry)
}

impl fmt::Display for ServiceName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d16_a_name_is_a_dns_label() {
        for good in ["a", "shop", "shop-2", "7", &"x".repeat(50)] {
            assert_eq!(good.parse::<ServiceName>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            "-a",
            "a-",
            "A",
            "a.b",
            "a_b",
            "a b",
            "ä",
            "a/b",
            "../x",
            &"x".repeat(51),
        ] {
            assert!(bad.parse::<ServiceName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn d16_a_base_url_is_where_an_instance_answers() {
        for (text, host, port) in [
            ("http://127.0.0.1:5200", "127.0.0.1", 5200),
            ("https://shop.example", "shop.example", 443),
            (" http://shop.example/v1/ ", "shop.example", 80),
            ("http://[::1]:8080", "::1", 8080),
            ("http://[::1]", "::1", 80),
        ] {
            let url: BaseUrl = text
                .parse()
                .unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((url.host(), url.port()), (host, port), "{text}");
            assert_eq!(url.as_str(), text.trim());
        }
    }

    #[test]
    fn d16_a_base_url_carries_neither_secrets_nor_riddles() {
        let long = format!("http://{}", "x".repeat(200));
        for bad in [
            "",
            "x",
            "/x",
            "ftp://a",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "http://",
            "http:///a",
            "http://a:0",
            "http://a:70000",
            "http://a:b",
            "http://a b",
            "http://u:p@a",
            "http://u@a",
            "http://a?x=y",
            "http://a#b",
            "http://a\n",
            "http://a\u{0}",
            "http://ä",
            "http://a..b",
            "http://<a>",
            "http://[::1",
            "http://a:",
            &long,
        ] {
            let bad = bad
                .strip_suffix('\n')
                .map_or(bad.to_owned(), |text| format!("{text}\nb"));
            assert!(bad.parse::<BaseUrl>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn d16_what_consul_keeps_comes_back() {
        for network in [None, Some("192.0.2.1".to_owned())] {
            let record = Record {
                owner: 7,
                network,
                base_url: "http://a".into(),
                registered_at: chassis::clock::now(),
            };
            assert_eq!(Record::from_meta(&record.to_meta()), Some(record));
        }
        assert_eq!(Record::from_meta(&BTreeMap::new()), None);
    }

    #[test]
    fn d16_gone_after_the_expiry_and_not_before() {
        let (now, expiry) = (chassis::clock::now(), Duration::from_secs(90));
        let ago = |seconds| now - chrono::TimeDelta::seconds(seconds);
        assert!(!is_over(ago(89), now, expiry));
        assert!(is_over(ago(90), now, expiry));
        assert!(
            !is_over(ago(-5), now, expiry),
            "the clock of another machine"
        );
    }
}
