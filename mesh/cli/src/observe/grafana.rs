//! From the table of dashboards to the JSON that Grafana reads.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The table of dashboards.
const TABLE: &str = include_str!("dashboards.toml");

/// Returns all dashboards of the table.
pub fn dashboards() -> Result<Vec<Dashboard>> {
    let table: Table = toml::from_str(TABLE).context("dashboards.toml")?;
    Ok(table.dashboard)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    dashboard: Vec<Dashboard>,
}

/// A dashboard: a file, a page of Grafana.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dashboard {
    /// Of its file, and in its address.
    pub name: String,
    /// What it is called.
    title: String,
    /// Whether one may look at some services only.
    #[serde(default)]
    of_service: bool,
    /// What it shows, in order.
    panel: Vec<Panel>,
}

/// One plot, number or table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Panel {
    title: String,
    unit: String,
    #[serde(default)]
    kind: Kind,
    /// Each with the legend of its lines.
    queries: Vec<(String, String)>,
}

/// What a panel is to Grafana.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    TimeSeries,
    Stat,
    Table,
}

/// Columns of Grafana's grid, and what a panel takes of it.
const COLUMNS: usize = 24;
const WIDTH: usize = 8;
const HEIGHT: usize = 8;

/// Writes a dashboard as Grafana reads it.
pub fn render(dashboard: &Dashboard) -> Result<String> {
    let mut variables = vec![json!({
        "name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus", "refresh": 1,
    })];
    if dashboard.of_service {
        let query = "label_values(up{job=\"services\"}, service)";
        variables.push(json!({
            "name": "service", "label": "Service", "type": "query", "datasource": source(),
            "definition": query, "query": { "query": query, "refId": "services" },
            "refresh": 2, "sort": 1, "includeAll": true, "allValue": ".+", "multi": true,
            "current": { "text": ["All"], "value": ["$__all"] },
        }));
    }
    let panels = dashboard.panel.iter().enumerate();
    let panels: Vec<_> = panels.map(|(index, panel)| panel.render(index)).collect();
    let value = json!({
        "uid": format!("plaza-{}", dashboard.name),
        "title": format!("Plaza: {}", dashboard.title),
        "tags": ["plaza"],
        "schemaVersion": 39,
        "editable": false,
        "time": { "from": "now-1h", "to": "now" },
        "refresh": "15s",
        "templating": { "list": variables },
        "panels": panels,
    });
    Ok(serde_json::to_string_pretty(&value)? + "\n")
}

fn source() -> Value {
    json!({ "type": "prometheus", "uid": "${source}" })
}

impl Panel {
    fn render(&self, index: usize) -> Value {
        let per_row = COLUMNS / WIDTH;
        let (row, column) = (index / per_row, index % per_row);
        let targets = self.queries.iter().zip('A'..).map(|((query, legend), id)| {
            json!({
                "refId": id.to_string(), "datasource": source(), "expr": query, "legendFormat": legend,
                "instant": self.kind != Kind::TimeSeries, "range": self.kind == Kind::TimeSeries,
                "format": if self.kind == Kind::Table { "table" } else { "time_series" },
            })
        });
        json!({
            "id": index + 1,
            "title": self.title,
            "type": self.kind,
            "datasource": source(),
            "gridPos": { "x": column * WIDTH, "y": row * HEIGHT, "w": WIDTH, "h": HEIGHT },
            "fieldConfig": { "defaults": { "unit": self.unit, "min": 0 }, "overrides": [] },
            "targets": targets.collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_stand_beside_each_other() {
        let panel: Panel = toml::from_str(
            "title = 'a'\nunit = 's'\nqueries = [['up', '{{service}}'], ['up', '']]",
        )
        .unwrap();
        let place = |index| panel.render(index)["gridPos"].clone();
        assert_eq!(place(2), json!({ "x": 16, "y": 0, "w": 8, "h": 8 }));
        assert_eq!(place(3), json!({ "x": 0, "y": 8, "w": 8, "h": 8 }));
        assert_eq!(panel.render(0)["targets"][1]["refId"], "B");
        assert_eq!(panel.render(0)["type"], "timeseries");
    }
}
