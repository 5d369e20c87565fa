//! Claim: every operation of every service is reached through the ingress, and reaches the service that has it.

use std::collections::BTreeSet;

use testkit::{Mesh, eventually, mesh, send};

use crate::operations::{Operation, operations};

/// The metrics of a service's instances, where each route that answered is counted.
pub(crate) async fn metrics(service: &str) -> String {
    let instances = Mesh::current()
        .consul_get(&format!("catalog/service/{service}"))
        .await;
    let mut all = String::new();
    for instance in instances.as_array().unwrap() {
        // `acl` registers one that is none, for a moment.
        let Some(port) = instance["ServiceMeta"]["admin_port"].as_str() else {
            continue;
        };
        let reply = send(mesh::client().get(format!("http://127.0.0.1:{port}/metrics"))).await;
        all.push_str(&reply.text);
    }
    all
}

#[tokio::test]
async fn s2_04_every_operation_of_every_service_is_reached_through_the_gateway() {
    let mesh = Mesh::current();
    for service in mesh.services.keys() {
        let operations = operations(service);
        assert!(!operations.is_empty(), "{service}");
        for operation in &operations {
            let (method, path) = (&operation.method, operation.path());
            let mut request = mesh.request(method.clone(), &path);
            if operation.socket {
                // Without a key it opens none, and without an upgrade the edge says so itself.
                request = request.header("connection", "upgrade");
                request = request.header("upgrade", "websocket");
                request = request.header("sec-websocket-version", "13");
            }
            let reply = send(request).await;
            // What the edge answers itself, it says so.
            let from_service = reply.header("proxy-status").is_empty();
            assert!(
                from_service,
                "{service}: {method} {path}: {} {}",
                reply.status, reply.text
            );
            let fine = reply.status < 500 && ![403, 405].contains(&reply.status);
            // What is missing behind a service is its own matter; here it only has to be reached.
            assert!(
                fine || reply.status == 503,
                "{service}: {method} {path}: {}",
                reply.text
            );
        }
        let missing = || async {
            let counted = metrics(service).await;
            let is_counted = |operation: &&Operation| {
                let method = format!("method=\"{}\"", operation.method);
                // The document has paths without the slash behind that routes may have.
                let routes = ["", "/"];
                let routes = routes.map(|end| format!("route=\"{}{end}\"", operation.template));
                let mut lines = counted.lines().filter(|line| line.contains(&method));
                lines.any(|line| routes.iter().any(|route| line.contains(route)))
            };
            let missing = operations.iter().filter(|operation| !is_counted(operation));
            let missing: BTreeSet<_> = missing
                .map(|operation| format!("{} {}", operation.method, operation.template))
                .collect();
            if missing.is_empty() {
                Ok(())
            } else {
                Err(format!("{missing:?}"))
            }
        };
        eventually(&format!("{service} itself has counted each"), missing).await;
    }
}

#[tokio::test]
async fn s2_04_what_no_service_has_is_not_found_at_the_edge() {
    let reply = Mesh::current().get("/no/such/path").await;
    reply.problem(404);
    assert_eq!(
        reply.header("proxy-status"),
        "plaza; error=destination_not_found"
    );
}
