//! Every variable of every service, for operators: name, meaning, unit, default, as the binaries themselves say.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::generate::Files;
use crate::services::{Description, Setting};

/// The list.
const FILE: &str = "docs/configuration.md";

/// Endings of names that say in what a number is counted.
const UNITS: &[(&str, &str)] = &[
    ("_SECONDS", "s"),
    ("_MILLIS", "ms"),
    ("_MINUTES", "min"),
    ("_HOURS", "h"),
    ("_DAYS", "d"),
    ("_PER_SECOND", "1/s"),
];

/// Returns the list.
pub fn files(descriptions: &[Description]) -> Files {
    let mut text = String::from(
        "# Every variable\n\nWritten by `cargo mesh generate` from what the services say of themselves (`<service> describe`). Each is a flag too: \
         `<service> --help`. A secret is never shown in logs.\n\n## All services\n\n",
    );
    let mut shared: BTreeMap<&str, (&Setting, Vec<&str>)> = BTreeMap::new();
    for description in descriptions {
        for setting in &description.settings {
            let entry = shared
                .entry(&setting.variable)
                .or_insert((setting, Vec::new()));
            entry.1.push(&description.name);
        }
    }
    text += HEAD;
    for (setting, _) in shared.values().filter(|(setting, _)| setting.shared) {
        text += &row(setting, None);
    }
    text += "\n## Some services\n\n| variable | services | meaning | unit | default |\n| --- | --- | --- | --- | --- |\n";
    for (setting, services) in shared.values().filter(|(setting, _)| !setting.shared) {
        text += &row(setting, Some(&services.join(", ")));
    }
    Files::from([(FILE.to_owned(), text)])
}

const HEAD: &str = "| variable | meaning | unit | default |\n| --- | --- | --- | --- |\n";

fn row(setting: &Setting, services: Option<&str>) -> String {
    let unit = UNITS
        .iter()
        .find(|(ending, _)| setting.variable.ends_with(ending))
        .map_or("", |(_, unit)| unit);
    let default = setting.default.as_ref();
    let default = default.map_or_else(String::new, |value| format!("`{value}`"));
    let mut meaning = setting.help.clone().unwrap_or_default().replace('|', "\\|");
    if !setting.values.is_empty() {
        let _ = write!(meaning, ": `{}`", setting.values.join("`, `"));
    }
    if setting.secret {
        meaning += " (secret)";
    }
    let services = services.map_or_else(String::new, |names| format!(" {names} |"));
    format!(
        "| `{}` |{services} {meaning} | {unit} | {default} |\n",
        setting.variable
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_says_the_unit_and_the_default() {
        let setting =
            json!({ "variable": "DRAIN_SECONDS", "help": "Time to drain", "default": "10" });
        let row = row(&serde_json::from_value(setting).unwrap(), None);
        assert_eq!(row, "| `DRAIN_SECONDS` | Time to drain | s | `10` |\n");
    }
}
