use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Reply, send};

use crate::{
    helpers::{ANNA, Backend, Plaza, post},
    on_each_store,
};

on_each_store!(
    d4_broken_bodies_are_told_apart,
    d4_other_methods_are_405_with_allow,
    d4_ids_that_are_none_are_404,
    d7_forged_cursors_and_limits_are_400,
    s10_operators_in_json_are_refused,
    s10_operators_in_the_query_are_values,
    s13_texts_have_bounds,
    s13_hostile_json_is_refused,
);

async fn raw(plaza: &Plaza, path: &str, kind: &str, body: impl Into<reqwest::Body>) -> Reply {
    let request = plaza
        .service
        .request(Method::POST, path)
        .bearer_auth(plaza.token(ANNA));
    send(request.header("content-type", kind).body(body)).await
}

async fn d4_broken_bodies_are_told_apart(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let id = plaza.written(ANNA, &post("Best car")).await;
    let comments = format!("/api/posts/{id}/comments");
    for path in ["/api/posts", &comments] {
        for broken in ["", "{", "[", "nonsense", "{\"title\":}", "\u{feff}"] {
            raw(&plaza, path, "application/json", broken)
                .await
                .problem(400);
        }
        for kind in [
            "text/plain",
            "application/xml",
            "application/x-www-form-urlencoded",
        ] {
            raw(&plaza, path, kind, "{}").await.problem(415);
        }
        for shape in ["{}", "[]", "null", "1", "\"x\""] {
            raw(&plaza, path, "application/json", shape)
                .await
                .problem(422);
        }
        let large = format!("{{\"title\":\"{}\"}}", "x".repeat(512 * 1024));
        raw(&plaza, path, "application/json", large)
            .await
            .problem(413);
    }
    for missing in ["title", "content", "car_model"] {
        let mut body = post("Best car");
        body.as_object_mut().unwrap().remove(missing);
        let refused = plaza.post_as(ANNA, "/api/posts", &body).await;
        assert!(refused.problem(422).contains(missing), "{}", refused.text);
        let refused = plaza.put_as(ANNA, &format!("/api/posts/{id}"), &body).await;
        assert!(refused.problem(422).contains(missing), "{}", refused.text);
    }
}

async fn d4_other_methods_are_405_with_allow(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    for (method, path, allow) in [
        (Method::DELETE, "/api/posts", "GET, POST, HEAD"),
        (Method::POST, "/api/posts/x", "DELETE, GET, PUT, HEAD"),
        (Method::DELETE, "/api/posts/x/comments", "GET, POST, HEAD"),
        (Method::GET, "/api/posts/x/comments/y", "DELETE, PUT"),
        (Method::GET, "/api/topics/x/subscription", "DELETE, PUT"),
        (Method::POST, "/api/users/me/subscriptions", "GET, HEAD"),
    ] {
        let refused = plaza
            .service
            .call(method.clone(), path, "", &Value::Null)
            .await;
        refused.problem(405);
        assert_eq!(refused.header("allow"), allow, "{method} {path}");
    }
}

async fn d4_ids_that_are_none_are_404(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let id = plaza.written(ANNA, &post("Best car")).await;
    plaza.commented(ANNA, &id, "Nice").await;
    let upper = id.to_uppercase();
    let odd = [
        "x",
        "0",
        "-1",
        "%00",
        "$ne",
        "%7B%22$ne%22%3Anull%7D",
        "a%2Fb",
        "%FF",
        "*",
    ];
    for bad in odd.into_iter().chain([upper.as_str(), &"9".repeat(3_000)]) {
        let path = format!("/api/posts/{bad}");
        let comment = format!("/api/posts/{id}/comments/{bad}");
        assert_eq!(
            plaza.get(&path).await.problem(404),
            "Post not found",
            "{bad}"
        );
        plaza.put_as(ANNA, &path, &post("x")).await.problem(404);
        plaza.delete_as(ANNA, &path).await.problem(404);
        plaza.get(&format!("{path}/comments")).await.problem(404);
        plaza
            .put_as(ANNA, &comment, &json!({ "comment_text": "x" }))
            .await
            .problem(404);
        plaza.delete_as(ANNA, &comment).await.problem(404);
    }
    for number in [
        "0",
        "2",
        "01",
        "-1",
        "18446744073709551615",
        "18446744073709551616",
    ] {
        plaza
            .delete_as(ANNA, &format!("/api/posts/{id}/comments/{id}.{number}"))
            .await
            .problem(404);
    }
}

async fn d7_forged_cursors_and_limits_are_400(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let id = plaza.written(ANNA, &post("Best car")).await;
    let comments = format!("/api/posts/{id}/comments");
    for path in ["/api/posts", &comments, "/api/users/me/subscriptions"] {
        // The last three are `{"$gt":""}`, `[]` and `"x"`, as our own cursors are written.
        for cursor in ["x", "%00", "eyIkZ3QiOiIifQ", "W10", "Ingi"] {
            plaza
                .get_as(ANNA, &format!("{path}?cursor={cursor}"))
                .await
                .problem(400);
        }
        for limit in ["0", "-1", "x", "1.5", "%00"] {
            plaza
                .get_as(ANNA, &format!("{path}?limit={limit}"))
                .await
                .problem(400);
        }
        plaza
            .get_as(ANNA, &format!("{path}?limit=4000000000"))
            .await
            .expect(200);
    }
    // Places that no discussion has: `0` and the largest number.
    for cursor in ["MA", "MTg0NDY3NDQwNzM3MDk1NTE2MTU"] {
        plaza
            .get(&format!("{comments}?cursor={cursor}"))
            .await
            .expect(200);
    }
}

async fn s10_operators_in_json_are_refused(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let path = format!(
        "/api/posts/{}",
        plaza.written(ANNA, &post("Best car")).await
    );
    let comments = format!("{path}/comments");
    for operator in [
        json!({ "$ne": null }),
        json!({ "$gt": "" }),
        json!({ "$where": "1" }),
        json!([]),
        json!(["x"]),
    ] {
        for member in ["title", "content", "car_model", "user_id", "kind", "rating"] {
            let mut body = post("Best car");
            body[member] = operator.clone();
            plaza.post_as(ANNA, "/api/posts", &body).await.problem(422);
        }
        for member in ["title", "content", "car_model", "kind", "rating"] {
            let mut body = post("Best car");
            body[member] = operator.clone();
            plaza.put_as(ANNA, &path, &body).await.problem(422);
        }
        plaza
            .post_as(ANNA, &comments, &json!({ "comment_text": operator }))
            .await
            .problem(422);
    }
    // As text an operator is only text.
    let mut body = post("{\"$ne\":null}");
    body["car_model"] = "$where: sleep(1)".into();
    plaza.written(ANNA, &body).await;
    let found = plaza
        .listed("/api/posts?car_model=%24where%3A%20sleep(1)", "title")
        .await;
    assert_eq!(found, ["{\"$ne\":null}"]);
}

async fn s10_operators_in_the_query_are_values(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    plaza.written(ANNA, &post("Best car")).await;
    for none in [
        "car_model=%7B%22%24ne%22%3Anull%7D",
        "car_model=.*",
        "car_model=%24ne",
    ] {
        assert_eq!(
            plaza.listed(&format!("/api/posts?{none}"), "title").await,
            [""; 0],
            "{none}"
        );
    }
    for bad in [
        "user_id=%7B%22%24ne%22%3A1%7D",
        "user_id=x",
        "user_id=1%20or%201",
        "kind=%7B%22%24ne%22%3Anull%7D",
        "car_model=%00",
    ] {
        plaza.get(&format!("/api/posts?{bad}")).await.problem(400);
    }
}

async fn s13_texts_have_bounds(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let path = format!(
        "/api/posts/{}/comments",
        plaza.written(ANNA, &post("Best car")).await
    );
    for (member, most) in [("title", 200), ("content", 10_000), ("car_model", 100)] {
        let mut body = post("Best car");
        body[member] = "ä".repeat(most).into();
        plaza.written(ANNA, &body).await;
        for bad in [
            "ä".repeat(most + 1),
            String::new(),
            "  \n ".into(),
            "a\0b".into(),
        ] {
            body[member] = bad.into();
            plaza.post_as(ANNA, "/api/posts", &body).await.problem(422);
        }
    }
    plaza
        .post_as(ANNA, &path, &json!({ "comment_text": "ä".repeat(2_000) }))
        .await
        .expect(201);
    for bad in ["ä".repeat(2_001), String::new(), " ".into(), "\0".into()] {
        plaza
            .post_as(ANNA, &path, &json!({ "comment_text": bad }))
            .await
            .problem(422);
    }
}

async fn s13_hostile_json_is_refused(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let with = |member: &str| {
        format!("{{\"title\":\"a\",\"content\":\"b\",\"car_model\":\"c\",{member}}}")
    };
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    for member in [
        &format!("\"rating\":{deep}"),
        "\"rating\":1e999",
        "\"kind\":\"\\ud800\"",
        "\"title\":\"twice\"",
        "\"user_id\":9223372036854775808",
        "\"user_id\":\"seven\"",
        "\"user_id\":true",
        "\"user_id\":7.5",
    ] {
        raw(&plaza, "/api/posts", "application/json", with(member))
            .await
            .problem(422);
    }
    let keys: Vec<String> = (0..5_000).map(|key| format!("\"k{key}\":0")).collect();
    let deep = with(&format!("\"x\":{deep}"));
    let deep = raw(&plaza, "/api/posts", "application/json", deep).await;
    deep.problem(422);
    let many = with(&keys.join(","));
    let many = raw(&plaza, "/api/posts", "application/json", many).await;
    many.expect(201);
    assert_eq!(plaza.listed("/api/posts", "title").await, ["a"]);
}
