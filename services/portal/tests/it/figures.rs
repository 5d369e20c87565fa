//! The plots of the page, from a Prometheus that says what the test wants.

use portal::Portal;
use reqwest::Method;
use serde_json::json;
use testkit::{TestService, eventually, send};
use warp::Filter as _;

/// Starts a Prometheus that gives every query this value, a minute ago and now.
async fn prometheus(value: &'static str) -> String {
    let query = warp::query::<Vec<(String, String)>>();
    let api = warp::path!("api" / "v1" / "query_range").and(query);
    let api = api.map(move |query: Vec<(String, String)>| {
        let end = query.iter().find(|(name, _)| name == "end").unwrap();
        let end: u64 = end.1.parse().unwrap();
        let values = json!([[end - 60, "0"], [end, value]]);
        warp::reply::json(&json!({ "data": { "result": [{ "values": values }] } }))
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(warp::serve(api).incoming(listener).run());
    format!("--prometheus-url=http://{address}/")
}

/// The page once it has what is looked for.
pub async fn page_with(portal: &TestService<Portal>, text: &str) -> String {
    eventually(text, || async {
        let request = portal.request(Method::GET, "/");
        let page = send(request.header("accept", "text/html")).await;
        assert_eq!(page.status, 200, "whatever Prometheus does");
        let found = page.text.contains(text);
        if found { Ok(page.text) } else { Err(page.text) }
    })
    .await
}

#[tokio::test]
async fn the_page_shows_figures_as_plots() {
    let portal = TestService::<Portal>::start(&[&prometheus("12.34").await]).await;
    let page = page_with(&portal, "data-figure=").await;
    for figure in ["requests", "errors", "latency", "sockets", "queues"] {
        let figure = format!("data-figure=\"{figure}\"");
        assert!(page.contains(&figure), "{figure} is missing from {page}");
    }
    assert!(page.contains("<strong>12.3</strong>"), "{page}");
    assert!(page.contains("points=\"280.0,60.0 300.0,0.0\""), "{page}");
}

#[tokio::test]
async fn a_prometheus_that_is_away_or_talks_nonsense_disturbs_nothing() {
    let away = TestService::<Portal>::start(&["--prometheus-url=http://127.0.0.1:1"]).await;
    page_with(&away, "Prometheus does not answer").await;
    let nonsense = prometheus("<script>").await;
    let portal = TestService::<Portal>::start(&[&nonsense]).await;
    let page = page_with(&portal, "data-figure=").await;
    assert!(!page.contains("&lt;script&gt;"), "{page}");
    assert!(page.contains("<strong>0</strong>"), "{page}");
}
