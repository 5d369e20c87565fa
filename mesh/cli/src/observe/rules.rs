//! Recording rules and alerts of the routes' objectives: the error budget of each, and how fast it burns.
//!
//! The windows and factors are those of the "SRE workbook" (multi-window, multi-burn-rate). Rates are taken over five minutes and
//! summed up over longer windows, so that a window of three days reads no raw samples.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::{Result, bail};

use crate::services::{Description, Objective};

const HEAD: &str = "# Written by `cargo mesh generate` from the services' route tables.\n";

/// Failures in the long window below which nobody is called: one failed request of ten says nothing.
const LEAST_FAILURES: u32 = 5;

/// A pair of windows, the burn rate that is too fast in both, and who is told.
struct Burn {
    long: &'static str,
    /// How often the failures of five minutes are looked at to count those of the long window, and the same in seconds.
    step: (&'static str, u32),
    short: &'static str,
    factor: &'static str,
    severity: &'static str,
}

/// Of a budget of thirty days: 2 % in an hour, 5 % in six, 10 % in a day and in three.
const BURNS: &[Burn] = &[
    Burn {
        long: "1h",
        step: ("1m", 60),
        short: "5m",
        factor: "14.4",
        severity: "page",
    },
    Burn {
        long: "6h",
        step: ("1m", 60),
        short: "30m",
        factor: "6",
        severity: "page",
    },
    Burn {
        long: "1d",
        step: ("5m", 300),
        short: "2h",
        factor: "3",
        severity: "ticket",
    },
    Burn {
        long: "3d",
        step: ("5m", 300),
        short: "6h",
        factor: "1",
        severity: "ticket",
    },
];

/// What is promised: that requests do not fail, and that they are fast.
struct Promise {
    /// Between `route:` and the rest of a rule's name.
    what: &'static str,
    budget: &'static str,
    alert: &'static str,
    summary: &'static str,
}

const PROMISES: &[Promise] = &[
    Promise {
        what: "errors",
        budget: "route:objective:error_budget",
        alert: "RouteErrors",
        summary: "of the requests fail",
    },
    Promise {
        what: "slow",
        budget: "route:objective:slow_budget",
        alert: "RouteSlow",
        summary: "of the requests are slower than promised",
    },
];

/// Windows that are looked at once a minute, and a minute at a time.
const LONG: [&str; 2] = ["1d", "3d"];

const BY: &str = "(service, method, route)";

/// Returns what each route promises, as series, and which services there have to be.
pub fn objectives(services: &[Description]) -> Result<String> {
    let mut text = format!("{HEAD}groups:\n  - name: services\n    interval: 1m\n    rules:\n");
    for service in services {
        rule(&mut text, "service:expected", "vector(1)");
        let _ = writeln!(text, "        labels: {{ service: {} }}", service.name);
    }
    for service in services.iter().filter(|service| !service.routes.is_empty()) {
        let _ = write!(
            text,
            "  - name: objectives-{}\n    interval: 1m\n    rules:\n",
            service.name
        );
        // A page and a socket may share a path, and then share their figures.
        let mut known = BTreeSet::new();
        let routes = service.routes.iter();
        for route in routes.filter(|route| known.insert((&route.method, &route.template))) {
            let Objective {
                availability,
                fast,
                within_seconds,
            } = route.objective;
            let name = format!("{} {}", route.method, route.template);
            let labels = format!(
                "service: {}, method: {}, route: \"{}\"",
                service.name, route.method, route.template
            );
            let errors = format!("vector({})", budget(&name, availability)?);
            rule(&mut text, PROMISES[0].budget, &errors);
            let _ = writeln!(text, "        labels: {{ {labels} }}");
            let slow = format!("vector({})", budget(&name, fast)?);
            rule(&mut text, PROMISES[1].budget, &slow);
            let _ = writeln!(
                text,
                "        labels: {{ {labels}, within: \"{within_seconds}\" }}"
            );
        }
    }
    Ok(text)
}

/// Returns the share of requests that may go wrong.
fn budget(route: &str, percent: f64) -> Result<String> {
    // A budget that the fastest burn rate cannot exceed would never call anybody.
    if !(94.0..100.0).contains(&percent) {
        bail!("{route}: an objective is at least 94 % and below 100 %, not {percent} %");
    }
    let budget = format!("{:.6}", (100.0 - percent) / 100.0);
    Ok(budget.trim_end_matches('0').to_owned())
}

/// Returns the rules that say how fast budgets burn, and the alerts on them.
pub fn burn(services: &[Description]) -> String {
    let mut text = format!("{HEAD}groups:\n  - name: burn\n    rules:\n");
    let requests = format!("sum by {BY} (rate(http_requests_total[5m]))");
    rule(&mut text, "route:requests:rate5m", &requests);
    let errors = format!(
        "sum by {BY} (rate(http_requests_total{{status=~\"5..\"}}[5m])) or sum by {BY} (rate(http_requests_total[5m])) * 0"
    );
    rule(&mut text, "route:errors:rate5m", &errors);
    let slow: Vec<_> = bounds(services).iter().map(|bound| slow(bound)).collect();
    rule(&mut text, "route:slow:rate5m", &slow.join(" or "));
    for promise in PROMISES {
        ratios(&mut text, promise.what, |window| !LONG.contains(&window));
    }
    let _ = write!(text, "  - name: burn-long\n    interval: 1m\n    rules:\n");
    for promise in PROMISES {
        ratios(&mut text, promise.what, |window| LONG.contains(&window));
    }
    let _ = write!(text, "  - name: burn-alerts\n    rules:\n");
    for promise in PROMISES {
        for burn in BURNS {
            alert(&mut text, promise, burn);
        }
    }
    text
}

/// Returns the latencies that are promised, as text.
fn bounds(services: &[Description]) -> BTreeSet<String> {
    let routes = services.iter().flat_map(|service| &service.routes);
    routes
        .map(|route| route.objective.within_seconds.to_string())
        .collect()
}

/// The rate of requests that took longer than a bound, of the routes that promise it.
fn slow(bound: &str) -> String {
    // Prometheus 3 writes whole numbers with a fraction.
    let le = if bound.contains('.') {
        format!("le=\"{bound}\"")
    } else {
        format!("le=~\"{bound}|{bound}.0\"")
    };
    format!(
        "clamp_min(sum by {BY} (rate(http_request_duration_seconds_count[5m])) - sum by {BY} (rate(http_request_duration_seconds_bucket{{{le}}}[5m])), 0) \
         and on {BY} route:objective:slow_budget{{within=\"{bound}\"}}"
    )
}

fn ratios(text: &mut String, what: &str, wanted: impl Fn(&str) -> bool) {
    let windows = BURNS.iter().flat_map(|burn| [burn.short, burn.long]);
    let windows: BTreeSet<_> = windows.filter(|window| wanted(window)).collect();
    for window in windows {
        let sum = |what: &str| match window {
            "5m" => format!("route:{what}:rate5m"),
            long if LONG.contains(&long) => {
                format!("sum_over_time(route:{what}:rate5m[{long}:1m])")
            }
            _ => format!("sum_over_time(route:{what}:rate5m[{window}])"),
        };
        let ratio = format!("{} / ({} > 0)", sum(what), sum("requests"));
        rule(text, &format!("route:{what}:ratio_{window}"), &ratio);
    }
}

fn rule(text: &mut String, name: &str, expression: &str) {
    let _ = write!(
        text,
        "      - record: {name}\n        expr: '{expression}'\n"
    );
}

fn alert(text: &mut String, promise: &Promise, burn: &Burn) {
    let (what, budget) = (promise.what, promise.budget);
    let Burn {
        long,
        step: (step, seconds),
        short,
        factor,
        severity,
    } = burn;
    let _ = write!(
        text,
        "      - alert: {alert}
        expr: >-
          route:{what}:ratio_{long} > on {BY} {factor} * {budget}
          and on {BY} route:{what}:ratio_{short} > on {BY} {factor} * {budget}
          and on {BY} sum_over_time(route:{what}:rate5m[{long}:{step}]) * {seconds} >= {LEAST_FAILURES}
        labels: {{ severity: {severity}, window: {long} }}
        annotations:
          summary: '{{{{ $labels.method }}}} {{{{ $labels.route }}}} of {{{{ $labels.service }}}}: {{{{ $value | humanizePercentage }}}} {summary} ({long})'
          runbook_url: docs/runbooks/{alert}.md
",
        alert = promise.alert,
        summary = promise.summary,
    );
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn services() -> Vec<Description> {
        let objective = json!({ "availability": 99.9, "fast": 99.0, "within_seconds": 0.25 });
        let password = json!({ "availability": 99.5, "fast": 95.0, "within_seconds": 1.0 });
        let routes = json!([
            { "method": "GET", "template": "/users/{name}", "objective": objective },
            { "method": "POST", "template": "/login", "objective": password },
        ]);
        vec![serde_json::from_value(json!({ "name": "users", "routes": routes })).unwrap()]
    }

    #[test]
    fn an_objective_becomes_two_budgets() {
        let text = objectives(&services()).unwrap();
        for line in [
            "expr: 'vector(0.001)'",
            "expr: 'vector(0.005)'",
            "labels: { service: users, method: POST, route: \"/login\", within: \"1\" }",
            "labels: { service: users, method: GET, route: \"/users/{name}\" }",
        ] {
            assert!(text.contains(line), "{line} is missing from {text}");
        }
    }

    #[test]
    fn an_objective_that_cannot_be_missed_is_refused() {
        assert!(budget("GET /", 90.0).is_err());
        assert!(budget("GET /", 100.0).is_err());
        assert_eq!(budget("GET /", 99.95).unwrap(), "0.0005");
    }

    #[test]
    fn a_latency_is_counted_at_its_own_bound() {
        let text = burn(&services());
        assert!(text.contains("{le=\"0.25\"}"), "{text}");
        assert!(text.contains("{le=~\"1|1.0\"}"), "{text}");
        assert_eq!(text.matches("- alert: RouteErrors").count(), BURNS.len());
    }
}
