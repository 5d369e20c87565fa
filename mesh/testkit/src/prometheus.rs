//! A Prometheus of a test's own, for which two minutes are four hours.

use std::{
    fmt::Write as _,
    fs,
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// What starting may take.
const DEADLINE: Duration = Duration::from_mins(1);
/// How many times faster time goes in rules.
const HASTE: u64 = 120;
/// What stands before a time in rules.
const BEFORE_TIMES: &[&str] = &["[", "for: ", "offset ", "interval: ", ":"];

/// A `prometheus` that scrapes one instance of one service; it is ended with the test.
#[derive(Debug)]
pub struct Prometheus {
    process: Child,
    url: String,
    _folder: TempDir,
}

impl Prometheus {
    /// Starts one with the rules of a folder, where all times are a hundred and twentieth: an hour
    /// is half a minute.
    ///
    /// # Panics
    /// When the program is missing, the rules cannot be read, or it does not listen in time.
    pub async fn start(rules: &Path, service: &str, admin: SocketAddr) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let at = |name: &str| folder.path().join(name);
        for entry in fs::read_dir(rules).expect("rules").map_while(Result::ok) {
            let text = fs::read_to_string(entry.path()).expect("rules are text");
            fs::write(folder.path().join(entry.file_name()), hasten(&text)).expect("room");
        }
        let settings = format!(
            "global: {{ scrape_interval: 250ms, scrape_timeout: 250ms, evaluation_interval: 250ms }}
rule_files: ['{}/*.yaml']
scrape_configs:
  - job_name: services
    static_configs: [{{ targets: ['{admin}'], labels: {{ service: {service}, instance: {service}-1 }} }}]
",
            folder.path().display()
        );
        fs::write(at("prometheus.yml"), settings).expect("room");
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", at("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", at("data").display()))
            .args(["--web.listen-address=127.0.0.1:0", "--log.level=warn"])
            .stdin(Stdio::null())
            .spawn()
            .expect("prometheus is installed");
        let (id, deadline) = (process.id(), Instant::now() + DEADLINE);
        let mut started = Self {
            process,
            url: String::new(),
            _folder: folder,
        };
        while started.url.is_empty() {
            assert!(Instant::now() < deadline, "prometheus does not listen");
            tokio::time::sleep(Duration::from_millis(50)).await;
            if let Some(port) = listening_port(id) {
                started.url = format!("http://127.0.0.1:{port}/api/v1/query");
            }
        }
        started
    }

    /// The samples that a query finds now; none while Prometheus is not ready.
    pub async fn ask(&self, query: &str) -> Vec<Value> {
        let request = reqwest::Client::new()
            .get(&self.url)
            .query(&[("query", query)]);
        let Ok(answer) = request.send().await else {
            return Vec::new();
        };
        let answer: Value = answer.json().await.unwrap_or_default();
        let found = answer["data"]["result"].as_array();
        found.cloned().unwrap_or_default()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Makes every time in rules shorter; names and labels that look like one stay.
fn hasten(rules: &str) -> String {
    let mut text = String::with_capacity(rules.len());
    let mut rest = rules;
    while let Some((start, word)) = next_time(rest) {
        let (before, after) = rest.split_at(start + word.len());
        text.push_str(before);
        let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let unit = match after.as_bytes().get(digits) {
            Some(b's') => 1000,
            Some(b'm') => 60_000,
            Some(b'h') => 3_600_000,
            Some(b'd') => 86_400_000,
            _ => 0,
        };
        match after[..digits].parse::<u64>() {
            Ok(number) if unit > 0 => {
                let _ = write!(text, "{}ms", number * unit / HASTE);
                rest = &after[digits + 1..];
            }
            _ => rest = after,
        }
    }
    text + rest
}

fn next_time(text: &str) -> Option<(usize, &'static str)> {
    let found = BEFORE_TIMES
        .iter()
        .filter_map(|word| Some((text.find(word)?, *word)));
    found.min_by_key(|(start, _)| *start)
}

/// The loopback port that a process listens on: it chose one itself, and tells nobody.
fn listening_port(id: u32) -> Option<u16> {
    let files = fs::read_dir(format!("/proc/{id}/fd")).ok()?;
    let sockets: Vec<String> = files
        .filter_map(|file| {
            fs::read_link(file.ok()?.path())
                .ok()?
                .into_os_string()
                .into_string()
                .ok()
        })
        .collect();
    let table = fs::read_to_string(format!("/proc/{id}/net/tcp")).ok()?;
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let socket = format!("socket:[{}]", fields.get(9)?);
        let listens = *fields.get(3)? == "0A" && sockets.contains(&socket);
        let (_, port) = fields.get(1)?.rsplit_once(':')?;
        listens.then(|| u16::from_str_radix(port, 16).ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_times_are_made_shorter() {
        let rules = "interval: 1m\nrecord: route:errors:ratio_1h\nexpr: a[1h] - b offset 5m > c[3d:5m]\nby [x]\nfor: 2m\nwindow: 1h";
        let hasty = "interval: 500ms\nrecord: route:errors:ratio_1h\nexpr: a[30000ms] - b offset 2500ms > c[2160000ms:2500ms]\nby [x]\nfor: 1000ms\nwindow: 1h";
        assert_eq!(hasten(rules), hasty);
    }
}
