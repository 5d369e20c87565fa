//! Claim: what a client of the car discussions sends, request by request, is answered through the ingress as it expects.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Mesh, Reply, eventually, unique};

/// Somebody who has come in by the doors of this product alone.
struct Driver {
    id: i64,
    token: String,
}

impl Driver {
    async fn register() -> Self {
        let mesh = Mesh::current();
        let email = format!("{}@example.com", unique("driver"));
        let body = json!({"name": "Name", "email": email, "password": "a long password"});
        let made = mesh
            .call(Method::POST, "/api/users/register", "", &body)
            .await;
        assert_eq!(made.expect(201)["message"], "User registered successfully.");
        let body = json!({"email": email, "password": "a long password"});
        let entered = mesh.call(Method::POST, "/api/users/login", "", &body).await;
        assert_eq!(entered.expect(200)["user_id"], made.json["user_id"]);
        Self {
            id: made.json["user_id"].as_i64().unwrap(),
            token: entered.json["token"].as_str().unwrap().to_owned(),
        }
    }

    async fn call(&self, method: Method, path: &str, body: &Value) -> Reply {
        Mesh::current().call(method, path, &self.token, body).await
    }

    async fn get(&self, path: &str) -> Reply {
        self.call(Method::GET, path, &Value::Null).await
    }

    /// A post as this product's clients write it: who writes it is a text.
    fn post(&self, title: &str, car_model: &str) -> Value {
        json!({
            "user_id": self.id.to_string(),
            "title": title,
            "content": "The post is about my dream car",
            "car_model": car_model,
        })
    }
}

#[tokio::test]
async fn somebody_registers_changes_the_profile_and_is_seen_by_others() {
    let (driver, other) = (Driver::register().await, Driver::register().await);
    let me = driver.get("/api/users/me").await;
    assert_eq!(me.expect(200)["name"], "Name");
    let body = json!({"name": "Nadia", "bio": "New bio", "avatar_url": "avatar"});
    let changed = driver.call(Method::PUT, "/api/users/me", &body).await;
    assert_eq!(
        changed.expect(200)["message"],
        "Profile updated successfully."
    );
    let seen = other.get(&format!("/api/users/{}", driver.id)).await;
    assert_eq!(seen.expect(200)["name"], "Nadia");
    assert_eq!(
        seen.json["profile"],
        json!({"bio": "New bio", "avatar_url": "avatar"})
    );
    let script = json!({"avatar_url": "javascript:alert(1)"});
    driver
        .call(Method::PUT, "/api/users/me", &script)
        .await
        .problem(422);
}

#[tokio::test]
async fn a_recommendation_is_written_listed_read_changed_and_deleted() {
    let mesh = Mesh::current();
    let driver = Driver::register().await;
    let title = unique("Best dream car ");
    let body = driver.post(&title, "G Wagon");
    let made = driver.call(Method::POST, "/api/posts", &body).await;
    assert_eq!(made.expect(201)["message"], "Post created successfully.");
    let id = made.json["post_id"].as_str().unwrap();
    eventually("the post is listed", || async {
        let all = mesh.get("/api/posts?limit=200").await;
        let all = all.expect(200).as_array().unwrap();
        let found = all.iter().find(|post| post["post_id"] == id);
        found
            .map(|post| assert_eq!(post["title"], title.as_str()))
            .ok_or("not there".to_owned())
    })
    .await;
    let path = format!("/api/posts/{id}");
    let read = mesh.get(&path).await;
    assert_eq!(read.expect(200)["user_id"], driver.id);
    assert_eq!(
        (&read.json["comments"], &read.json["comment_count"]),
        (&json!([]), &json!(0))
    );
    let change = driver.post("Another title", "G Wagon");
    let changed = driver.call(Method::PUT, &path, &change).await;
    assert_eq!(changed.expect(200)["message"], "Post updated successfully.");
    assert_eq!(mesh.get(&path).await.expect(200)["title"], "Another title");
    let gone = driver.call(Method::DELETE, &path, &Value::Null).await;
    assert_eq!(gone.expect(200)["message"], "Post deleted successfully.");
    mesh.get(&path).await.problem(404);
}

#[tokio::test]
async fn a_car_of_any_name_can_be_written_about_and_subscribed_to() {
    let driver = Driver::register().await;
    let stamp = unique("");
    for (model, written) in [
        (
            format!("Peugeot 208/2008 {stamp}"),
            format!("Peugeot%20208%2F2008%20{stamp}"),
        ),
        (format!("A\\B {stamp}"), format!("A%5CB%20{stamp}")),
        ("..".to_owned(), "..".to_owned()),
        (".".to_owned(), "%2E".to_owned()),
    ] {
        let body = driver.post("Any name", &model);
        driver
            .call(Method::POST, "/api/posts", &body)
            .await
            .expect(201);
        let path = format!("/api/topics/subscription?car_model={written}");
        let subscribed = driver.call(Method::PUT, &path, &Value::Null).await;
        assert_eq!(
            subscribed.expect(200)["message"],
            format!("Subscribed to {model}.")
        );
        let mine = driver.get("/api/users/me/subscriptions").await;
        assert_eq!(mine.expect(200)[0]["car_model"], model.as_str());
        let presence = format!("/ws/presence?room=topics:{written}");
        driver.get(&presence).await.expect(200);
        driver
            .call(Method::DELETE, &path, &Value::Null)
            .await
            .expect(200);
    }
}
