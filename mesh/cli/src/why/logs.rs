//! Log lines of all processes that are about one request.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::mesh::Mesh;

/// Lines of one request that are read at most: a trace of an event may go on for long.
const MOST: usize = 2_000;

/// A log line.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// The process that wrote it.
    pub process: String,
    /// When, in microseconds since 1970.
    pub at_us: u64,
    /// All of it.
    pub fields: Map<String, Value>,
}

impl Line {
    /// Reads a line of JSON.
    fn parse(process: &str, text: &str) -> Option<Self> {
        let Ok(Value::Object(fields)) = serde_json::from_str(text) else {
            return None;
        };
        let at_us = micros(fields.get("timestamp")?.as_str()?)?;
        Some(Self {
            process: process.to_owned(),
            at_us,
            fields,
        })
    }

    /// Returns a field as text; empty where it says nothing.
    pub fn text(&self, name: &str) -> String {
        match self.fields.get(name) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) if text == "-" => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        }
    }

    /// Returns whether the ingress wrote it about a request.
    pub fn is_access(&self) -> bool {
        self.fields.contains_key("response.flags")
    }
}

/// Finds what was written with one of these ids, in the order of time.
pub fn find(mesh: &Mesh, ids: &[&str]) -> Vec<Line> {
    let folder = mesh.state.join("logs");
    let entries = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    let mut lines: Vec<Line> = entries
        .flat_map(|entry| of_file(&entry.path(), ids))
        .collect();
    lines.sort_by_key(|line| line.at_us);
    lines.truncate(MOST);
    lines
}

fn of_file(file: &Path, ids: &[&str]) -> Vec<Line> {
    let name = file
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let process = name.split(".log").next().unwrap_or_default();
    let Ok(file) = File::open(file) else {
        return Vec::new();
    };
    let lines = BufReader::new(file).split(b'\n').map_while(Result::ok);
    let texts = lines.filter_map(|line| String::from_utf8(line).ok());
    let ours = texts.filter(|text| ids.iter().any(|id| text.contains(id)));
    ours.filter_map(|text| Line::parse(process, &text))
        .take(MOST)
        .collect()
}

/// Reads a time like `2026-11-21T09:36:41.397917Z`.
fn micros(text: &str) -> Option<u64> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<u64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let seconds = number(11, 13)? * 3600 + number(14, 16)? * 60 + number(17, 19)?;
    let fraction: String = text
        .get(20..)?
        .chars()
        .take_while(char::is_ascii_digit)
        .chain("000000".chars())
        .take(6)
        .collect();
    // Days since 1970 in the calendar of today, years counted from March.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day;
    Some(
        (days.checked_sub(719_469)? * 86_400 + seconds) * 1_000_000
            + fraction.parse::<u64>().ok()?,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_to_the_microsecond() {
        assert_eq!(micros("1970-01-01T00:00:00.000001Z"), Some(1));
        assert_eq!(
            micros("2024-02-29T12:00:00.5Z"),
            Some(1_709_208_000_500_000)
        );
        assert_eq!(
            micros("2026-11-21T09:36:41.397917Z"),
            Some(1_795_253_801_397_917)
        );
        assert_eq!(micros("yesterday"), None);
    }

    #[test]
    fn what_is_no_json_is_left_out() {
        assert!(Line::parse("consul", "[INFO] agent: 4bb3fc3f8a280523").is_none());
        let line = Line::parse(
            "ingress",
            r#"{"timestamp":"1970-01-01T00:00:01.0Z","response.flags":"-"}"#,
        );
        let line = line.unwrap();
        assert!(line.is_access() && line.at_us == 1_000_000);
        assert_eq!(line.text("response.flags"), "");
    }
}
