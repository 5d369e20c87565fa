//! Login, by every door; floods of it; old hashes.

use reqwest::Method;
use sea_orm::{ConnectionTrait as _, Database};
use serde_json::{Value, json};
use testkit::send;

use crate::helpers::{Backend, PASSWORD, get, log_in, person, post, start, store_flags, store_url};

crate::on_each_store![
    s0_02_answers_token_and_user_id,
    s1_02_answers_user_and_token,
    s2_15_takes_json_form_and_query,
    s3_07_answers_message_token_and_username,
    s3_08_refuses_a_wrong_password,
    s4_02_answers_a_bearer_token,
    s4_03_validates_a_token,
    s4_04_an_old_bcrypt_hash_is_replaced_at_login,
    d1_every_door_takes_email_or_username,
    s17_odd_logins_are_refused_and_nothing_breaks,
    d25_a_flood_of_logins_leaves_the_rest_alone,
    x17_a_query_login_leaves_no_trace_of_the_password,
];

async fn s0_02_answers_token_and_user_id(backend: Backend) {
    let users = start(backend).await;
    let person = person(&users).await;
    let reply = post(
        &users,
        "/api/users/login",
        &json!({"email": person.email, "password": PASSWORD}),
    )
    .await;
    let answer = reply.expect(200);
    assert_eq!(answer["user_id"], person.id);
    let token = answer["token"].as_str().unwrap();
    assert_eq!(
        get(&users, "/api/users/me", token).await.expect(200)["user_id"],
        person.id
    );
}

async fn s1_02_answers_user_and_token(backend: Backend) {
    let users = start(backend).await;
    let person = person(&users).await;
    let body = json!({"username": person.username, "password": PASSWORD});
    let reply = post(&users, "/users/login", &body).await;
    let answer = reply.expect(200);
    assert_eq!(answer["message"], "Login successful");
    assert_eq!(
        answer["user"],
        json!({"id": person.id, "username": person.username, "email": person.email})
    );
    assert_eq!(
        (&answer["token_type"], &answer["expires_in"]),
        (&json!("bearer"), &json!(3600))
    );
    assert!(answer["access_token"].is_string());
    let wrong = json!({"username": person.username, "password": "wrong password"});
    post(&users, "/users/login", &wrong).await.problem(401);
}

async fn s2_15_takes_json_form_and_query(backend: Backend) {
    let users = start(backend).await;
    let person = person(&users).await;
    let fields = [
        ("username", person.username.as_str()),
        ("password", PASSWORD),
    ];
    let as_json = users
        .request(Method::POST, "/login")
        .json(&json!({"username": person.username, "password": PASSWORD}));
    let as_form = users
        .request(Method::POST, "/login")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!(
            "username={}&password={}",
            person.username,
            PASSWORD.replace(' ', "+")
        ));
    let as_query = users.request(Method::POST, "/login").query(&fields);
    for request in [as_json, as_form, as_query] {
        let reply = send(request).await;
        assert_eq!(reply.expect(200)["token_type"], "bearer");
        assert!(reply.json["access_token"].is_string() && reply.json["expires_in"].is_i64());
    }
}

async fn s3_07_answers_message_token_and_username(backend: Backend) {
    let users = start(backend).await;
    let person = person(&users).await;
    let reply = post(
        &users,
        "/api/auth/login",
        &json!({"email": person.email, "password": PASSWORD}),
    )
    .await;
    let answer = reply.expect(200);
    assert_eq!(
        (&answer["message"], &answer["user"]),
        (&json!("Login successful"), &json!(person.username))
    );
    assert!(answer["access_token"].is_string());
}

async fn s3_08_refuses_a_wrong_password(backend: Backend) {
    let users = start(backend).await;
    let person = person(&users).await;
    for email in [person.email.as_str(), "nobody@example.com"] {
        let body = json!({"email": email, "password": "wrong password"});
        let reply = post(&users, "/api/auth/login", &body).await;
        assert_eq!(reply.problem(401), "Invalid email or password");
        assert!(reply.header("www-authenticate").starts_with("Bearer"));
    }
}

async fn s4_02_answers_a_bearer_token(backend: Backend) {
    let users = start(backend).await;
    let person = person(&users).await;
    let body = json!({"username": person.username, "password": PASSWORD});
    assert_eq!(
        post(&users, "/auth/login", &body).await.expect(200)["token_type"],
        "bearer"
    );
}

async fn s4_03_validates_a_token(backend: Backend) {
    let users = start(backend).await;
    let person = person(&users).await;
    let reply = get(&users, "/auth/validate", &person.token).await;
    let answer = reply.expect(200);
    assert_eq!(
        (&answer["valid"], &answer["user_id"], &answer["username"]),
        (&json!(true), &json!(person.id), &json!(person.username))
    );
    assert!(answer["exp"].is_i64());
    get(&users, "/auth/validate", "").await.problem(401);
    get(&users, "/auth/validate", "x.y.z").await.problem(401);
}

async fn s4_04_an_old_bcrypt_hash_is_replaced_at_login(backend: Backend) {
    let store = store_flags(backend).await;
    let mut flags = vec!["--upstream-urls", crate::helpers::NOBODY];
    flags.extend(store.iter().map(String::as_str));
    let users = testkit::TestService::<users::Users>::start(&flags).await;
    let person = person(&users).await;
    let rows = Database::connect(store_url(&users, &store)).await.unwrap();
    let old = bcrypt_of(PASSWORD);
    let set = format!(
        "UPDATE users SET password_hash = '{old}' WHERE id = {}",
        person.id
    );
    rows.execute_unprepared(&set).await.unwrap();
    log_in(&users, &person.username).await;
    let left = format!(
        "SELECT 1 FROM users WHERE password_hash LIKE '$argon2id$%' AND id = {}",
        person.id
    );
    let replaced = rows
        .query_all_raw(sea_orm::Statement::from_string(
            rows.get_database_backend(),
            left,
        ))
        .await
        .unwrap();
    assert_eq!(replaced.len(), 1, "the old hash is gone");
    log_in(&users, &person.username).await;
}

fn bcrypt_of(password: &str) -> String {
    bcrypt::hash(password, 4).unwrap()
}

async fn d1_every_door_takes_email_or_username(backend: Backend) {
    let users = start(backend).await;
    let person = person(&users).await;
    for door in [
        "/api/users/login",
        "/users/login",
        "/login",
        "/api/auth/login",
        "/auth/login",
    ] {
        let both =
            json!({"email": person.email, "username": person.username, "password": PASSWORD});
        post(&users, door, &both).await.expect(200);
        for key in ["email", "username"] {
            for login in [&person.email, &person.username] {
                let reply = post(&users, door, &json!({key: login, "password": PASSWORD})).await;
                assert_eq!(reply.status, 200, "{door} {key} {login}: {}", reply.text);
            }
        }
    }
}

async fn s17_odd_logins_are_refused_and_nothing_breaks(backend: Backend) {
    let users = start(backend).await;
    let person = person(&users).await;
    let huge = "x".repeat(40_000);
    for (username, password) in [
        (person.username.as_str(), huge.as_str()),
        ("a\0b", PASSWORD),
        ("' OR 1=1 --", PASSWORD),
        ("", ""),
    ] {
        post(
            &users,
            "/login",
            &json!({"username": username, "password": password}),
        )
        .await
        .problem(401);
    }
    for body in [
        json!({"username": {"$ne": null}, "password": PASSWORD}),
        json!({"username": person.username}),
        json!([]),
        json!("x"),
    ] {
        post(&users, "/login", &body).await.problem(422);
    }
    let nothing = post(&users, "/login", &Value::Null).await;
    nothing.problem(422);
    assert_eq!(nothing.json["errors"][0]["pointer"], "/password");
}

async fn x17_a_query_login_leaves_no_trace_of_the_password(backend: Backend) {
    let users = start(backend).await;
    let person = person(&users).await;
    let reply = send(users.request(Method::POST, "/login").query(&[
        ("username", person.username.as_str()),
        ("password", "canary-secret"),
    ]))
    .await;
    reply.problem(401);
    let metrics = reqwest::get(format!("http://{}/metrics", users.admin))
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        metrics.contains("route=\"/login\"") && !metrics.contains("canary"),
        "{metrics}"
    );
}

async fn d25_a_flood_of_logins_leaves_the_rest_alone(backend: Backend) {
    let users = std::sync::Arc::new(start(backend).await);
    let username = person(&users).await.username;
    let flood: Vec<_> = (0..150)
        .map(|_| {
            let (users, username) = (std::sync::Arc::clone(&users), username.clone());
            tokio::spawn(async move {
                let body = json!({"username": username, "password": PASSWORD});
                post(&users, "/login", &body).await.status
            })
        })
        .collect();
    let path = format!("/users/{username}");
    for _ in 0..30 {
        get(&users, &path, "").await.expect(200);
    }
    let waiting = flood.iter().filter(|login| !login.is_finished()).count();
    assert!(
        waiting > 0,
        "thirty reads took longer than every login before them"
    );
    let mut refused = 0;
    for login in flood {
        match login.await.unwrap() {
            200 => {}
            429 | 503 => refused += 1,
            other => panic!("a login was answered {other}"),
        }
    }
    assert!(refused > 0, "the queue has an end");
}
