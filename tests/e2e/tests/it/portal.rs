//! Claim: the gateway's own paths show all of the mesh to programs and to people, in a real browser.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Browser, Mesh, eventually, mesh, send, unique};

/// Consul's answer to an agent request that is not read.
async fn tell_consul(path: &str, body: &Value) {
    let mesh = Mesh::current();
    let request = mesh.consul(Method::PUT, path, &mesh.tokens.management);
    let reply = send(request.json(body)).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.text);
}

#[tokio::test]
async fn s2_01_the_root_lists_every_service_for_programs() {
    let mesh = Mesh::current();
    let body = eventually("every service is healthy", || async {
        let reply = mesh.get("/").await;
        match reply.json["status"].as_str() {
            Some("healthy") => Ok(reply.json),
            _ => Err(reply.text),
        }
    })
    .await;
    for (service, entry) in &mesh.services {
        let told = &body["services"][service];
        let ids: Vec<&str> = told["instances"]
            .as_array()
            .unwrap_or_else(|| panic!("{service}: {body}"))
            .iter()
            .map(|instance| instance["id"].as_str().unwrap())
            .collect();
        assert_eq!(ids, entry.instances, "{service}");
    }
    for tool in ["consul", "prometheus", "jaeger"] {
        let url = body["links"][tool].as_str().unwrap();
        assert!(url.starts_with(mesh.address(tool)), "{url}");
    }
}

#[tokio::test]
async fn s2_02_the_gateway_tells_the_health_of_all() {
    let mesh = Mesh::current();
    eventually("every service is healthy", || async {
        let reply = mesh.get("/health").await;
        let services = reply.json["services"]
            .as_object()
            .cloned()
            .unwrap_or_default();
        let all = mesh
            .services
            .keys()
            .all(|service| services.get(service) == Some(&json!("healthy")));
        match reply.status {
            200 if all && reply.json["status"] == "healthy" => Ok(()),
            _ => Err(reply.text),
        }
    })
    .await;
}

#[tokio::test]
async fn s2_01_the_page_shows_every_service_and_changes_by_itself() {
    let mesh = Mesh::current();
    let browser = Browser::start().await;
    browser.open(&format!("{}/", mesh.address("ingress"))).await;
    browser.run("window.loadedOnce = true").await;
    for service in mesh.services.keys() {
        let healthy =
            format!("document.querySelector('[data-service=\"{service}\"][data-status=healthy]')");
        browser.until(&healthy).await;
        browser
            .until(&format!(
                "document.querySelector('[data-instance=\"{service}-1\"]')"
            ))
            .await;
    }
    browser
        .until("document.getElementById('connection').textContent.startsWith('Live')")
        .await;
    // Something of the test's own comes, falls ill, grows and goes: it would disturb others to do so with theirs.
    let (name, evil) = (unique("e2e-guest-"), "<img src=x onerror=alert(1)>");
    let register = |id: String, status: &'static str| {
        let check = json!({ "Name": evil, "TTL": "10m", "Status": status });
        let body = json!({ "Name": name, "ID": id, "Port": 1, "Check": check });
        async move { tell_consul("agent/service/register", &body).await }
    };
    let row = |text: &str| {
        let row = format!("document.querySelector('#others [data-service=\"{name}\"]')");
        format!("{row}?.textContent.includes('{text}')")
    };
    register(format!("{name}-1"), "passing").await;
    browser.until(&row("healthy, 1 of 1")).await;
    register(format!("{name}-2"), "critical").await;
    browser.until(&row("degraded, 1 of 2")).await;
    for number in [1, 2] {
        tell_consul(
            &format!("agent/service/deregister/{name}-{number}"),
            &Value::Null,
        )
        .await;
    }
    browser
        .until(&format!(
            "!document.querySelector('[data-service=\"{name}\"]')"
        ))
        .await;
    assert_eq!(
        browser.run("return window.loadedOnce").await,
        true,
        "the page was not loaded again"
    );
    assert_eq!(browser.complaints().await, Vec::<Value>::new());
}

#[tokio::test]
async fn s2_03_the_documentation_of_all_services_can_be_tried_out() {
    let mesh = Mesh::current();
    let document = mesh.get("/openapi.json").await.expect(200).clone();
    let methods = |path: &Value| path.as_object().unwrap().len();
    let operations: usize = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .map(methods)
        .sum();
    let browser = Browser::start().await;
    browser
        .open(&format!("{}/docs", mesh.address("ingress")))
        .await;
    for service in mesh.services.keys() {
        browser
            .until(&format!(
                "document.getElementById('operations-tag-{service}')"
            ))
            .await;
    }
    browser
        .until(&format!(
            "document.querySelectorAll('.opblock').length === {operations}"
        ))
        .await;
    let operation = "#operations-portal-getHealth";
    browser
        .click(&format!("{operation} .opblock-summary-control"))
        .await;
    browser.click(&format!("{operation} .try-out__btn")).await;
    browser.click(&format!("{operation} .execute")).await;
    let status = format!(
        "document.querySelector('{operation} .live-responses-table tr.response td.response-col_status')"
    );
    browser
        .until(&format!("{status}?.textContent.includes('200')"))
        .await;
    assert_eq!(browser.complaints().await, Vec::<Value>::new());
}

#[tokio::test]
async fn s2_64_every_service_documents_itself_on_its_own_port() {
    let mesh = Mesh::current();
    let browser = Browser::start().await;
    for service in mesh.services.keys() {
        let instances = mesh.consul_get(&format!("catalog/service/{service}")).await;
        let port = instances[0]["ServiceMeta"]["admin_port"].as_str().unwrap();
        let own = format!("http://127.0.0.1:{port}");
        let document = send(mesh::client().get(format!("{own}/openapi.json"))).await;
        let paths = document.expect(200)["paths"].as_object().unwrap().len();
        assert!(paths > 0, "{service}");
        browser.open(&format!("{own}/docs")).await;
        browser
            .until("document.querySelectorAll('.opblock').length > 0")
            .await;
        assert_eq!(browser.complaints().await, Vec::<Value>::new(), "{service}");
    }
}

#[tokio::test]
async fn d15_the_gateway_wins_its_paths_and_users_the_registration() {
    let mesh = Mesh::current();
    let root = mesh.get("/").await;
    assert_eq!(root.expect(200)["name"], "Plaza");
    let varies = root.header("vary");
    assert!(varies.split(", ").any(|by| by == "accept"), "{varies}");
    let page = send(mesh.request(Method::GET, "/").header("accept", "text/html")).await;
    assert!(
        page.header("content-type").starts_with("text/html"),
        "{}",
        page.text
    );
    assert!(mesh.get("/health").await.json["services"]["portal"].is_string());
    let document = mesh.get("/openapi.json").await;
    for service in mesh.services.keys() {
        let tags = document.json["tags"].as_array().unwrap();
        assert!(
            tags.iter().any(|tag| tag["name"] == service.as_str()),
            "{service}"
        );
    }
    for path in ["/docs", "/docs/", "/health/", "/openapi.json"] {
        assert_eq!(mesh.get(path).await.status, 200, "{path}");
    }
    let body = json!({ "username": unique("d"), "email": "no address", "password": "x" });
    let refused = mesh.call(Method::POST, "/register", "", &body).await;
    assert!(
        refused.problem(422).contains("email"),
        "users answers: {}",
        refused.text
    );
}
