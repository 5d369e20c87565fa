//! The alerts of a route's objective, live: real failures of a real service, counted by its own
//! metrics, judged by the rules as they are, only faster.

use std::{collections::BTreeSet, path::Path, time::Duration};

use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection};
use testkit::{Process, Prometheus, eventually_within};

/// It takes half a minute where all is well.
const PATIENCE: Duration = Duration::from_mins(4);
/// Of so many requests to each route, one shall fail: 5 %.
const ROUND: u32 = 20;
const PAGES: &str = r#"ALERTS{alertname="RouteErrors", severity="page", alertstate="firing"}"#;

/// `products` alone, with a way to its table.
struct Shop {
    process: Process,
    database: DatabaseConnection,
    client: reqwest::Client,
}

impl Shop {
    async fn open() -> Self {
        let process = Process::start(env!("CARGO_BIN_EXE_products"), &["serve"], &[]);
        process.address();
        let file = process.data().join("products.db");
        let url = format!("sqlite://{}", file.display());
        Self {
            process,
            database: Database::connect(url).await.unwrap(),
            client: reqwest::Client::new(),
        }
    }

    async fn ask(&self, path: &str) -> u16 {
        let url = format!("http://{}{path}", self.process.address());
        self.client.get(url).send().await.unwrap().status().as_u16()
    }

    /// A round of requests to two routes: all are answered.
    async fn serve_well(&self, requests: u32) {
        for _ in 0..requests {
            assert_eq!(self.ask("/products/").await, 200);
            assert_eq!(self.ask("/products/1").await, 404);
        }
    }

    /// One request to the list fails: its table is called something else for as long.
    async fn fail_once(&self) {
        let rename = async |from: &str, to: &str| {
            let statement = format!("ALTER TABLE {from} RENAME TO {to}");
            self.database.execute_unprepared(&statement).await.unwrap();
        };
        rename("products", "lost").await;
        let status = self.ask("/products/").await;
        rename("lost", "products").await;
        assert_eq!(status, 500);
    }
}

async fn paged(prometheus: &Prometheus) -> BTreeSet<String> {
    let pages = prometheus.ask(PAGES).await;
    let route = |page: &serde_json::Value| {
        let labels = &page["metric"];
        [&labels["service"], &labels["method"], &labels["route"]]
            .map(|label| label.as_str().unwrap_or_default())
            .join(" ")
    };
    pages.iter().map(route).collect()
}

// Waiting for the process blocks a thread.
#[tokio::test(flavor = "multi_thread")]
async fn five_percent_failures_page_for_that_route_alone_and_then_clear() {
    let shop = Shop::open().await;
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../observability/prometheus/rules");
    let prometheus = Prometheus::start(&rules, "products", shop.process.admin()).await;
    eventually_within(
        PATIENCE,
        "both routes are seen, and nobody is called",
        || async {
            shop.serve_well(ROUND).await;
            let seen = prometheus.ask("route:requests:rate5m > 0").await.len();
            let pages = paged(&prometheus).await;
            assert!(pages.is_empty(), "{pages:?}");
            if seen >= 2 {
                Ok(())
            } else {
                Err(format!("{seen} routes"))
            }
        },
    )
    .await;

    let pages = eventually_within(PATIENCE, "the failing route pages", || async {
        shop.serve_well(ROUND - 1).await;
        shop.fail_once().await;
        let pages = paged(&prometheus).await;
        if pages.is_empty() {
            Err("nobody is called".to_owned())
        } else {
            Ok(pages)
        }
    })
    .await;
    assert_eq!(
        pages,
        BTreeSet::from(["products GET /products/".to_owned()])
    );

    eventually_within(PATIENCE, "the page ends", || async {
        shop.serve_well(ROUND).await;
        let pages = paged(&prometheus).await;
        if pages.is_empty() {
            Ok(())
        } else {
            Err(format!("{pages:?}"))
        }
    })
    .await;
}
