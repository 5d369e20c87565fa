//! What operators look at and are called by, as files that follow from the code: objectives, their rules and alerts, dashboards.

mod check;
mod grafana;
pub mod mails;
mod rules;

use std::collections::BTreeMap;

use anyhow::Result;

use crate::services::Description;

pub use check::findings;

/// The settings of Prometheus, before ports are filled in.
pub const PROMETHEUS: &str = "observability/prometheus/prometheus.yml";
/// The settings of Alertmanager, before ports are filled in.
pub const ALERTMANAGER: &str = "observability/alertmanager/alertmanager.yml";
/// The folder of the rules.
pub const RULES: &str = "observability/prometheus/rules";
/// The folder of the dashboards, of which every file is generated.
pub const DASHBOARDS: &str = "observability/grafana/dashboards";

/// Returns all generated files by path.
pub fn files(services: &[Description]) -> Result<BTreeMap<String, String>> {
    let rules = |name: &str| format!("{RULES}/{name}.yaml");
    let mut files = BTreeMap::from([
        (rules("objectives"), rules::objectives(services)?),
        (rules("burn"), rules::burn(services)),
    ]);
    for dashboard in grafana::dashboards()? {
        let path = format!("{DASHBOARDS}/{}.json", dashboard.name);
        files.insert(path, grafana::render(&dashboard)?);
    }
    Ok(files)
}
