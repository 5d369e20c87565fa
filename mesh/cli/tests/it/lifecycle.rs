//! Claim: `up` brings a mesh up from whatever is left of it, with its data, and `down` leaves
//! neither a process nor a port behind.

use std::net::TcpListener;

use reqwest::Method;
use serde_json::{Value, json};
use testkit::mesh::PASSWORD;

use crate::{budget, demo, everyday, own_mesh::OwnMesh, rotation};

/// A person with a post: (token, path of the post).
async fn write(mesh: &OwnMesh) -> (String, String) {
    let person = json!({"username": "ada", "email": "ada@example.com", "password": PASSWORD});
    mesh.call(Method::POST, "/users/register", "", &person)
        .await
        .expect(201);
    let login = mesh.call(Method::POST, "/login", "", &person).await;
    let token = login.expect(200)["access_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let body = json!({"title": "Kept", "content": "Through it all", "car_model": "Zoe"});
    let post = mesh.call(Method::POST, "/api/posts", &token, &body).await;
    let path = format!(
        "/api/posts/{}",
        post.expect(201)["post_id"].as_str().unwrap()
    );
    (token, path)
}

/// Whether what was written is there, and the old token is still good.
async fn is_whole(mesh: &OwnMesh, (token, post): &(String, String)) {
    assert_eq!(
        mesh.call(Method::GET, post, "", &Value::Null)
            .await
            .expect(200)["title"],
        "Kept"
    );
    let me = mesh
        .call(Method::GET, "/api/users/me", token, &Value::Null)
        .await;
    assert_eq!(me.expect(200)["username"], "ada");
    let again = json!({"title": "More", "content": "Afterwards", "car_model": "Zoe"});
    mesh.call(Method::POST, "/api/posts", token, &again)
        .await
        .expect(201);
}

/// Every process of a mesh and its number, as `status` has them.
fn pids(status: &Value) -> Vec<(&Value, &Value)> {
    let processes = status["processes"].as_array().unwrap().iter();
    processes.map(|row| (&row["name"], &row["pid"])).collect()
}

#[tokio::test]
async fn up_heals_whatever_was_killed_and_down_leaves_nothing() {
    let mesh = OwnMesh::new();
    let printed = mesh.succeeds(&["up"]);
    assert!(
        printed.contains("curl") && printed.contains("http://"),
        "{printed}"
    );
    let written = write(&mesh).await;

    let status = |mesh: &OwnMesh| -> Value {
        serde_json::from_str(&mesh.succeeds(&["status", "--json"])).unwrap()
    };
    let before = status(&mesh);
    mesh.succeeds(&["up"]);
    let after = status(&mesh);
    assert_eq!(pids(&after), pids(&before), "a second `up` changes nothing");
    budget::holds(&after);

    demo::fills_every_list_once(&mesh).await;
    everyday::commands_work(&mesh);

    mesh.kill(|_| true);
    mesh.succeeds(&["up"]);
    is_whole(&mesh, &written).await;

    mesh.kill(|program| program == "process-compose");
    mesh.succeeds(&["up"]);
    is_whole(&mesh, &written).await;

    mesh.kill(|program| program == "consul");
    mesh.succeeds(&["up"]);
    is_whole(&mesh, &written).await;

    rotation::of_a_consul_token(&mesh).await;
    rotation::of_the_signing_key(&mesh, &written.0).await;

    mesh.succeeds(&["down"]);
    assert!(mesh.processes().is_empty(), "{:?}", mesh.processes());
    for (name, port) in mesh.ports() {
        assert!(
            TcpListener::bind(("127.0.0.1", port)).is_ok(),
            "{name} ({port}) is still taken"
        );
    }
    mesh.succeeds(&["down"]);

    let ingress = mesh.ports()["ingress"];
    let held = TcpListener::bind(("127.0.0.1", ingress)).unwrap();
    let refused = mesh.mesh(&["up"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && said.contains(&ingress.to_string()),
        "{said}"
    );
    assert!(
        mesh.processes().is_empty(),
        "nothing was started: {:?}",
        mesh.processes()
    );
    drop(held);
}
