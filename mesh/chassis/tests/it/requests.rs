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
async fn a_bad_token_is_refused_by_every_read_and_by_nothing_that_lets_somebody_in() {
    let service = TestService::<Echo>::start(&[]).await;
    let good = service.token(1, "ada");
    let get = async |path: &str, authorization: &str| {
        let request = service.request(Method::GET, path);
        send(request.header("authorization", authorization)).await
    };
    for path in [
        "/numbers",
        "/things/x",
        "/numbers/1",
        "/mine",
        "/docs",
        "/openapi.json",
    ] {
        service.get(path).await.expect(200);
        get(path, &format!("Bearer {good}")).await.expect(200);
        for bad in ["", "Bearer", "Bearer a.b.c", &format!("Bearer {good}x")] {
            let refused = get(path, bad).await;
            assert_eq!(refused.status, 401, "{path} with {bad:?}: {}", refused.text);
            assert!(refused.header("www-authenticate").starts_with("Bearer"));
        }
    }
    // Whoever logs in again may still send the token that has ended.
    let body = json!({"text": "hello"});
    let doors = service.call(Method::POST, "/echo", "a.b.c", &body).await;
    doors.expect(201);
}

#[tokio::test]
async fn an_offset_counts_where_a_list_has_one_and_is_refused_elsewhere() {
    let service = TestService::<Echo>::start(&[]).await;
    let (mut offset, mut seen) = (0, Vec::new());
    loop {
        let page = service
            .get(&format!("/counted?limit=2&offset={offset}"))
            .await;
        let page = page.expect(200).as_array().unwrap().clone();
        if page.is_empty() {
            break;
        }
        (offset, seen) = (offset + 2, [seen, page].concat());
    }
    assert_eq!(json!(seen), json!([0, 1, 2, 3, 4]));
    let middle = service.get("/counted?limit=2&offset=1").await;
    assert_eq!(middle.expect(200), &json!([1, 2]));
    let link = middle.header("link").trim_start_matches('<');
    let next = link.split('>').next().unwrap();
    assert!(!next.contains("offset"), "it would count again: {next}");
    assert_eq!(service.get(next).await.expect(200), &json!([3, 4]));
    assert_eq!(service.get("/counted").await.expect(200), &json!([0, 1, 2]));
    assert_eq!(
        service.get("/counted?limit=9").await.expect(200),
        &json!([0, 1, 2, 3])
    );
    service.get("/counted?offset=10000").await.expect(200);
    for bad in ["offset=-1", "offset=10001", "offset=x", "limit=0"] {
        service.get(&format!("/counted?{bad}")).await.problem(422);
    }
    service.get("/numbers?offset=0").await.expect(200);
    let refused = service.get("/numbers?offset=2").await;
    assert!(refused.problem(400).contains("Link"), "{}", refused.text);
}

#[tokio::test]
async fn a_word_in_the_place_of_a_number_is_refused_or_nowhere() {
    let service = TestService::<Echo>::start(&[]).await;
    for path in ["/numbers/7", "/numbers/007", "/numbers/%37", "/ordinals/7"] {
        assert_eq!(service.get(path).await.expect(200), &json!(7), "{path}");
    }
    for word in ["x", "1.5", "1e3", "%20", "%00", "%FF", "7%2F8"] {
        let refused = service.get(&format!("/numbers/{word}")).await;
        assert_eq!(refused.problem(422), "`number` must be a whole number");
        service.get(&format!("/ordinals/{word}")).await.problem(404);
    }
    let nobodys = service.get("/numbers/99999999999999999999").await;
    nobodys.problem(404);
    service.get("/numbers/-7").await.expect(200);
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
async fn a_path_that_is_written_out_has_its_own_methods_alone() {
    let service = TestService::<Echo>::start(&[]).await;
    for (path, methods) in [("/things/new", "POST"), ("/things/old", "GET, HEAD")] {
        let refused = send(service.request(Method::DELETE, path)).await;
        refused.problem(405);
        assert_eq!(refused.header("allow"), methods, "{path}");
    }
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
    let labels = "route=\"/things/{name}\",operation=\"getThing\"";
    assert!(metrics.contains(labels), "{metrics}");
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
