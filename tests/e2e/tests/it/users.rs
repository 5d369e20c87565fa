//! Claim: every row of the contracts that `users` answers holds through the ingress.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Mesh, mesh::PASSWORD, send, unique};

/// Registers by `path` and gives the answer.
async fn register(path: &str, body: &Value) -> Value {
    Mesh::current()
        .call(Method::POST, path, "", body)
        .await
        .expect(201)
        .clone()
}

fn newcomer() -> (String, Value) {
    let username = unique("n");
    let body = json!({
        "name": "New Comer", "username": username, "email": format!("{username}@example.com"),
        "password": PASSWORD, "confirm_password": PASSWORD, "bio": "new",
    });
    (username, body)
}

#[tokio::test]
async fn s0_01_register() {
    let (_, mut body) = newcomer();
    body.as_object_mut().unwrap().remove("username");
    let answer = register("/api/users/register", &body).await;
    assert_eq!(answer["message"], "User registered successfully.");
    assert!(answer["user_id"].is_i64());
}

#[tokio::test]
async fn s0_02_login() {
    let mesh = Mesh::current();
    let person = mesh.person().await;
    let body = json!({"email": person.email, "password": PASSWORD});
    let reply = mesh.call(Method::POST, "/api/users/login", "", &body).await;
    assert_eq!(reply.expect(200)["user_id"], person.id);
    assert!(reply.json["token"].is_string());
}

#[tokio::test]
async fn s0_03_own_profile() {
    let mesh = Mesh::current();
    let person = mesh.person().await;
    let reply = mesh
        .call(Method::GET, "/api/users/me", &person.token, &Value::Null)
        .await;
    let answer = reply.expect(200);
    assert_eq!(
        (&answer["user_id"], &answer["email"]),
        (&json!(person.id), &json!(person.email))
    );
    assert_eq!(answer["profile"], json!({"bio": "", "avatar_url": ""}));
}

#[tokio::test]
async fn s0_04_update_own_profile() {
    let mesh = Mesh::current();
    let person = mesh.person().await;
    let change =
        json!({"name": "Ada", "bio": "Countess", "avatar_url": "https://example.com/a.png"});
    let reply = mesh
        .call(Method::PUT, "/api/users/me", &person.token, &change)
        .await;
    assert_eq!(
        reply.expect(200)["message"],
        "Profile updated successfully."
    );
    let profile = mesh.get(&format!("/api/users/{}", person.id)).await;
    assert_eq!(profile.expect(200)["profile"]["bio"], "Countess");
}

#[tokio::test]
async fn s0_05_profile_by_id() {
    let mesh = Mesh::current();
    let (person, reader) = (mesh.person().await, mesh.person().await);
    let path = format!("/api/users/{}", person.id);
    let reply = mesh
        .call(Method::GET, &path, &reader.token, &Value::Null)
        .await;
    assert_eq!(reply.expect(200)["email"], person.email);
    assert!(
        mesh.get(&path).await.expect(200).get("email").is_none(),
        "D5"
    );
    mesh.get("/api/users/999999999").await.problem(404);
}

#[tokio::test]
async fn s1_01_register() {
    let (username, body) = newcomer();
    let answer = register("/users/register", &body).await;
    assert_eq!(answer["message"], "User registered successfully");
    assert_eq!(answer["user"]["username"], username);
}

#[tokio::test]
async fn s1_02_login() {
    let mesh = Mesh::current();
    let person = mesh.person().await;
    let body = json!({"username": person.username, "password": PASSWORD});
    let reply = mesh.call(Method::POST, "/users/login", "", &body).await;
    assert_eq!(reply.expect(200)["user"]["id"], person.id);
    let wrong = json!({"username": person.username, "password": "wrong password"});
    mesh.call(Method::POST, "/users/login", "", &wrong)
        .await
        .problem(401);
}

#[tokio::test]
async fn s2_14_register() {
    let (username, body) = newcomer();
    let answer = register("/register", &body).await;
    assert_eq!(
        (&answer["username"], &answer["bio"]),
        (&json!(username), &json!("new"))
    );
    assert!(answer["user_id"].is_i64() && answer["message"].is_string());
}

#[tokio::test]
async fn s2_15_login_by_json_form_and_query() {
    let mesh = Mesh::current();
    let person = mesh.person().await;
    let post = || mesh.request(Method::POST, "/login");
    let form = format!(
        "username={}&password={}",
        person.username,
        PASSWORD.replace(' ', "+")
    );
    let requests = [
        post().json(&json!({"username": person.username, "password": PASSWORD})),
        post()
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form),
        post().query(&[
            ("username", person.username.as_str()),
            ("password", PASSWORD),
        ]),
    ];
    for request in requests {
        assert_eq!(send(request).await.expect(200)["token_type"], "bearer");
    }
}

#[tokio::test]
async fn s2_16_profile_by_username() {
    let mesh = Mesh::current();
    let person = mesh.person().await;
    let reply = mesh.get(&format!("/users/{}", person.username)).await;
    let answer = reply.expect(200);
    assert_eq!(
        (&answer["followers"], &answer["followees"]),
        (&json!(0), &json!(0))
    );
}

#[tokio::test]
async fn s2_17_to_s2_19_follow_unfollow_and_lists() {
    let mesh = Mesh::current();
    let (ada, grace) = (mesh.person().await, mesh.person().await);
    let act = |verb: &'static str| {
        let path = format!("/users/{verb}/{}", grace.username);
        let token = ada.token.clone();
        async move {
            mesh.call(Method::POST, &path, &token, &Value::Null)
                .await
                .expect(200)["status"]
                .clone()
        }
    };
    assert_eq!(act("follow").await, "ok");
    assert_eq!(act("follow").await, "already_following");
    let followees = mesh
        .get(&format!("/users/{}/followees", ada.username))
        .await;
    assert_eq!(
        followees.expect(200)["followees"],
        json!([{"user_id": grace.id, "username": grace.username}])
    );
    let followers = mesh
        .get(&format!("/users/{}/followers", grace.username))
        .await;
    assert_eq!(
        followers.expect(200)["followers"],
        json!([{"user_id": ada.id, "username": ada.username}])
    );
    assert_eq!(act("unfollow").await, "ok");
    assert_eq!(act("unfollow").await, "not_following");
    mesh.call(
        Method::POST,
        &format!("/users/follow/{}", grace.username),
        "",
        &Value::Null,
    )
    .await
    .problem(401);
}

#[tokio::test]
async fn s3_01_status_asks_the_database() {
    let reply = Mesh::current().get("/api/auth/status").await;
    assert_eq!(
        reply.expect(200),
        &json!({"status": "OK", "database": "Connected"})
    );
}

#[tokio::test]
async fn s3_05_and_s3_06_register() {
    let mesh = Mesh::current();
    let (_, body) = newcomer();
    assert_eq!(
        register("/api/auth/register", &body).await,
        json!({"message": "User registered successfully"})
    );
    let again = mesh
        .call(Method::POST, "/api/auth/register", "", &body)
        .await;
    assert_eq!(again.problem(400), "Username already exists");
}

#[tokio::test]
async fn s3_07_and_s3_08_login() {
    let mesh = Mesh::current();
    let person = mesh.person().await;
    let attempt = |password: &'static str| {
        let body = json!({"email": person.email, "password": password});
        async move { mesh.call(Method::POST, "/api/auth/login", "", &body).await }
    };
    let reply = attempt(PASSWORD).await;
    assert_eq!(
        (&reply.expect(200)["message"], &reply.json["user"]),
        (&json!("Login successful"), &json!(person.username))
    );
    assert_eq!(
        attempt("wrong password").await.problem(401),
        "Invalid email or password"
    );
}

#[tokio::test]
async fn s4_01_to_s4_03_register_login_validate() {
    let mesh = Mesh::current();
    let (username, body) = newcomer();
    register("/auth/register", &body).await;
    let login = json!({"username": username, "password": PASSWORD});
    let reply = mesh.call(Method::POST, "/auth/login", "", &login).await;
    let token = reply.expect(200)["access_token"].as_str().unwrap();
    let valid = mesh
        .call(Method::GET, "/auth/validate", token, &Value::Null)
        .await;
    assert_eq!(
        (&valid.expect(200)["valid"], &valid.json["username"]),
        (&json!(true), &json!(username))
    );
    mesh.call(Method::GET, "/auth/validate", "a.b.c", &Value::Null)
        .await
        .problem(401);
}

#[tokio::test]
async fn d2_the_keys_are_served() {
    let reply = Mesh::current().get("/.well-known/jwks.json").await;
    assert_eq!(reply.expect(200)["keys"][0]["alg"], "EdDSA");
}

#[tokio::test]
async fn s17_failed_logins_are_limited_by_account_whatever_address_is_claimed() {
    let mesh = Mesh::current();
    let person = mesh.person().await;
    let body = json!({"username": person.username, "password": "wrong password"});
    let mut statuses = Vec::new();
    for attempt in 0..12 {
        let claimed = format!("203.0.113.{attempt}");
        let request = mesh
            .request(Method::POST, "/login")
            .header("x-forwarded-for", claimed);
        let reply = send(request.json(&body)).await;
        if reply.status == 429 {
            assert!(!reply.header("retry-after").is_empty());
        }
        statuses.push(reply.status);
    }
    assert_eq!((statuses[0], statuses[11]), (401, 429), "{statuses:?}");
}
