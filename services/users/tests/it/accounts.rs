//! Registration, by every door.

use sea_orm::{ConnectionTrait as _, Database, Statement};
use serde_json::json;
use testkit::{TestService, unique};

use crate::helpers::{Backend, NOBODY, PASSWORD, get, person, post, start, store_flags, store_url};

crate::on_each_store![
    s0_01_registers_by_name_and_email,
    s1_01_answers_the_user,
    s1_06_an_account_is_a_row_with_the_members_of_s1,
    s4_16_credentials_are_in_the_relational_store,
    s1_22_a_password_is_kept_as_its_hash_alone,
    s2_14_answers_the_account_flat,
    s3_05_answers_a_message_only,
    s3_06_refuses_a_taken_username,
    s4_01_registers_as_s1_does,
    d1_a_username_is_derived_and_numbered_when_taken,
    d1_names_are_compared_without_case,
    d5_s3_refusals_are_400,
    x01_racing_registrations_make_one_account,
];

async fn s0_01_registers_by_name_and_email(backend: Backend) {
    let users = start(backend).await;
    let body = json!({"name": "Ada", "email": "ada@example.com", "password": PASSWORD});
    let reply = post(&users, "/api/users/register", &body).await;
    let answer = reply.expect(201);
    assert_eq!(answer["message"], "User registered successfully.");
    assert!(answer["user_id"].as_i64().unwrap() > 0);
}

async fn s1_01_answers_the_user(backend: Backend) {
    let users = start(backend).await;
    let body = json!({"username": "exampleUser", "email": "user@example.com", "password": "securepassword"});
    let reply = post(&users, "/users/register", &body).await;
    let answer = reply.expect(201);
    assert_eq!(answer["message"], "User registered successfully");
    assert_eq!(answer["user"]["username"], "exampleUser");
    assert_eq!(answer["user"]["email"], "user@example.com");
    assert!(answer["user"]["id"].is_i64());
    assert!(!reply.text.contains("password"), "{}", reply.text);
}

/// Members of the only account that there is, as they are stored.
async fn row(backend: Backend, password: &str) -> [String; 3] {
    let store = store_flags(backend).await;
    let mut flags = vec!["--upstream-urls", NOBODY];
    flags.extend(store.iter().map(String::as_str));
    let users = TestService::start(&flags).await;
    let body = json!({"username": "Ada", "email": "ada@example.com", "password": password});
    post(&users, "/users/register", &body).await.expect(201);
    let connection = Database::connect(store_url(&users, &store)).await.unwrap();
    let sql = "SELECT username, email, password_hash FROM users";
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    let row = connection.query_one_raw(statement).await.unwrap().unwrap();
    ["username", "email", "password_hash"].map(|column| row.try_get("", column).unwrap())
}

async fn s4_16_credentials_are_in_the_relational_store(backend: Backend) {
    let [username, _, hash] = row(backend, PASSWORD).await;
    assert!(!username.is_empty() && !hash.is_empty());
}

async fn s1_06_an_account_is_a_row_with_the_members_of_s1(backend: Backend) {
    let [username, email, _] = row(backend, PASSWORD).await;
    assert_eq!(
        (username.as_str(), email.as_str()),
        ("Ada", "ada@example.com")
    );
}

async fn s1_22_a_password_is_kept_as_its_hash_alone(backend: Backend) {
    let [_, _, hash] = row(backend, "canary canary").await;
    assert!(
        hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
        "{hash}"
    );
    assert!(!hash.contains("canary"));
}

async fn s2_14_answers_the_account_flat(backend: Backend) {
    let users = start(backend).await;
    let body = json!({"username": "grace", "email": "g@example.com", "password": PASSWORD, "bio": "Admiral"});
    let reply = post(&users, "/register", &body).await;
    let answer = reply.expect(201);
    for (member, value) in [
        ("username", "grace"),
        ("email", "g@example.com"),
        ("bio", "Admiral"),
    ] {
        assert_eq!(answer[member], value);
    }
    assert!(answer["user_id"].is_i64() && answer["message"].is_string());
}

async fn s3_05_answers_a_message_only(backend: Backend) {
    let users = start(backend).await;
    let body = json!({"username": "linus", "email": "l@example.com", "password": PASSWORD, "confirm_password": PASSWORD});
    let reply = post(&users, "/api/auth/register", &body).await;
    assert_eq!(
        reply.expect(201),
        &json!({"message": "User registered successfully"})
    );
}

async fn s3_06_refuses_a_taken_username(backend: Backend) {
    let users = start(backend).await;
    let person = person(&users).await;
    let body = json!({"username": person.username, "email": "new@example.com", "password": PASSWORD, "confirm_password": PASSWORD});
    assert_eq!(
        post(&users, "/api/auth/register", &body).await.problem(400),
        "Username already exists"
    );
}

async fn s4_01_registers_as_s1_does(backend: Backend) {
    let users = start(backend).await;
    let body = json!({"username": "barbara", "email": "b@example.com", "password": PASSWORD});
    assert_eq!(
        post(&users, "/auth/register", &body).await.expect(201)["user"]["username"],
        "barbara"
    );
}

async fn d1_a_username_is_derived_and_numbered_when_taken(backend: Backend) {
    let users = start(backend).await;
    let mut names = Vec::new();
    for host in ["a.example", "b.example", "c.example"] {
        let body = json!({"name": "Ada", "email": format!("ada@{host}"), "password": PASSWORD});
        let id = post(&users, "/api/users/register", &body).await.expect(201)["user_id"].clone();
        let profile = get(&users, &format!("/api/users/{id}"), "").await;
        names.push(profile.expect(200)["username"].as_str().unwrap().to_owned());
    }
    assert_eq!(names[0], "ada");
    assert!(
        names[1].starts_with("ada") && names[1] != "ada" && names[1] != names[2],
        "{names:?}"
    );
}

async fn d1_names_are_compared_without_case(backend: Backend) {
    let users = start(backend).await;
    let person = person(&users).await;
    let taken = |username: String, email: String| json!({"username": username, "email": email, "password": PASSWORD});
    let by_name = taken(person.username.to_uppercase(), "other@example.com".into());
    assert_eq!(
        post(&users, "/register", &by_name).await.problem(400),
        "Username already exists"
    );
    let by_email = taken(unique("q"), person.email.to_uppercase());
    assert_eq!(
        post(&users, "/register", &by_email).await.problem(400),
        "Email already exists"
    );
    // Only the microblog's door says 400, as its source does.
    for door in ["/users/register", "/auth/register"] {
        post(&users, door, &by_name).await.problem(409);
        post(&users, door, &by_email).await.problem(409);
    }
    assert_eq!(
        get(
            &users,
            &format!("/users/{}", person.username.to_uppercase()),
            ""
        )
        .await
        .status,
        200
    );
}

async fn d5_s3_refusals_are_400(backend: Backend) {
    let users = start(backend).await;
    let person = person(&users).await;
    let body = json!({"username": unique("q"), "email": "x@example.com", "password": PASSWORD, "confirm_password": "another one"});
    assert_eq!(
        post(&users, "/api/auth/register", &body).await.problem(400),
        "Passwords do not match"
    );
    let body = json!({"username": unique("q"), "email": person.email, "password": PASSWORD, "confirm_password": PASSWORD});
    assert_eq!(
        post(&users, "/api/auth/register", &body).await.problem(400),
        "Email already exists"
    );
}

async fn x01_racing_registrations_make_one_account(backend: Backend) {
    let users = start(backend).await;
    let body = json!({"username": "racer", "email": "racer@example.com", "password": PASSWORD});
    let (a, b, c) = tokio::join!(
        post(&users, "/register", &body),
        post(&users, "/users/register", &body),
        post(&users, "/auth/register", &body)
    );
    let doors = [(a.status, 400), (b.status, 409), (c.status, 409)];
    let made = doors.iter().filter(|(status, _)| *status == 201).count();
    assert_eq!(made, 1, "{doors:?}");
    for (status, taken) in doors {
        assert!(status == 201 || status == taken, "{doors:?}");
    }
}
