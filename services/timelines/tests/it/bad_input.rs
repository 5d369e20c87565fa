//! Whatever is sent, the answer is a problem document (D4) and never a 500.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::send;

use crate::helpers::{Backend, Plaza};

crate::on_each_store![
    d4_bodies_that_are_none_are_told_apart,
    d17_values_outside_their_bounds_are_422,
    d17_texts_up_to_280_characters_of_any_kind_are_taken,
    d7_limits_and_cursors_are_checked,
    d4_methods_that_a_path_does_not_have_are_405,
];

async fn d4_bodies_that_are_none_are_told_apart(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let ada = plaza.person();
    let token = plaza.service.token(ada.id, &ada.username);
    let too_large = format!("{{\"text\":\"{}\"}}", "x".repeat(300_000));
    let cases: [(&str, &[u8], u16); 9] = [
        ("application/json", b"{", 400),
        ("application/json", b"\xff\xfe", 400),
        ("application/json", b"", 400),
        ("application/json", b"null", 422),
        ("application/json", b"[]", 422),
        ("application/json", b"{\"text\":\"\\ud800\"}", 422),
        ("application/json", too_large.as_bytes(), 413),
        ("text/plain", b"{\"text\":\"Hello\"}", 415),
        ("application/x-www-form-urlencoded", b"text=Hello", 415),
    ];
    for path in ["/posts", "/posts/async"] {
        for (kind, body, status) in cases {
            let request = plaza.service.request(Method::POST, path);
            let request = request.bearer_auth(&token).header("content-type", kind);
            send(request.body(body.to_vec())).await.problem(status);
        }
    }
}

async fn d17_values_outside_their_bounds_are_422(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let ada = plaza.person();
    let bad = [
        ("text", json!("")),
        ("text", json!("   \n ")),
        ("text", json!("x".repeat(281))),
        ("text", json!("ä".repeat(281))),
        ("text", json!("a\0b")),
        ("text", json!(7)),
        ("text", json!(null)),
        ("text", json!({"$gt": ""})),
        ("repost_original_url", json!("javascript:alert(1)")),
        ("repost_original_url", json!("not a url")),
        ("repost_original_url", json!("")),
        ("repost_original_url", json!(7)),
        (
            "repost_original_url",
            json!(format!("http://x.y/{}", "x".repeat(2048))),
        ),
        ("user_id", json!("me")),
        ("user_id", json!(1.5)),
    ];
    for path in ["/posts", "/posts/async"] {
        for (member, value) in &bad {
            let mut body = json!({"text": "Hello"});
            body[*member] = value.clone();
            let reply = plaza.post_as(&ada, path, &body).await;
            assert_eq!(reply.status, 422, "{member} {value}: {}", reply.text);
            reply.problem(422);
        }
    }
    assert_eq!(plaza.get("/posts").await.expect(200), &json!([]));
}

async fn d17_texts_up_to_280_characters_of_any_kind_are_taken(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let ada = plaza.person();
    for text in [
        "x",
        &"x".repeat(280),
        &"ä".repeat(280),
        &"🦀".repeat(280),
        "'; DROP TABLE posts; --",
        "<script>alert(1)</script>",
        "two\nlines",
    ] {
        let body = json!({"text": text, "repost_original_url": null});
        let reply = plaza.post_as(&ada, "/posts", &body).await;
        assert_eq!(reply.expect(201)["text"], text);
        let path = format!("/posts/id/{}", reply.json["post_id"]);
        assert_eq!(plaza.get(&path).await.expect(200)["text"], text);
    }
}

async fn d7_limits_and_cursors_are_checked(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let ada = plaza.person();
    plaza.written(&ada, "Hello").await;
    for path in [
        "/posts".to_owned(),
        format!("/posts/{}", ada.username),
        format!("/posts/home/{}", ada.username),
    ] {
        for bad in ["limit=0", "limit=-1", "limit=x"] {
            let path = format!("{path}?{bad}");
            plaza.get_as(&ada, &path).await.problem(422);
        }
        for bad in ["cursor=x"] {
            let path = format!("{path}?{bad}");
            plaza.get_as(&ada, &path).await.problem(400);
        }
        // Cursors that nobody gave out, but could be: the greatest and the least number.
        for odd in [
            "limit=100000",
            "cursor=OTIyMzM3MjAzNjg1NDc3NTgwNw",
            "cursor=LTkyMjMzNzIwMzY4NTQ3NzU4MDg",
        ] {
            let path = format!("{path}?{odd}");
            plaza.get_as(&ada, &path).await.expect(200);
        }
    }
}

async fn d4_methods_that_a_path_does_not_have_are_405(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let ada = plaza.person();
    for (method, path, allow) in [
        (Method::PUT, "/posts", "GET, POST, HEAD"),
        (Method::DELETE, "/posts", "GET, POST, HEAD"),
        (Method::POST, "/posts/id/1", "DELETE, GET, HEAD"),
        // `GET /posts/{username}` of a name that nobody has is no method of it.
        (Method::PUT, "/posts/async", "POST"),
    ] {
        let reply = plaza.call_as(&ada, method, path, &Value::Null).await;
        reply.problem(405);
        assert_eq!(reply.header("allow"), allow, "{path}");
    }
    plaza.get("/posts/").await.expect(200);
}
