//! What clients send as bodies and queries that nobody here wrote.

use reqwest::Method;
use serde_json::json;
use testkit::{Reply, TestService, send};

use crate::echo::Echo;

async fn post(service: &TestService<Echo>, path: &str, kind: &str, body: &[u8]) -> Reply {
    let mut request = service.request(Method::POST, path).body(body.to_vec());
    if !kind.is_empty() {
        request = request.header("content-type", kind);
    }
    send(request).await
}

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test]
async fn fields_in_the_query_are_taken_whatever_body_is_beside_it() {
    let service = TestService::<Echo>::start(&[]).await;
    let boundary = "multipart/form-data; boundary=x";
    let told = json!({"name": "ada", "number": 7});
    for (kind, body) in [
        ("", &b""[..]),
        (JSON, b""),
        (JSON, b"null"),
        (JSON, b"{}"),
        (JSON, br#"{"name":null}"#),
        (JSON, b" \r\n"),
        (FORM, b""),
        (FORM, b"other=1"),
        (FORM, b"name="),
        (boundary, b""),
        (boundary, b"--x--\r\n"),
        ("text/plain", b"anything"),
        ("application/octet-stream", b""),
        ("", b"anything"),
    ] {
        let reply = post(&service, "/fields?name=ada&number=7.0", kind, body).await;
        assert_eq!(*reply.expect(201), told, "{kind} {body:?}");
    }
    // What the body says counts more, and what is broken is told all the same.
    let both = post(
        &service,
        "/fields?name=ada&number=7",
        JSON,
        br#"{"name":"bob"}"#,
    )
    .await;
    assert_eq!(*both.expect(201), json!({"name": "bob", "number": 7}));
    post(&service, "/fields?name=ada", JSON, b"{")
        .await
        .problem(400);
    post(&service, "/fields?name=ada", boundary, b"--y")
        .await
        .problem(400);
    post(&service, "/fields", "text/plain", b"x")
        .await
        .problem(415);
    let none = post(&service, "/fields", "", b"").await;
    none.problem(422);
    assert_eq!(none.json["errors"][0]["pointer"], "/name");
}

#[tokio::test]
async fn a_form_may_be_multipart() {
    let service = TestService::<Echo>::start(&[]).await;
    let field = |name: &str, value: &str| {
        format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let form = format!(
        "{}{}--x--\r\n",
        field("name", "Zoë & Ada"),
        field("number", "2")
    );
    let kind = "multipart/form-data; boundary=x";
    let reply = post(&service, "/fields", kind, form.as_bytes()).await;
    assert_eq!(
        *reply.expect(201),
        json!({"name": "Zoë & Ada", "number": 2})
    );
}

#[tokio::test]
async fn a_body_that_may_be_left_out_may_be_null_and_so_may_its_members() {
    let service = TestService::<Echo>::start(&[]).await;
    for body in ["", "null", "{}", r#"{"quantity":null,"note":null}"#] {
        let reply = post(&service, "/optional", JSON, body.as_bytes()).await;
        assert_eq!(
            *reply.expect(201),
            json!({"quantity": 0, "note": ""}),
            "{body}"
        );
    }
    let reply = post(&service, "/optional", JSON, br#"{"quantity":2.0}"#).await;
    assert_eq!(reply.expect(201)["quantity"], 2);
}

#[tokio::test]
async fn a_byte_order_mark_is_no_fault_and_what_is_no_utf_8_is_400() {
    let service = TestService::<Echo>::start(&[]).await;
    let marked = post(&service, "/echo", JSON, b"\xef\xbb\xbf{\"text\":\"bom\"}").await;
    assert_eq!(marked.expect(201)["text"], "bom");
    post(&service, "/echo", JSON, b"{\"text\":\"\xff\xfe\"}")
        .await
        .problem(400);
    post(&service, "/fields", FORM, b"name=%ff%fe")
        .await
        .problem(400);
    service.get("/numbers?other=%ff").await.problem(400);
}

#[tokio::test]
async fn two_equal_content_types_are_one() {
    let service = TestService::<Echo>::start(&[]).await;
    let said = |kinds: &[&str]| {
        let request = service
            .request(Method::POST, "/echo")
            .body(r#"{"text":"x"}"#);
        let request = kinds.iter().fold(request, |request, kind| {
            request.header("content-type", *kind)
        });
        send(request)
    };
    said(&[JSON, JSON]).await.expect(201);
    said(&["application/json, application/json"])
        .await
        .expect(201);
    said(&[JSON, "application/json; charset=utf-8"])
        .await
        .expect(201);
    said(&[JSON, FORM]).await.problem(415);
    said(&["application/json, text/plain"]).await.problem(415);
}

#[tokio::test]
async fn an_empty_parameter_is_absent_and_a_whole_number_may_have_a_point() {
    let service = TestService::<Echo>::start(&[]).await;
    service
        .get("/numbers?limit=&cursor=&other=")
        .await
        .expect(200);
    let two = service.get("/numbers?limit=2.0").await;
    assert_eq!(*two.expect(200), json!([0, 1]));
    assert!(service.get("/whole?number=").await.expect(200).is_null());
    assert_eq!(
        *service.get("/whole?number=-3.0").await.expect(200),
        json!(-3)
    );
    service.get("/whole?number=x").await.problem(400);
    service.get("/whole?number=1.5").await.problem(400);
}

#[tokio::test]
async fn the_longest_text_is_taken_however_it_is_escaped() {
    let service = TestService::<Echo>::start(&[]).await;
    let text = "\u{1f600}".repeat(20_000);
    let escaped = format!("{{\"note\":\"{}\"}}", "\\ud83d\\ude00".repeat(20_000));
    assert!(escaped.len() > 240_000);
    let reply = post(&service, "/optional", JSON, escaped.as_bytes()).await;
    assert_eq!(reply.expect(201)["note"], text.as_str());
    let longer = " ".repeat(400_000);
    post(&service, "/optional", JSON, longer.as_bytes())
        .await
        .problem(413);
}
