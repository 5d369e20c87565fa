//! The main figures of the mesh, as Prometheus has them.
//!
//! Nobody waits for Prometheus: a page shows what was there when the one before was asked for, and
//! nothing is asked while nobody looks.

use std::{sync::Arc, time::Duration};

use chassis::{Context, clock};
use discovery::Dns;
use futures_util::future::try_join_all;
use reqwest::Client;
use serde_json::Value;
use tokio::sync::{Notify, watch};

/// What one question to Prometheus may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// How old figures are at most while somebody looks.
const FRESH: Duration = Duration::from_secs(5);
/// What is shown: so many seconds, with a point for so many.
const SPAN: u64 = 15 * 60;
const STEP: u64 = 15;

/// A figure and how it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    /// In the page, for those who look for it.
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    /// What stands behind the number.
    pub(crate) unit: &'static str,
    query: &'static str,
}

const KINDS: [Kind; 5] = [
    Kind {
        id: "requests",
        title: "Requests",
        unit: "a second",
        query: "sum(rate(http_requests_total[1m]))",
    },
    Kind {
        id: "errors",
        title: "Failed requests",
        unit: "%",
        query: "100 * sum(rate(http_requests_total{status=~\"5..\"}[1m])) / (sum(rate(http_requests_total[1m])) > 0) or vector(0)",
    },
    Kind {
        id: "latency",
        title: "99 of 100 requests within",
        unit: "ms",
        query: "1000 * histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket[1m])))",
    },
    Kind {
        id: "sockets",
        title: "Open sockets",
        unit: "",
        query: "sum(live_sockets)",
    },
    Kind {
        id: "queues",
        title: "Oldest event that waits",
        unit: "s",
        query: "max(queue_oldest_seconds)",
    },
];

/// A figure over time: how long ago in parts of the span (1 is now), and what it was.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Figure {
    pub(crate) kind: Kind,
    pub(crate) points: Vec<(f64, f64)>,
}

/// What is known of them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Known {
    /// Nobody has asked yet.
    Nothing,
    /// Prometheus does not answer.
    Away,
    Figures(Arc<[Figure]>),
}

/// The figures, kept current while somebody looks.
#[derive(Debug)]
pub(crate) struct Figures {
    known: watch::Receiver<Known>,
    wanted: Arc<Notify>,
}

impl Figures {
    /// Of the Prometheus at `url`; a host in Consul's zone is looked up.
    pub(crate) fn new(url: String, context: &Context) -> anyhow::Result<Self> {
        let source = Source {
            url,
            dns: context.dns.clone(),
            client: Client::builder().timeout(PATIENCE).build()?,
        };
        let (told, known) = watch::channel(Known::Nothing);
        let wanted = Arc::new(Notify::new());
        context.spawn(keep_current(source, Arc::clone(&wanted), told));
        Ok(Self { known, wanted })
    }

    /// What is known now; it will be newer when somebody asks again.
    pub(crate) fn latest(&self) -> Known {
        self.wanted.notify_one();
        self.known.borrow().clone()
    }
}

async fn keep_current(source: Source, wanted: Arc<Notify>, told: watch::Sender<Known>) {
    loop {
        wanted.notified().await;
        let known = match source.all().await {
            Ok(figures) => Known::Figures(figures.into()),
            Err(error) => {
                tracing::debug!(cause = format!("{error:#}"), "prometheus does not answer");
                Known::Away
            }
        };
        told.send_replace(known);
        tokio::time::sleep(FRESH).await;
    }
}

/// A Prometheus.
#[derive(Debug)]
struct Source {
    url: String,
    dns: Dns,
    client: Client,
}

impl Source {
    async fn all(&self) -> anyhow::Result<Vec<Figure>> {
        let url = self.dns.resolve_url(&self.url).await?;
        let url = format!("{}/api/v1/query_range", url.trim_end_matches('/'));
        let now = u64::try_from(clock::now().timestamp())?;
        // The same points until there is a new one: the page stays as it is.
        let end = now - now % STEP;
        try_join_all(KINDS.map(|kind| self.one(&url, kind, end))).await
    }

    async fn one(&self, url: &str, kind: Kind, end: u64) -> anyhow::Result<Figure> {
        let (start, last, step) = ((end - SPAN).to_string(), end.to_string(), STEP.to_string());
        let query = [
            ("query", kind.query),
            ("start", &start),
            ("end", &last),
            ("step", &step),
        ];
        let answer = self.client.get(url).query(&query).send().await?;
        let answer: Value = answer.error_for_status()?.json().await?;
        Ok(Figure {
            kind,
            points: points(&answer, end),
        })
    }
}

/// The points of the one line in an answer. What is no number is no point.
#[expect(
    clippy::cast_precision_loss,
    reason = "seconds since the epoch fit 53 bits"
)]
fn points(answer: &Value, end: u64) -> Vec<(f64, f64)> {
    let samples = answer["data"]["result"][0]["values"].as_array();
    let point = |sample: &Value| {
        let time = sample[0].as_f64()?;
        let value: f64 = sample[1].as_str()?.parse().ok()?;
        let place = 1.0 - (end as f64 - time) / SPAN as f64;
        ((0.0..=1.0).contains(&place) && value.is_finite()).then_some((place, value))
    };
    let most = usize::try_from(SPAN / STEP + 1).unwrap_or(usize::MAX);
    let samples = samples.into_iter().flatten().take(most);
    samples.filter_map(point).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_no_number_is_no_point() {
        let values = json!([
            [100, "1.5"],
            [1000, "NaN"],
            [1000, "2"],
            [1001, "+Inf"],
            [5000, "3"]
        ]);
        let answer = json!({ "data": { "result": [{ "values": values }] } });
        assert_eq!(points(&answer, 1000), [(0.0, 1.5), (1.0, 2.0)]);
        assert_eq!(points(&json!({}), 1000), []);
    }
}
