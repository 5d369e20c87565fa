//! Claim: the operators' page plots the main figures of the mesh, in a real browser.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use testkit::{Browser, Mesh, eventually_within, send};

const FIGURES: [&str; 5] = ["requests", "errors", "latency", "sockets", "queues"];

#[tokio::test]
async fn the_page_plots_what_prometheus_has() {
    let mesh = Mesh::current();
    // Scrapes and points have their own pace, which no browser should have to wait for.
    let patience = Duration::from_mins(3);
    eventually_within(patience, "every figure has points", || async {
        mesh.get("/posts").await.expect(200);
        let page = mesh.request(Method::GET, "/").header("accept", "text/html");
        let page = send(page).await.text;
        let plotted = page.matches("data-figure=").count();
        let empty = page.matches("points=\"\"").count();
        if (plotted, empty) == (FIGURES.len(), 0) {
            Ok(())
        } else {
            Err(format!("{plotted} plots, {empty} of them empty"))
        }
    })
    .await;
    let browser = Browser::start().await;
    browser.open(&format!("{}/", mesh.address("ingress"))).await;
    for figure in FIGURES {
        let line = format!("document.querySelector('[data-figure={figure}] polyline')");
        browser
            .until(&format!("{line}?.points.numberOfItems > 0"))
            .await;
        // It is seen, and not only there.
        browser
            .until(&format!(
                "{line}.closest('svg').getBoundingClientRect().height > 20"
            ))
            .await;
    }
    assert_eq!(browser.complaints().await, Vec::<Value>::new());
}
