//! Which requests at the ingress are whose, where routes of several services overlap.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::generate::pattern;
use crate::services::Description;

/// One way to match requests at the ingress.
#[derive(Clone, Debug)]
pub struct Match {
    service: String,
    listener: String,
    template: String,
    method: Option<String>,
    regex: String,
    /// Whether it is a WebSocket.
    socket: bool,
}

/// The matches of all services. Consul tries longer expressions first, whatever they mean; where routes of two services overlap, the
/// more specific one is made the longer one with empty groups.
pub struct Priorities(pub Vec<Match>);

impl Priorities {
    /// Finds the matches of all services.
    pub fn of(descriptions: &[Description]) -> Self {
        let mut matches: Vec<Match> = Vec::new();
        for service in descriptions {
            for route in &service.routes {
                let regex = pattern(route);
                let template = route.template.clone();
                matches.push(Match {
                    service: service.name.clone(),
                    listener: route.listener.clone(),
                    template,
                    method: Some(route.method.clone()),
                    regex,
                    socket: route.socket,
                });
            }
        }
        let mut matches = merge_methods(matches);
        matches.sort_by(general_first);
        for index in 0..matches.len() {
            let (general, rest) = matches.split_at_mut(index);
            let current = &mut rest[0];
            let others = general.iter().filter(|other| {
                other.service != current.service
                    && other.listener == current.listener
                    && overlap(&other.template, &current.template)
            });
            let longest = others.map(|other| other.regex.len()).max().unwrap_or(0);
            while current.regex.len() <= longest {
                current.regex.push_str("(?:)");
            }
        }
        Self(matches)
    }

    /// Returns those of one service on one listener, as Consul writes them.
    pub fn matches(&self, service: &Description, listener: &str) -> Vec<Value> {
        let mut own: Vec<_> = self
            .0
            .iter()
            .filter(|entry| entry.service == service.name && entry.listener == listener)
            .collect();
        own.sort_by(|one, other| {
            (&one.template, &one.method).cmp(&(&other.template, &other.method))
        });
        let path = |entry: &Match| json!({ "Match": "regex", "Value": entry.regex });
        own.into_iter()
            .map(|entry| {
                let mut found = json!({ "Path": path(entry) });
                if let Some(method) = &entry.method {
                    found["Method"] = json!(method);
                }
                if self.is_beside_another(entry) {
                    found["Headers"] = json!([
                        { "Match": "regex", "Name": "upgrade", "Value": "(?i)websocket" },
                    ]);
                }
                found
            })
            .collect()
    }

    /// Whether a socket has the path of another service's route: it is told apart by what it asks for (D15).
    fn is_beside_another(&self, entry: &Match) -> bool {
        let mut others = self.0.iter().filter(|other| !other.socket);
        entry.socket
            && others.any(|other| {
                other.listener == entry.listener && overlap(&other.template, &entry.template)
            })
    }
}

/// A path that one service has alone is matched with every method. Where several have it, each takes its own methods, and the first
/// by name the rest.
fn merge_methods(matches: Vec<Match>) -> Vec<Match> {
    let place = |entry: &Match| {
        let (listener, regex) = (entry.listener.clone(), entry.regex.clone());
        (listener, regex, entry.socket)
    };
    let mut owners: BTreeMap<(String, String, bool), BTreeSet<String>> = BTreeMap::new();
    for entry in &matches {
        owners
            .entry(place(entry))
            .or_default()
            .insert(entry.service.clone());
    }
    let mut merged: BTreeMap<_, Match> = BTreeMap::new();
    for entry in matches {
        let services = &owners[&place(&entry)];
        let first = services.first() == Some(&entry.service);
        let open = Match {
            method: None,
            ..entry.clone()
        };
        if services.len() > 1 {
            let key = (entry.service.clone(), place(&entry), entry.method.clone());
            merged.insert(key, entry);
        }
        if services.len() == 1 || first {
            merged.insert((open.service.clone(), place(&open), None), open);
        }
    }
    merged.into_values().collect()
}

fn general_first(one: &Match, other: &Match) -> Ordering {
    let rank = |entry: &Match| {
        let segments = entry.template.trim_end_matches('/').split('/');
        let ranks: Vec<_> = segments
            .map(|segment| u8::from(!segment.starts_with('{')))
            .collect();
        (
            ranks,
            entry.socket,
            entry.method.is_some(),
            entry.template.clone(),
            entry.service.clone(),
        )
    };
    rank(one).cmp(&rank(other))
}

fn overlap(one: &str, other: &str) -> bool {
    let segments = |template: &str| {
        template
            .trim_end_matches('/')
            .split('/')
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let (one, other) = (segments(one), segments(other));
    let open = |segment: &str| segment.starts_with('{');
    one.len() == other.len()
        && one
            .iter()
            .zip(&other)
            .all(|(a, b)| a == b || open(a) || open(b))
}
