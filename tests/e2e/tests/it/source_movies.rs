//! Claim: what the clients of the movie platform's source send is answered as its page says, through the ingress: the status
//! pages, registration to logout, a movie from its entry to its removal, the cached lists, and the rooms of the socket.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Mesh, Reply, eventually, mesh::Person, unique};

use crate::live::{Socket, bearer, heard, open, say};

async fn call(method: Method, path: &str, token: &str, body: &Value) -> Reply {
    Mesh::current().call(method, path, token, body).await
}

async fn post(path: &str, token: &str, body: &Value) -> Reply {
    call(Method::POST, path, token, body).await
}

fn message(text: &str) -> Value {
    json!({ "message": text })
}

#[tokio::test]
async fn both_services_say_whether_their_database_answers() {
    for path in ["/api/auth/status", "/api/movies/status"] {
        let status = Mesh::current().get(path).await;
        let expected = json!({ "status": "OK", "database": "Connected" });
        assert_eq!(status.expect(200), &expected, "{path}");
    }
}

#[tokio::test]
async fn somebody_registers_logs_in_and_logs_out() {
    let name = unique("viewer");
    let email = format!("{name}@example.com");
    let account = json!({
        "username": name, "email": email, "password": "securepassword",
        "confirm_password": "securepassword",
    });
    let registered = post("/api/auth/register", "", &account).await;
    assert_eq!(
        registered.expect(201),
        &message("User registered successfully")
    );
    let again = post("/api/auth/register", "", &account).await;
    assert_eq!(again.problem(400), "Username already exists");
    let mut typo = account.clone();
    typo["confirm_password"] = "securepasswort".into();
    let refused = post("/api/auth/register", "", &typo).await;
    assert_eq!(refused.problem(400), "Passwords do not match");

    let wrong = json!({ "email": email, "password": "wrong password" });
    let refused = post("/api/auth/login", "", &wrong).await;
    assert_eq!(refused.problem(401), "Invalid email or password");
    assert_eq!(refused.json["message"], "Invalid email or password");
    let login = json!({ "email": email, "password": "securepassword" });
    let entered = post("/api/auth/login", "", &login).await;
    let told = entered.expect(200);
    assert_eq!(
        (&told["message"], &told["user"]),
        (&json!("Login successful"), &json!(name))
    );
    let token = told["access_token"].as_str().unwrap();
    let left = post("/api/auth/logout", token, &Value::Null).await;
    assert_eq!(left.expect(200), &message("User logged out"));
    post("/api/auth/logout", token, &Value::Null)
        .await
        .problem(401);
}

#[tokio::test]
async fn a_movie_is_entered_found_changed_and_removed() {
    let mesh = Mesh::current();
    let ada = mesh.person().await;
    let title = unique("Arrival ");
    let mut movie = json!({
        "title": title, "description": "Visitors", "rating": 8.7, "genre": "Science",
        "poster_url": "https://example.com/a.png", "release_date": "2016-11-11",
    });
    post("/api/movies", "", &movie).await.problem(401);
    let entered = post("/api/movies", &ada.token, &movie).await;
    let id = entered.expect(201)["id"].as_i64().unwrap();
    assert_eq!(
        entered.json,
        json!({ "message": "Movie created", "id": id })
    );
    let path = format!("/api/movies/{id}");
    let shown = mesh.get(&path).await;
    for (member, value) in movie.as_object().unwrap() {
        assert_eq!(&shown.expect(200)[member], value, "{member}");
    }
    assert!(mesh.get("/api/movies").await.expect(200).is_array());

    let query = title.replace(' ', "+");
    let search =
        format!("/api/movies/search?title={query}&genre=science&min_rating=8&max_rating=9");
    let found = mesh.get(&search).await;
    assert_eq!(found.expect(200)["data"][0]["id"], id);
    eventually("the answer of the source, from the cache", || async {
        let again = mesh.get(&search).await;
        match again.expect(200)["message"].as_str() {
            Some("Results retrieved from cache") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert!(mesh.get("/api/movies/popular").await.expect(200)["data"].is_array());

    movie["rating"] = json!(9.1);
    let changed = call(Method::PUT, &path, &ada.token, &movie).await;
    assert_eq!(changed.expect(200), &message("Movie updated successfully"));
    let removed = call(Method::DELETE, &path, &ada.token, &Value::Null).await;
    assert_eq!(removed.expect(200), &message("Movie deleted successfully"));
    let gone = mesh.get(&path).await;
    assert_eq!(gone.problem(404), "Movie not found");
    assert_eq!(gone.json["message"], "Movie not found");
    let cleared = call(
        Method::DELETE,
        "/api/movies/cache/clear",
        &ada.token,
        &Value::Null,
    )
    .await;
    assert_eq!(
        cleared.expect(200),
        &message("All cache cleared successfully")
    );
}

/// Reads until a message with this text.
async fn told(socket: &mut Socket, text: &str) {
    loop {
        let frame = heard(socket).await;
        if frame["event"] == "message" && frame["data"]["message"] == text {
            return;
        }
    }
}

fn event(name: &str, person: &Person, room: &str, more: Value) -> Value {
    // Numbers are texts in the socket, as the source's table of events has them.
    let mut data = json!({ "user_id": person.id.to_string(), "room_id": room });
    if let (Some(data), Value::Object(more)) = (data.as_object_mut(), more) {
        data.extend(more);
    }
    json!({ "event": name, "data": data })
}

#[tokio::test]
async fn a_room_hears_who_comes_who_reviews_and_who_leaves() {
    let mesh = Mesh::current();
    let (ada, ben) = (mesh.person().await, mesh.person().await);
    let room = unique("room");
    // Its socket is at the root of the address.
    let mut hers = open("/", &bearer(&ada)).await.unwrap();
    let mut his = open("/", &bearer(&ben)).await.unwrap();
    say(
        &mut hers,
        event("join_notification", &ada, &room, json!({})),
    )
    .await;
    told(
        &mut hers,
        &format!("User {} has joined the room {room}", ada.id),
    )
    .await;
    say(&mut his, event("join_notification", &ben, &room, json!({}))).await;
    for socket in [&mut hers, &mut his] {
        told(
            socket,
            &format!("User {} has joined the room {room}", ben.id),
        )
        .await;
    }
    let review = event("new_review", &ben, &room, json!({ "review_title": "Loud" }));
    say(&mut his, review).await;
    for socket in [&mut hers, &mut his] {
        told(socket, &format!("User {} added a new review: Loud", ben.id)).await;
    }
    say(
        &mut his,
        event("leave_notification", &ben, &room, json!({})),
    )
    .await;
    for socket in [&mut hers, &mut his] {
        told(socket, &format!("User {} has left the room {room}", ben.id)).await;
    }
}
