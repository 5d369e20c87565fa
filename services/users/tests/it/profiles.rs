//! Profiles and the status of the store.

use reqwest::Method;
use serde_json::json;

use crate::helpers::{Backend, get, person, start};

crate::on_each_store![
    s0_03_shows_ones_own_profile,
    s0_04_changes_ones_own_profile_and_nothing_else,
    s0_04_a_picture_has_an_address_on_the_web,
    s0_05_shows_a_profile_by_number,
    s2_16_shows_a_profile_by_name,
    s3_01_says_that_the_database_is_connected,
    s3_02_says_when_it_is_not,
    d5_an_address_is_for_signed_in_people_only,
    d9_a_profile_is_shown_while_discussions_is_down,
];

async fn s0_03_shows_ones_own_profile(backend: Backend) {
    let users = start(backend).await;
    let person = person(&users).await;
    let reply = get(&users, "/api/users/me", &person.token).await;
    let answer = reply.expect(200);
    assert_eq!(answer["user_id"], person.id);
    assert_eq!(answer["name"], person.username);
    assert_eq!(answer["email"], person.email);
    assert_eq!(answer["profile"], json!({"bio": "", "avatar_url": ""}));
    get(&users, "/api/users/me", "").await.problem(401);
}

async fn s0_04_changes_ones_own_profile_and_nothing_else(backend: Backend) {
    let users = start(backend).await;
    let person = person(&users).await;
    let change = json!({
        "name": "Ada L.", "bio": "Countess", "avatar_url": "https://example.com/a.png",
        "id": 1, "user_id": 1, "role": "admin", "username": "root", "email": "x@example.com", "password_hash": "x",
    });
    let reply = users
        .call(Method::PUT, "/api/users/me", &person.token, &change)
        .await;
    assert_eq!(
        reply.expect(200),
        &json!({"message": "Profile updated successfully."})
    );
    let reply = get(&users, "/api/users/me", &person.token).await;
    let answer = reply.expect(200);
    assert_eq!(answer["name"], "Ada L.");
    assert_eq!(
        answer["profile"],
        json!({"bio": "Countess", "avatar_url": "https://example.com/a.png"})
    );
    assert_eq!(
        (&answer["user_id"], &answer["email"]),
        (&json!(person.id), &json!(person.email))
    );
    assert_eq!(answer["username"], json!(person.username));
    assert!(answer.get("role").is_none());
    users
        .call(
            Method::PUT,
            "/api/users/me",
            &person.token,
            &json!({"bio": "Less"}),
        )
        .await
        .expect(200);
    let answer = get(&users, "/api/users/me", &person.token).await.json;
    assert_eq!(
        (&answer["name"], &answer["profile"]["bio"]),
        (&json!("Ada L."), &json!("Less"))
    );
    users
        .call(Method::PUT, "/api/users/me", "", &change)
        .await
        .problem(401);
}

async fn s0_04_a_picture_has_an_address_on_the_web(backend: Backend) {
    let users = start(backend).await;
    let person = person(&users).await;
    let put = async |url: &str| {
        let body = json!({"avatar_url": url});
        let path = "/api/users/me";
        users.call(Method::PUT, path, &person.token, &body).await
    };
    for relative in ["avatar", "/static/a.png", "//cdn.example.com/a.png", ""] {
        put(relative).await.expect(200);
        let me = get(&users, "/api/users/me", &person.token).await;
        assert_eq!(me.json["profile"]["avatar_url"], relative);
    }
    for bad in [
        "javascript:alert(1)",
        "data:image/png;base64,AA",
        "\tjavascript:alert(1)",
        "https://ada:secret@example.com/a.png",
        "//ada@example.com/a.png",
        "/\\example.com/a.png",
    ] {
        put(bad).await.problem(422);
    }
}

async fn s0_05_shows_a_profile_by_number(backend: Backend) {
    let users = start(backend).await;
    let (person, reader) = (person(&users).await, person(&users).await);
    let reply = get(&users, &format!("/api/users/{}", person.id), &reader.token).await;
    assert_eq!(reply.expect(200)["email"], person.email);
    for missing in ["0", "999999999", "9223372036854775807"] {
        get(&users, &format!("/api/users/{missing}"), "")
            .await
            .problem(404);
    }
    for no_number in ["-1", "1e3", "99999999999999999999", "x", "%00", "1%2f2"] {
        get(&users, &format!("/api/users/{no_number}"), "")
            .await
            .problem(404);
    }
}

async fn s2_16_shows_a_profile_by_name(backend: Backend) {
    let users = start(backend).await;
    let person = person(&users).await;
    let reply = get(
        &users,
        &format!("/users/{}", person.username),
        &person.token,
    )
    .await;
    let expected = json!({
        "user_id": person.id, "username": person.username, "email": person.email, "bio": "", "followers": 0, "followees": 0,
    });
    assert_eq!(reply.expect(200), &expected);
    for missing in ["nobody-here", "a%00b", "%27%20OR%201=1"] {
        get(&users, &format!("/users/{missing}"), "")
            .await
            .problem(404);
    }
}

async fn s3_01_says_that_the_database_is_connected(backend: Backend) {
    let users = start(backend).await;
    let reply = get(&users, "/api/auth/status", "").await;
    assert_eq!(
        reply.expect(200),
        &json!({"status": "OK", "database": "Connected"})
    );
}

async fn s3_02_says_when_it_is_not(backend: Backend) {
    use chassis::Service as _;
    let users = start(backend).await;
    users.service.close().await;
    let reply = get(&users, "/api/auth/status", "").await;
    let answer = reply.expect(500);
    assert_eq!(
        (&answer["status"], &answer["database"]),
        (&json!("ERROR"), &json!("Not connected"))
    );
    assert!(answer["error"].is_string());
}

async fn d5_an_address_is_for_signed_in_people_only(backend: Backend) {
    let users = start(backend).await;
    let person = person(&users).await;
    for path in [
        format!("/api/users/{}", person.id),
        format!("/users/{}", person.username),
    ] {
        let stranger = get(&users, &path, "").await;
        assert!(!stranger.text.contains(&person.email), "{}", stranger.text);
        get(&users, &path, "not.a.token").await.problem(401);
    }
}

async fn d9_a_profile_is_shown_while_discussions_is_down(backend: Backend) {
    let users = start(backend).await;
    let person = person(&users).await;
    let reply = get(&users, "/api/users/me", &person.token).await;
    assert!(reply.expect(200).get("post_count").is_none());
}
