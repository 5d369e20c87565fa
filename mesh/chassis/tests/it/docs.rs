//! What every service tells of itself on its own listener.

use mesh_chassis::describe;
use reqwest::Method;
use testkit::{TestService, send};

use crate::echo::Echo;

#[tokio::test]
async fn s2_64_every_service_documents_itself_on_its_own_listener() {
    let service = TestService::<Echo>::start(&[]).await;
    let document = service.get("/openapi.json").await;
    assert_eq!(document.expect(200)["openapi"], "3.1.0");
    assert!(document.json["paths"]["/echo"]["post"].is_object());
    for path in ["/docs", "/docs/"] {
        let page = service.get(path).await;
        assert_eq!(
            (page.status, page.header("content-type")),
            (200, "text/html; charset=utf-8")
        );
        let policy = page.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'self'") && !policy.contains("script-src"),
            "{policy}"
        );
        for file in [
            "/docs/swagger-ui.css",
            "/docs/swagger-ui.js",
            "/docs/start.js",
        ] {
            assert!(page.text.contains(&format!("\"{file}\"")), "{}", page.text);
            assert_eq!(service.get(file).await.status, 200, "{file}");
        }
    }
    service.get("/docs/other.js").await.problem(404);
    send(service.request(Method::POST, "/docs"))
        .await
        .problem(405);
}

#[tokio::test]
async fn s2_64_the_ingress_and_the_document_are_told_nothing_of_it() {
    let told = describe::<Echo>();
    assert!(!told["routes"].to_string().contains("/docs"), "{told}");
    assert!(told["openapi"]["paths"].get("/docs").is_none(), "{told}");
}

#[tokio::test]
async fn a_file_that_the_browser_has_is_not_sent_again() {
    let service = TestService::<Echo>::start(&[]).await;
    let first = service.get("/docs/swagger-ui.js").await;
    let (tag, kind) = (first.header("etag"), first.header("content-type"));
    assert_eq!(kind, "text/javascript; charset=utf-8");
    let again = service
        .request(Method::GET, "/docs/swagger-ui.js")
        .header("if-none-match", tag);
    let again = send(again).await;
    assert_eq!(
        (again.status, again.text.as_str(), again.header("etag")),
        (304, "", tag)
    );
    let changed = service
        .request(Method::GET, "/docs/swagger-ui.js")
        .header("if-none-match", "\"another\"");
    assert_eq!(send(changed).await.text.len(), first.text.len());
}
