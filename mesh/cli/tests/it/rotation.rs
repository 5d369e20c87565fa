//! Secrets that others may know are made anew, and the old ones are dead when the command ends (`docs/adr/0041-credentials.md`).

use reqwest::{Client, Method};
use serde_json::{Value, json};
use testkit::{eventually, mesh::PASSWORD};

use crate::own_mesh::OwnMesh;

/// Whether Consul takes a token of a service, for what that service does most.
async fn is_known(mesh: &OwnMesh, token: &str) -> bool {
    let url = format!(
        "http://127.0.0.1:{}/v1/acl/token/self",
        mesh.ports()["consul_http"]
    );
    let asked = Client::new().get(url).header("x-consul-token", token);
    asked.send().await.unwrap().status().is_success()
}

/// The Consul token of a service: Consul refuses the old one, and the service works with the new one.
pub async fn of_a_consul_token(mesh: &OwnMesh) {
    let token = || mesh.file()["tokens"]["services"]["likes"].clone();
    let old = token();
    assert!(is_known(mesh, old.as_str().unwrap()).await);

    mesh.succeeds(&["rotate", "consul-token", "likes"]);

    assert!(!is_known(mesh, old.as_str().unwrap()).await);
    let new = token();
    assert!(is_known(mesh, new.as_str().unwrap()).await);
    mesh.call(Method::GET, "/likes/popular", "", &Value::Null)
        .await
        .expect(200);
    assert!(
        !mesh
            .mesh(&["rotate", "consul-token", "nobody"])
            .status
            .success()
    );
}

/// The key that tokens are signed with: no service takes a token of before, and logging in goes on.
pub async fn of_the_signing_key(mesh: &OwnMesh, token: &str) {
    let read = async |token: &str, path: &str| {
        let answer = mesh.call(Method::GET, path, token, &Value::Null).await;
        answer.status
    };
    // One that checks with its own store, and two that follow it.
    let paths = ["/api/users/me", "/orders/", "/api/users/me/subscriptions"];
    for path in paths {
        assert_eq!(read(token, path).await, 200, "{path}");
    }

    mesh.succeeds(&["rotate", "signing-key"]);

    for path in paths {
        eventually("the token of before is refused", || async {
            match read(token, path).await {
                401 => Ok(()),
                other => Err(format!("{path}: {other}")),
            }
        })
        .await;
    }
    let person = json!({"username": "ada", "password": PASSWORD});
    let login = mesh.call(Method::POST, "/login", "", &person).await;
    let token = login.expect(200)["access_token"]
        .as_str()
        .unwrap()
        .to_owned();
    for path in paths {
        assert_eq!(read(&token, path).await, 200, "{path}");
    }
}
