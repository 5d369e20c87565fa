//! What every service does with a request, whatever it is about.

use reqwest::Method;
use serde_json::json;
use testkit::{TestService, send};

use crate::echo::Echo;

#[tokio::test]
async fn d4_a_token_is_asked_for_before_the_body_is_read() {
    let service = TestService::<Echo>::start(&[]).await;
    let body = json!({"text": "hello"});
    let anonymous = service
        .call(Method::POST, "/private", "", &json!({"text": 1}))
        .await;
    anonymous.problem(401);
    assert!(anonymous.header("www-authenticate").starts_with("Bearer"));
    let token = service.token(1, "ada");
    service
        .call(Method::POST, "/private", &token, &body)
        .await
        .expect(201);
    for bad in [
        "",
        "Basic YTpi",
        "Bearer",
        "Bearer ",
        "bearer a.b.c",
        &format!("Bearer {token}x"),
    ] {
        let request = service
            .request(Method::POST, "/private")
            .header("authorization", bad)
            .json(&body);
        send(request).await.problem(401);
    }
    let odd_case = service
        .request(Method::POST, "/private")
        .header("authorization", format!("bEaReR {token}"));
    send(odd_case.json(&body)).await.expect(201);
}

#[tokio::test]
async fn d7_pages_link_to_the_next_until_there_is_none() {
    let service = TestService::<Echo>::start(&[]).await;
    let first = "/numbers?limit=2&other=a%20b&access_token=canary".to_owned();
    let (mut path, mut seen) = (first, Vec::new());
    while !path.is_empty() {
        let reply = service.get(&path).await;
        seen.extend(
            reply
                .expect(200)
                .as_array()
                .unwrap()
                .iter()
                .map(|number| number.as_i64().unwrap()),
        );
        let link = reply.header("link").to_owned();
        assert!(!link.contains("canary"), "it is no parameter: {link}");
        assert!(
            link.is_empty() || (link.contains("other=a") && link.ends_with("rel=\"next\"")),
            "{link}"
        );
        path = link
            .trim_start_matches('<')
            .split('>')
            .next()
            .unwrap_or_default()
            .to_owned();
    }
    assert_eq!(seen, [0, 1, 2, 3, 4]);
    service.get("/numbers?cursor=x").await.problem(400);
    service.get("/numbers?limit=-1").await.problem(400);
}

#[tokio::test]
async fn parameters_are_decoded_once() {
    let service = TestService::<Echo>::start(&[]).await;
    assert_eq!(service.get("/things/a%20b%2Fc").await.expect(200), "a b/c");
    assert_eq!(service.get("/things/%2520").await.expect(200), "%20");
    service.get("/things/").await.problem(404);
    service.get("/things/a/b").await.problem(404);
}

#[tokio::test]
async fn the_request_id_comes_back() {
    let service = TestService::<Echo>::start(&[]).await;
    let request = service
        .request(Method::GET, "/numbers")
        .header("x-request-id", "abc-1");
    assert_eq!(send(request).await.header("x-request-id"), "abc-1");
}

#[tokio::test]
async fn s23_labels_are_templates_and_never_paths() {
    let service = TestService::<Echo>::start(&[]).await;
    for number in 0..50 {
        service
            .get(&format!("/things/canary-{number}"))
            .await
            .expect(200);
        service
            .get(&format!("/unknown/canary-{number}"))
            .await
            .problem(404);
        let method = Method::from_bytes(format!("CANARY{number}").as_bytes()).unwrap();
        send(service.request(method, "/numbers")).await.problem(405);
    }
    let metrics = reqwest::get(format!("http://{}/metrics", service.admin))
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(metrics.contains("route=\"/things/{name}\""), "{metrics}");
    assert!(!metrics.to_lowercase().contains("canary"), "{metrics}");
}

#[tokio::test]
async fn a_service_without_grpc_says_so_in_grpc() {
    let service = TestService::<Echo>::start(&[]).await;
    let request = service
        .request(Method::POST, "/plaza.x.v1.X/Y")
        .header("content-type", "application/grpc");
    let reply = send(request.body("")).await;
    assert_eq!((reply.status, reply.header("grpc-status")), (200, "12"));
}

#[tokio::test]
async fn an_error_says_what_belongs_there_and_never_what_was_sent() {
    let service = TestService::<Echo>::start(&[]).await;
    for (body, expected) in [
        (json!({"text": 8_123_456}), "`text` must be a text"),
        (json!({"text": {"canary": 1}}), "`text` must be a text"),
        (json!({"canary": "x"}), "`text` is missing"),
        (json!("canary"), "The body must be an object"),
    ] {
        let refused = service.call(Method::POST, "/echo", "", &body).await;
        assert_eq!(refused.problem(422), expected);
    }
    let canary = Method::from_bytes(b"CANARY").unwrap();
    let refused = send(service.request(canary, "/echo")).await;
    let told = refused.problem(405);
    assert_eq!(told, "This method is not possible here; POST is");
}

#[tokio::test]
async fn d4_an_array_is_no_body_even_where_its_items_would_fit() {
    let service = TestService::<Echo>::start(&[]).await;
    for body in [json!(["hello"]), json!([])] {
        let refused = service.call(Method::POST, "/echo", "", &body).await;
        refused.problem(422);
    }
    let request = service.request(Method::POST, "/echo").body("[\"hello\"");
    let request = request.header("content-type", "application/json");
    send(request).await.problem(400);
}
