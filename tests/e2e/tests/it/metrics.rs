//! Claim: Prometheus finds every target in Consul, and every one is up.

use std::collections::BTreeMap;

use serde_json::Value;
use testkit::{Mesh, eventually, mesh, send};

async fn prometheus(path: &str) -> Value {
    let url = format!("{}/api/v1/{path}", Mesh::current().address("prometheus"));
    send(mesh::client().get(url)).await.expect(200)["data"].clone()
}

#[tokio::test]
async fn every_target_is_up_and_none_is_missing() {
    let mesh = Mesh::current();
    let targets = eventually("every target is up", || async {
        let active = prometheus("targets?state=active").await["activeTargets"].clone();
        let down: Vec<&Value> = active
            .as_array()
            .unwrap()
            .iter()
            .filter(|target| target["health"] != "up")
            .collect();
        if down.is_empty() && !active.as_array().unwrap().is_empty() {
            Ok(active)
        } else {
            Err(format!("{down:?}"))
        }
    })
    .await;
    let mut jobs: BTreeMap<&str, usize> = BTreeMap::new();
    for target in targets.as_array().unwrap() {
        *jobs
            .entry(target["labels"]["job"].as_str().unwrap())
            .or_default() += 1;
    }
    let instances: usize = mesh
        .services
        .values()
        .map(|entry| entry.instances.len())
        .sum();
    let text = format!("{jobs:?}");
    assert!(
        targets.as_array().unwrap().len() >= 2 * instances + 2,
        "services, their Envoys, the ingress, Consul: {text}"
    );
    for (service, entry) in &mesh.services {
        let of_service = targets.as_array().unwrap().iter().filter(|target| {
            let labels = target["labels"].as_object().unwrap();
            labels.values().any(|value| {
                entry
                    .instances
                    .iter()
                    .any(|id| value.as_str().unwrap_or_default().starts_with(id.as_str()))
            })
        });
        assert!(
            of_service.count() >= 2 * entry.instances.len(),
            "{service}: application and Envoy of each instance: {text}"
        );
    }
}

#[tokio::test]
async fn requests_are_counted_by_route_template() {
    let mesh = Mesh::current();
    let person = mesh.person().await;
    mesh.get(&format!("/users/{}", person.username))
        .await
        .expect(200);
    eventually("the request is counted", || async {
        let query = "query?query=http_requests_total%7Broute%3D%22%2Fusers%2F%7Busername%7D%22%7D";
        let found = prometheus(query).await["result"].clone();
        if found.as_array().unwrap().is_empty() {
            Err("no series".into())
        } else {
            Ok(())
        }
    })
    .await;
    let all = prometheus("label/route/values").await;
    assert!(
        !all.to_string().contains(&person.username),
        "a raw path became a label: {all}"
    );
}
