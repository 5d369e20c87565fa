//! What an operator wants to know of the mesh, and when it counts as healthy.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use discovery::{Health, Listed, Snapshot};

/// Names that Consul has beside ours are cut here, and lists after this many.
const LONGEST_NAME: usize = 100;
const MOST_PARTS: usize = 200;
const MOST_INSTANCES: usize = 100;
/// The one who tells all this: that it does says nothing of what is behind it.
const TELLER: &str = "portal";
/// End of the name of a service's background workers.
const WORKERS: &str = "-work";

/// How a part of the mesh is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// All of it works.
    Healthy,
    /// Some of it does.
    Degraded,
    /// None of it does.
    Unhealthy,
    /// Consul has not said yet.
    Unknown,
}

impl Status {
    /// In one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
            Self::Unknown => "unknown",
        }
    }

    /// Of the whole, from its parts.
    fn of(parts: impl IntoIterator<Item = Self>) -> Self {
        let (mut all, mut some) = (true, false);
        for part in parts {
            all &= part == Self::Healthy;
            some |= matches!(part, Self::Healthy | Self::Degraded);
        }
        match (all, some) {
            (true, true) => Self::Healthy,
            (_, true) => Self::Degraded,
            _ => Self::Unhealthy,
        }
    }
}

/// A service of ours, as its document describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Documented {
    /// Its name in Consul.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// How many things it can be asked.
    pub operations: usize,
}

/// One instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// The Consul service id.
    pub id: String,
    /// Whether its checks pass.
    pub healthy: bool,
    /// Its own documentation, where whoever runs the mesh on one machine can open it.
    pub docs: Option<String>,
}

/// One service, or something else that Consul knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its name in Consul.
    pub name: String,
    /// What it is for; empty when that is not known.
    pub description: String,
    /// How many things it can be asked.
    pub operations: usize,
    /// Healthy when all its instances are.
    pub status: Status,
    /// The first of its instances.
    pub instances: Vec<Instance>,
    /// All its instances, and the healthy ones.
    pub count: usize,
    /// Those whose checks pass.
    pub healthy: usize,
}

/// The whole mesh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview {
    /// Of all services behind the portal.
    pub status: Status,
    /// Our services, those that are missing included.
    pub services: Vec<Part>,
    /// What else is registered: stores, broker, telemetry, and what others registered.
    pub others: Vec<Part>,
    /// Whether Consul does not answer: all else is as it was before.
    pub away: bool,
}

impl Overview {
    /// What is documented, against what Consul knows.
    pub fn of(documented: &[Documented], snapshot: Option<&Snapshot>, away: bool) -> Self {
        let Some(snapshot) = snapshot else {
            let unknown = |service| Part {
                status: Status::Unknown,
                ..Part::of(service, &[])
            };
            return Self {
                status: Status::Unknown,
                services: documented.iter().map(unknown).collect(),
                others: Vec::new(),
                away,
            };
        };
        let found = |name: &str| snapshot.services.get(name).map_or(&[][..], Vec::as_slice);
        let documented_part = |service: &Documented| Part::of(service, found(&service.name));
        let mut services: Vec<Part> = documented.iter().map(documented_part).collect();
        let mut others = Vec::new();
        let is = |wanted: &str| documented.iter().any(|service| service.name == wanted);
        let rest = snapshot.services.iter().filter(|(name, _)| !is(name));
        for (name, instances) in rest.take(MOST_PARTS) {
            let works = name.strip_suffix(WORKERS).is_some_and(is);
            let known = Documented {
                name: name.chars().take(LONGEST_NAME).collect(),
                description: if works { "Background work" } else { "" }.into(),
                operations: 0,
            };
            let list = if works { &mut services } else { &mut others };
            list.push(Part::of(&known, instances));
        }
        services.sort_by(|one, other| one.name.cmp(&other.name));
        let behind = services.iter().filter(|part| part.name != TELLER);
        Self {
            status: Status::of(behind.map(|part| part.status)),
            services,
            others,
            away,
        }
    }
}

impl Part {
    fn of(known: &Documented, instances: &[Listed]) -> Self {
        let passes = |instance: &&Listed| instance.health == Health::Passing;
        let (count, healthy) = (instances.len(), instances.iter().filter(passes).count());
        let documented = known.operations > 0;
        let shown = instances.iter().take(MOST_INSTANCES);
        Self {
            name: known.name.clone(),
            description: known.description.clone(),
            operations: known.operations,
            status: match healthy {
                0 => Status::Unhealthy,
                _ if healthy == count => Status::Healthy,
                _ => Status::Degraded,
            },
            instances: shown
                .map(|instance| Instance::of(instance, documented))
                .collect(),
            count,
            healthy,
        }
    }
}

impl Instance {
    /// Healthy or not.
    pub fn status(&self) -> Status {
        if self.healthy {
            Status::Healthy
        } else {
            Status::Unhealthy
        }
    }

    fn of(listed: &Listed, documented: bool) -> Self {
        // Addresses are nobody's business but on a machine of one's own.
        let address = listed.address.parse().ok().filter(IpAddr::is_loopback);
        let address = address.filter(|_| documented);
        let docs = |ip| format!("http://{}/docs", SocketAddr::new(ip, listed.port));
        Self {
            id: listed.id.chars().take(LONGEST_NAME).collect(),
            healthy: listed.health == Health::Passing,
            docs: address.map(docs),
        }
    }
}

/// A tool for operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// What it is called.
    pub name: String,
    /// Where it is.
    pub url: String,
}

impl FromStr for Link {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, url) = text.split_once('=').ok_or("write <name>=<url>")?;
        // Anything else (`javascript:`) has no place behind a link.
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(format!(
                "{name}: the URL must begin with http:// or https://"
            ));
        }
        Ok(Self {
            name: name.trim().to_owned(),
            url: url.trim().to_owned(),
        })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documented(names: &[&str]) -> Vec<Documented> {
        let document = |name: &&str| Documented {
            name: (*name).into(),
            description: format!("About {name}"),
            operations: 3,
        };
        names.iter().map(document).collect()
    }

    fn known(parts: &[(&str, &[bool])]) -> Snapshot {
        let instances = parts.iter().map(|(name, states)| {
            let instances = states.iter().enumerate();
            let instances = instances.map(|(number, passing)| Listed {
                id: format!("{name}-{}", number + 1),
                address: "127.0.0.1".into(),
                port: 4000,
                meta: [].into(),
                health: if *passing {
                    Health::Passing
                } else {
                    Health::Critical
                },
            });
            ((*name).to_owned(), instances.collect())
        });
        Snapshot {
            services: instances.collect(),
            ..Snapshot::default()
        }
    }

    fn status(parts: &[(&str, &[bool])]) -> Status {
        Overview::of(
            &documented(&["likes", "portal", "users"]),
            Some(&known(parts)),
            false,
        )
        .status
    }

    #[test]
    fn s2_02_the_mesh_is_as_healthy_as_its_services() {
        assert_eq!(
            status(&[("likes", &[true]), ("users", &[true, true])]),
            Status::Healthy
        );
        assert_eq!(
            status(&[("likes", &[true]), ("users", &[true, false])]),
            Status::Degraded
        );
        assert_eq!(
            status(&[("likes", &[true])]),
            Status::Degraded,
            "users is missing"
        );
        assert_eq!(
            status(&[("likes", &[false]), ("users", &[false])]),
            Status::Unhealthy
        );
        assert_eq!(
            status(&[("portal", &[true]), ("redis", &[true])]),
            Status::Unhealthy
        );
        let workers = [
            ("likes", &[true][..]),
            ("users", &[true]),
            ("likes-work", &[false]),
        ];
        assert_eq!(status(&workers), Status::Degraded);
        let beside = [
            ("likes", &[true][..]),
            ("users", &[true]),
            ("redis", &[false]),
        ];
        assert_eq!(
            status(&beside),
            Status::Healthy,
            "stores are their services' matter"
        );
    }

    #[test]
    fn what_consul_has_not_said_is_unknown() {
        let overview = Overview::of(&documented(&["users"]), None, false);
        assert_eq!(
            (overview.status, overview.services[0].status),
            (Status::Unknown, Status::Unknown)
        );
    }

    #[test]
    fn services_are_told_from_what_else_is_registered() {
        let parts = [
            ("redis", &[true][..]),
            ("users", &[true]),
            ("users-work", &[true]),
        ];
        let overview = Overview::of(&documented(&["users"]), Some(&known(&parts)), false);
        let names = |parts: &[Part]| {
            parts
                .iter()
                .map(|part| part.name.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&overview.services), ["users", "users-work"]);
        assert_eq!(names(&overview.others), ["redis"]);
        let docs = |part: &Part| part.instances[0].docs.clone();
        assert_eq!(
            docs(&overview.services[0]).as_deref(),
            Some("http://127.0.0.1:4000/docs")
        );
        assert_eq!(
            (docs(&overview.services[1]), docs(&overview.others[0])),
            (None, None)
        );
    }

    #[test]
    fn addresses_beyond_this_machine_are_not_told() {
        let mut far = known(&[("users", &[true])]);
        far.services.get_mut("users").unwrap()[0].address = "10.0.0.7".into();
        let overview = Overview::of(&documented(&["users"]), Some(&far), false);
        assert_eq!(overview.services[0].instances[0].docs, None);
    }

    #[test]
    fn what_others_register_is_bounded() {
        let many: Vec<bool> = vec![true; 300];
        let name = "x".repeat(1000);
        let overview = Overview::of(&[], Some(&known(&[(&name, &many)])), false);
        let part = &overview.others[0];
        assert_eq!(
            (part.name.len(), part.instances.len(), part.count),
            (100, 100, 300)
        );
    }

    #[test]
    fn a_link_leads_to_a_page() {
        let link: Link = "Consul=http://127.0.0.1:8500/ui/".parse().unwrap();
        assert_eq!(link.url, "http://127.0.0.1:8500/ui/");
        assert!("Bad=javascript:alert(1)".parse::<Link>().is_err());
        assert!("no link".parse::<Link>().is_err());
    }
}
