//! Claim (S0-25): `users` and `discussions` work while the other is down, and come back by
//! themselves; a refused token stays refused meanwhile.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Frozen, Mesh, Signal};

use crate::{ONE_AT_A_TIME, back, signal};

#[tokio::test]
async fn s0_25_users_works_while_discussions_is_killed_and_back_by_itself() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let mesh = Mesh::current();
    let person = mesh.person().await;
    let body = json!({"title": "Before", "content": "The kill", "car_model": "Zoe"});
    let kept = mesh
        .call(Method::POST, "/api/posts", &person.token, &body)
        .await
        .expect(201)["post_id"]
        .clone();
    let pid = signal("discussions-1", Signal::KILL);
    let newcomer = mesh.person().await;
    let profile = mesh
        .call(Method::GET, "/api/users/me", &newcomer.token, &Value::Null)
        .await;
    profile.expect(200);
    let away = mesh.get("/api/posts").await;
    if away.status != 200 {
        away.problem(503);
        assert!(
            !away.header("retry-after").is_empty(),
            "503 says when to try again"
        );
    }
    back("discussions-1", pid, "/api/posts").await;
    let shown = mesh
        .get(&format!("/api/posts/{}", kept.as_str().unwrap()))
        .await;
    assert_eq!(
        shown.expect(200)["title"],
        "Before",
        "nothing acknowledged is lost"
    );
    mesh.call(Method::POST, "/api/posts", &newcomer.token, &body)
        .await
        .expect(201);
}

#[tokio::test]
async fn s0_25_discussions_works_while_users_is_stopped_and_d3_holds() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let mesh = Mesh::current();
    let (person, gone) = (mesh.person().await, mesh.person().await);
    let body = json!({"title": "While", "content": "Users sleeps", "car_model": "Zoe"});
    mesh.call(Method::POST, "/api/posts", &gone.token, &body)
        .await
        .expect(201);
    mesh.call(Method::POST, "/api/auth/logout", &gone.token, &Value::Null)
        .await
        .expect(200);
    testkit::eventually("the logout is known", || async {
        match mesh
            .call(Method::POST, "/api/posts", &gone.token, &body)
            .await
            .status
        {
            401 => Ok(()),
            status => Err(status.to_string()),
        }
    })
    .await;
    // Stopped rather than killed: a peer that hangs is the harder case, and it stays away.
    let pid = mesh.process("users-1").expect("users-1 runs");
    let frozen = Frozen::new(pid);
    let written = mesh
        .call(Method::POST, "/api/posts", &person.token, &body)
        .await;
    let refused = mesh
        .call(Method::POST, "/api/posts", &gone.token, &body)
        .await;
    let listed = mesh.get("/api/posts").await;
    drop(frozen);
    written.expect(201);
    refused.problem(401);
    listed.expect(200);
    let killed = signal("users-1", Signal::KILL);
    assert_eq!(killed, pid);
    let refused = mesh
        .call(Method::POST, "/api/posts", &gone.token, &body)
        .await;
    refused.problem(401);
    back("users-1", killed, "/api/auth/status").await;
    mesh.call(Method::GET, "/api/users/me", &person.token, &Value::Null)
        .await
        .expect(200);
    mesh.call(Method::GET, "/api/users/me", &gone.token, &Value::Null)
        .await
        .problem(401);
}
