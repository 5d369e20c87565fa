//! Claim: services register themselves with a check on their readiness, and infrastructure is
//! found by Consul DNS.

use discovery::Dns;
use testkit::{Mesh, eventually};

use crate::gateway::metrics;

#[tokio::test]
async fn s1_13_every_instance_is_registered_with_a_passing_readiness_check() {
    let mesh = Mesh::current();
    for (service, entry) in &mesh.services {
        // A check that came late on a busy machine takes an instance away until the next.
        let health = eventually(service, || async {
            let path = format!("health/service/{service}?passing=true");
            let health = mesh.consul_get(&path).await;
            let passing = health.as_array().unwrap().iter();
            let ids = passing.map(|entry| entry["Service"]["ID"].as_str().unwrap());
            let mut ids: Vec<&str> = ids.collect();
            ids.sort_unstable();
            (ids == entry.instances)
                .then_some(health.clone())
                .ok_or_else(|| format!("{ids:?}"))
        })
        .await;
        for instance in health.as_array().unwrap() {
            let checks = instance["Checks"].as_array().unwrap();
            let ready = checks
                .iter()
                .find(|check| check["Type"] == "http")
                .expect("an HTTP check");
            let output = ready["Output"].as_str().unwrap();
            assert!(output.is_empty() || output.contains("/readyz"), "{output}");
        }
    }
}

#[tokio::test]
async fn s2_75_infrastructure_is_found_by_consul_dns() {
    let mesh = Mesh::current();
    let dns = Dns::new(mesh.address("consul_dns").parse().unwrap()).unwrap();
    for name in ["redis", "rabbitmq", "mail", "otlp", "prometheus"] {
        let located = dns.locate(&format!("{name}.service.consul")).await;
        let located = located.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(
            mesh.address(name).contains(&located.to_string()),
            "{name}: {located}"
        );
    }
    assert!(dns.locate("nothing.service.consul").await.is_err());
}

#[tokio::test]
async fn the_document_store_has_a_socket_and_a_check_and_no_port() {
    let mesh = Mesh::current();
    let health = mesh
        .consul_get("health/service/documents?passing=true")
        .await;
    let store = &health[0]["Service"];
    assert!(store["SocketPath"].is_string(), "{health}");
    assert!(store["Port"].is_null() || store["Port"] == 0, "{health}");
    let dns = Dns::new(mesh.address("consul_dns").parse().unwrap()).unwrap();
    assert!(dns.locate("documents.service.consul").await.is_err());
}

#[tokio::test]
async fn s2_38_each_kind_of_job_has_a_queue_at_the_broker() {
    let queues = [
        ("timelines", "timelines.post-jobs"),
        ("likes", "likes.validation"),
        ("likes", "likes.notification"),
    ];
    for (service, queue) in queues {
        // A consumer counts what its queue holds, at the broker.
        let line = format!("queue_messages{{queue=\"{queue}\"}}");
        eventually(queue, || async {
            let numbers = metrics(service).await;
            let counted = numbers.lines().any(|number| number.starts_with(&line));
            counted.then_some(()).ok_or(numbers)
        })
        .await;
    }
}
