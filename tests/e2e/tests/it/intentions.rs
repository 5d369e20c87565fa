//! Claim (S3 of the security probes): a service reaches exactly those methods of another that
//! its client types declare. Every ordered pair of services and every path is tried with the
//! caller's own certificate, straight at the callee's sidecar; what is expected follows from
//! the binaries' own tables, so that a new service is covered without a line here.

use std::collections::BTreeSet;

use reqwest::Client;
use serde_json::Value;
use testkit::{Mesh, send};

use crate::identity::client_of;

/// Where a service's first sidecar takes connections from other sidecars.
pub async fn sidecar(service: &str) -> String {
    let entries = Mesh::current()
        .consul_get(&format!("health/connect/{service}?passing=true"))
        .await;
    let sidecar = &entries[0]["Service"];
    format!(
        "{}:{}",
        sidecar["Address"].as_str().unwrap(),
        sidecar["Port"]
    )
}

/// Whether the callee's sidecar lets the request through to its application.
async fn is_let_through(client: &Client, callee: &str, path: &str) -> bool {
    // Plain JSON, so that Envoy's refusal is a plain 403 and the application's own answer is not.
    let request = client
        .post(format!("https://{callee}{path}"))
        .json(&Value::Null);
    let reply = send(request).await;
    match reply.status {
        403 => assert_eq!(
            reply.text, "RBAC: access denied",
            "the refusal is Envoy's, not the application's"
        ),
        503 => panic!("{callee}{path} did not answer: {}", reply.text),
        _ => {}
    }
    reply.status != 403
}

fn calls(describe: &Value) -> BTreeSet<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    describe["calls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| (text(&call["service"]), text(&call["path"])))
        .collect()
}

fn rest_paths(describe: &Value) -> BTreeSet<String> {
    let templates = describe["routes"].as_array().unwrap().iter();
    templates
        .map(|route| route["template"].as_str().unwrap().replace(['{', '}'], ""))
        .collect()
}

#[tokio::test]
async fn every_ordered_pair_of_services_may_do_what_its_client_types_say_and_no_more() {
    let mesh = Mesh::current();
    let described: Vec<(String, Value)> = mesh
        .services
        .keys()
        .map(|service| (service.clone(), mesh.describe(service)))
        .collect();
    let all_calls: BTreeSet<(String, String)> = described
        .iter()
        .flat_map(|(_, describe)| calls(describe))
        .collect();
    let (mut allowed, mut refused) = (0, 0);
    for (caller, describe) in &described {
        let (client, declared) = (client_of(caller).await, calls(describe));
        for (callee, callee_describe) in &described {
            let address = sidecar(callee).await;
            let rpcs = all_calls
                .iter()
                .filter(|(service, _)| service == callee)
                .map(|(_, path)| path.clone());
            let undeclared = ["/".to_owned(), "/plaza.nothing.v1.Nothing/Do".to_owned()];
            for path in rpcs.chain(rest_paths(callee_describe)).chain(undeclared) {
                let expected = declared.contains(&(callee.clone(), path.clone()));
                let found = is_let_through(&client, &address, &path).await;
                assert_eq!(found, expected, "{caller} -> {callee}{path}");
                if expected { allowed += 1 } else { refused += 1 }
            }
        }
    }
    assert!(
        allowed >= described.len() && refused > allowed,
        "{allowed} let through, {refused} refused"
    );
}

#[tokio::test]
async fn a_declared_path_by_another_method_is_refused() {
    let client = client_of("users").await;
    let address = sidecar("discussions").await;
    let path = "/plaza.discussions.v1.Discussions/CountByUser";
    assert!(is_let_through(&client, &address, path).await);
    let reply = send(client.get(format!("https://{address}{path}"))).await;
    assert_eq!(
        (reply.status, reply.text.as_str()),
        (403, "RBAC: access denied")
    );
}
