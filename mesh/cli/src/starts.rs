//! How long processes took to start: of services from their first moment to the line that says they are ready, of Envoys as they
//! say themselves. Of others nobody knows afterwards.

use std::fs;

use serde_json::Value;

use crate::http::{self, Target};
use crate::mesh::Mesh;

/// What is measured in milliseconds since 1970.
type Moment = i64;

/// Returns the milliseconds that a running process took to be ready.
pub fn of(mesh: &Mesh, process: &str, pid: u32) -> Option<u64> {
    match process.strip_suffix("-envoy") {
        Some(instance) => of_envoy(mesh, instance),
        None if process == "ingress" => of_envoy(mesh, process),
        None => u64::try_from(ready(mesh, process)? - began(pid)?).ok(),
    }
}

fn of_envoy(mesh: &Mesh, instance: &str) -> Option<u64> {
    let file = mesh
        .state
        .join("proxies")
        .join(format!("{instance}.registration"));
    let registration: Value = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    let port = u16::try_from(registration["Port"].as_u64()?).ok()?;
    let text = http::get(&Target::Port(port), "/metrics").ok()?.text();
    let line = text
        .lines()
        .find(|line| line.starts_with("envoy_server_initialization_time_ms_sum"))?;
    let value = line.rsplit(' ').next()?;
    value.split('.').next()?.parse().ok()
}

/// When it last said that it is ready.
fn ready(mesh: &Mesh, process: &str) -> Option<Moment> {
    let log = fs::read_to_string(mesh.log(process)).ok()?;
    let line = log
        .lines()
        .rev()
        .find(|line| line.contains("\"service ready\""))?;
    let line: Value = serde_json::from_str(line).ok()?;
    moment(line["timestamp"].as_str()?)
}

/// When the kernel started it, in hundredths of a second since the machine was.
fn began(pid: u32) -> Option<Moment> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let ticks: Moment = stat
        .rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(19)?
        .parse()
        .ok()?;
    let machine = fs::read_to_string("/proc/stat").ok()?;
    let boot = machine
        .lines()
        .find_map(|line| line.strip_prefix("btime "))?;
    Some(boot.trim().parse::<Moment>().ok()? * 1000 + ticks * 10)
}

/// Reads `2026-11-21T09:11:10.143755Z`.
fn moment(text: &str) -> Option<Moment> {
    let numbers: Vec<Moment> = text
        .split(|character: char| !character.is_ascii_digit())
        .filter_map(|digits| digits.get(..digits.len().min(4))?.parse().ok())
        .collect();
    let &[year, month, day, hour, minute, second, fraction, ..] = numbers.as_slice() else {
        return None;
    };
    // Days since 1970 of the Gregorian calendar, counted from March so that the leap day comes last.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    let seconds = (days - 719_468) * 86_400 + hour * 3600 + minute * 60 + second;
    let digits = text.split('.').nth(1)?.trim_end_matches('Z').len().min(4);
    let scale = Moment::from(10_i32.pow(u32::try_from(digits).ok()?));
    Some(seconds * 1000 + fraction * 1000 / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_a_moment() {
        assert_eq!(moment("1970-01-01T00:00:00.000Z"), Some(0));
        assert_eq!(moment("2000-02-29T12:00:00.5Z"), Some(951_825_600_500));
        assert_eq!(
            moment("2026-11-21T09:11:10.143755Z"),
            Some(1_795_252_270_143)
        );
        assert_eq!(moment("soon"), None);
    }

    #[test]
    fn this_process_began_a_while_ago() {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now = Moment::try_from(now.unwrap().as_millis()).unwrap();
        let began = began(std::process::id()).unwrap();
        assert!(began <= now + 1000, "{began} {now}");
    }
}
