//! How the mesh is right now, as far as Prometheus knows: what a trace does not show.

use serde_json::Value;

use crate::http::{self, Target};
use crate::mesh::Mesh;

/// The state of the mesh.
#[derive(Debug, Default)]
pub struct Now {
    prometheus: Option<Target>,
}

impl Now {
    /// Asks the Prometheus of a mesh.
    pub fn of(mesh: &Mesh) -> Self {
        Self {
            prometheus: Some(mesh.target("prometheus")),
        }
    }

    /// Returns the values of a label among the series that a query finds; none when nobody answers.
    pub fn labels(&self, query: &str, label: &str) -> Vec<String> {
        let Some(prometheus) = &self.prometheus else {
            return Vec::new();
        };
        let path = format!("/api/v1/query?query={}", encoded(query));
        let found = http::get(prometheus, &path).and_then(|answer| answer.json());
        let found = found.unwrap_or(Value::Null);
        let series = found["data"]["result"].as_array().into_iter().flatten();
        let mut labels: Vec<String> = series
            .filter_map(|one| one["metric"][label].as_str().map(str::to_owned))
            .collect();
        labels.sort();
        labels.dedup();
        labels
    }

    /// Returns the alerts that fire.
    pub fn alerts(&self) -> Vec<String> {
        self.labels(
            r#"ALERTS{alertstate="firing",alertname!="Watchdog"}"#,
            "alertname",
        )
    }
}

fn encoded(text: &str) -> String {
    use std::fmt::Write as _;

    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(byte.into());
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_one_parameter() {
        assert_eq!(
            encoded("a{b=\"c\"} == 0"),
            "a%7Bb%3D%22c%22%7D%20%3D%3D%200"
        );
        assert!(Now::default().alerts().is_empty());
    }
}
