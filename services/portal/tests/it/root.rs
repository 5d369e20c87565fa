//! `/` and `/health`.

use reqwest::Method;
use testkit::{Reply, TestService, eventually, send};

use crate::{consul::Agent, figures::page_with};
use portal::Portal;

/// `GET /` once the portal knows as many healthy instances of `users`.
async fn knows(portal: &TestService<Portal>, healthy: u64) -> Reply {
    eventually("the portal knows", || async {
        let reply = portal.get("/").await;
        match &reply.json["services"]["users"]["healthy"] {
            found if *found == healthy => Ok(reply),
            _ => Err(reply.text),
        }
    })
    .await
}

async fn as_browser(portal: &TestService<Portal>) -> Reply {
    let request = portal.request(Method::GET, "/");
    send(request.header("accept", "text/html,application/xhtml+xml,*/*;q=0.8")).await
}

#[tokio::test]
async fn s2_01_the_root_tells_programs_what_runs_and_where_to_go_on() {
    let agent = Agent::start(&[("users", "users-1", true), ("redis", "redis", true)]).await;
    let portal = agent.portal().await;
    let reply = knows(&portal, 1).await;
    let body = reply.expect(200);
    assert_eq!(
        (reply.header("content-type"), reply.header("vary")),
        ("application/json", "accept")
    );
    assert_eq!(body["name"], "Plaza");
    assert!(body["version"].is_string());
    let users = &body["services"]["users"];
    assert_eq!(
        (&users["status"], &users["count"]),
        (&"healthy".into(), &1.into())
    );
    assert_eq!(users["instances"][0]["id"], "users-1");
    assert_eq!(users["instances"][0]["docs"], "http://127.0.0.1:4242/docs");
    assert_eq!(
        body["services"]["discussions"]["status"], "unhealthy",
        "it is not registered"
    );
    assert_eq!(body["others"]["redis"]["status"], "healthy");
    let links = &body["links"];
    assert_eq!(
        (&links["documentation"], &links["health"]),
        (&"/docs".into(), &"/health".into())
    );
    assert_eq!(links["consul"], "http://127.0.0.1:8500/ui/");
}

#[tokio::test]
async fn s2_01_the_root_is_a_page_for_browsers() {
    let agent = Agent::start(&[("users", "users-1", true), ("<b>x</b>", "x", true)]).await;
    let portal = agent.portal().await;
    knows(&portal, 1).await;
    // The first look sets off a question to Prometheus, whose end changes the page.
    page_with(&portal, "Prometheus does not answer").await;
    let page = as_browser(&portal).await;
    assert_eq!((page.status, page.header("vary")), (200, "accept"));
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(
        page.header("content-security-policy")
            .starts_with("default-src 'self'")
    );
    assert!(
        page.text
            .contains("data-service=\"users\" data-status=\"healthy\""),
        "{}",
        page.text
    );
    assert!(
        page.text.contains("&lt;b&gt;x") && !page.text.contains("<b>x"),
        "{}",
        page.text
    );
    for part in page
        .text
        .split(['"'])
        .filter(|part| part.starts_with("/portal/"))
    {
        let file = portal.get(part).await;
        assert_eq!(
            (file.status, file.header("x-content-type-options")),
            (200, "nosniff"),
            "{part}"
        );
    }
    portal.get("/portal/other").await.problem(404);
    let again = portal
        .request(Method::GET, "/")
        .header("accept", "text/html");
    let again = again.header("if-none-match", page.header("etag"));
    assert_eq!(send(again).await.status, 304, "nothing changed");
}

#[tokio::test]
async fn s0_11_the_live_page_loads_only_what_comes_from_here() {
    let agent = Agent::start(&[]).await;
    let portal = agent.portal().await;
    let page = portal.get("/live").await;
    assert_eq!(
        (page.status, page.header("content-type")),
        (200, "text/html; charset=utf-8")
    );
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'self'"), "{policy}");
    let parts = page.text.split('"');
    let parts: Vec<&str> = parts.filter(|part| part.starts_with("/portal/")).collect();
    assert_eq!(parts.len(), 4, "{parts:?}");
    for part in parts {
        assert_eq!(portal.get(part).await.status, 200, "{part}");
    }
    let root = as_browser(&portal).await;
    assert!(root.text.contains("href=\"/live\""), "{}", root.text);
}

#[tokio::test]
async fn s2_02_health_follows_consul() {
    let agent = Agent::start(&[("users", "users-1", true)]).await;
    let portal = agent.portal().await;
    knows(&portal, 1).await;
    let health = portal.get("/health").await;
    assert_eq!(
        health.expect(200)["status"],
        "degraded",
        "others are missing"
    );
    assert_eq!(health.json["services"]["users"], "healthy");
    assert_eq!(health.header("cache-control"), "no-store");
    agent.tell(&[("users", "users-1", true), ("users", "users-2", false)]);
    eventually("the second instance shows", || async {
        let health = portal.get("/health").await;
        match health.json["services"]["users"].as_str() {
            Some("degraded") => Ok(()),
            _ => Err(health.text),
        }
    })
    .await;
    agent.tell(&[("users", "users-1", false)]);
    eventually("nothing is healthy", || async {
        let health = portal.get("/health").await;
        match (health.status, health.json["status"].as_str()) {
            (503, Some("unhealthy")) => Ok(()),
            _ => Err(health.text),
        }
    })
    .await;
}

#[tokio::test]
async fn what_was_known_stays_while_consul_is_away() {
    let agent = Agent::start(&[("users", "users-1", true)]).await;
    let portal = agent.portal().await;
    knows(&portal, 1).await;
    agent.fail(true);
    eventually("the portal says that Consul is away", || async {
        let reply = portal.get("/").await;
        match reply.json["consul"].as_str() {
            Some("away") => Ok(()),
            _ => Err(reply.text),
        }
    })
    .await;
    let reply = knows(&portal, 1).await;
    assert_eq!(reply.status, 200);
    assert!(
        as_browser(&portal)
            .await
            .text
            .contains("Consul does not answer")
    );
    agent.fail(false);
    agent.tell(&[("users", "users-1", true), ("users", "users-2", true)]);
    assert_eq!(knows(&portal, 2).await.json["consul"], "answers");
}

#[tokio::test]
async fn without_consul_nothing_is_known_and_all_of_it_is_said() {
    let portal = TestService::<Portal>::start(&["--consul-http-addr=http://127.0.0.1:1"]).await;
    let health = portal.get("/health").await;
    assert_eq!(health.expect(503)["status"], "unknown");
    assert_eq!(portal.get("/").await.expect(200)["status"], "unknown");
    assert!(
        as_browser(&portal)
            .await
            .text
            .contains("Consul has not told yet")
    );
}
