use reqwest::Method;
use serde_json::{Value, json};
use testkit::eventually;

use crate::helpers::{ANNA, BEN, Plaza};

#[tokio::test]
async fn s2_05_and_s2_06_the_registry_tells_of_itself() {
    let plaza = Plaza::start().await;
    for root in ["/", "/registry"] {
        let info = plaza.registry.get(root).await.expect(200).clone();
        assert_eq!(info["service"], "registry");
        for (time, seconds) in [
            ("heartbeat_seconds", json!(10.0)),
            ("critical_after_seconds", json!(30.0)),
            ("gone_after_seconds", json!(90.0)),
        ] {
            assert_eq!(info[time], seconds, "{time}");
        }
    }
    for path in ["/health", "/registry/health"] {
        let health = plaza.registry.get(path).await;
        assert_eq!(
            health.expect(200),
            &json!({ "status": "ok", "consul": "connected" })
        );
    }
}

#[tokio::test]
async fn s2_10_an_instance_is_registered_and_listed() {
    let plaza = Plaza::start().await;
    let body = json!({ "service_name": "shop", "base_url": "http://shop.example:8080/v1" });
    let first = plaza.call(ANNA, Method::POST, "/register", &body).await;
    let first = first.expect(201).clone();
    assert_eq!(first["service_name"], "shop");
    assert_eq!(first["base_url"], body["base_url"]);
    assert_eq!(first["registered_at"], first["last_heartbeat"]);
    assert!(first["registered_at"].as_str().unwrap().ends_with('Z'));
    plaza.registered(BEN, "shop", "https://other.example").await;

    let shop = plaza
        .registry
        .get("/services/shop")
        .await
        .expect(200)
        .clone();
    assert_eq!(
        (&shop["service_name"], &shop["count"]),
        (&json!("shop"), &json!(2))
    );
    let listed = find(&shop["instances"], &first["instance_id"]);
    for member in [
        "service_name",
        "base_url",
        "registered_at",
        "last_heartbeat",
    ] {
        assert_eq!(listed[member], first[member], "{member}");
    }
    let mut rest = listed.clone();
    rest.as_object_mut()
        .unwrap()
        .retain(|member, _| first[member].is_null());
    let expected =
        json!({ "address": "shop.example", "port": 8080, "health": "passing", "kind": "external" });
    assert_eq!(rest, expected);
}

#[tokio::test]
async fn s2_07_to_s2_09_services_of_the_mesh_and_registered_ones_are_listed_alike() {
    let plaza = Plaza::start().await;
    plaza.mesh_service("users", "users-1").await;
    plaza.registered(ANNA, "shop", "http://a").await;
    plaza.registered(ANNA, "shop", "http://b").await;
    eventually("users is listed", || async {
        let users = plaza.instances("users").await;
        if users.is_empty() {
            Err(String::new())
        } else {
            Ok(())
        }
    })
    .await;

    let services = plaza.registry.get("/services").await.expect(200).clone();
    let names: Vec<_> = services.as_object().unwrap().keys().collect();
    assert_eq!(names, ["shop", "users"]);
    let users = json!({ "service_name": "users", "count": 1, "instances": [{
        "instance_id": "users-1", "service_name": "users", "base_url": "http://127.0.0.1:4001",
        "address": "127.0.0.1", "port": 4001, "health": "passing", "kind": "mesh",
    }] });
    assert_eq!(services["users"], users);
    for name in ["shop", "users"] {
        let one = plaza.registry.get(&format!("/services/{name}")).await;
        assert_eq!(one.expect(200), &services[name]);
    }
    plaza.registry.get("/services/nothing").await.problem(404);
    plaza.registry.get("/services/ext-shop").await.problem(404);
    let status = plaza.registry.get("/status").await;
    let counts = json!({ "shop": 2, "users": 1 });
    let expected =
        json!({ "status": "ok", "total_services": 2, "total_instances": 3, "services": counts });
    assert_eq!(status.expect(200), &expected);
}

fn find<'a>(instances: &'a Value, id: &Value) -> &'a Value {
    let mut all = instances.as_array().unwrap().iter();
    all.find(|instance| &instance["instance_id"] == id).unwrap()
}

#[tokio::test]
async fn s2_10_the_same_instance_again_is_no_second_one() {
    let plaza = Plaza::start().await;
    let first = plaza.registered(ANNA, "shop", "http://a").await;
    assert_eq!(plaza.registered(ANNA, "shop", "http://a").await, first);
    assert_ne!(plaza.registered(ANNA, "shop", "http://b").await, first);
    assert_ne!(plaza.registered(ANNA, "mall", "http://a").await, first);
    assert_eq!(plaza.instances("shop").await.len(), 2);
}

#[tokio::test]
async fn d16_it_is_a_real_consul_service_with_a_ttl_check() {
    let plaza = Plaza::start().await;
    let id = plaza
        .registered(ANNA, "shop", "http://shop.example:8080")
        .await;
    let found = plaza
        .agent
        .get("health/service/ext-shop?passing=true")
        .await;
    assert_eq!(found[0]["Service"]["ID"], format!("ext-{id}"));
    assert_eq!(found[0]["Service"]["Address"], "shop.example");
    let checks = found[0]["Checks"].as_array().unwrap();
    assert!(
        checks.iter().any(|check| check["Type"] == "ttl"),
        "{checks:?}"
    );
}

#[tokio::test]
async fn s2_64_the_document_on_its_own_port_has_the_literal_paths() {
    let plaza = Plaza::start().await;
    let document = plaza.registry.get("/openapi.json").await;
    let paths = document.expect(200)["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 8);
    for path in ["/", "/services/{service_name}", "/heartbeat/{instance_id}"] {
        assert!(paths.contains_key(path), "{paths:?}");
    }
    let page = plaza.registry.get("/docs").await;
    assert_eq!(page.status, 200, "{}", page.text);
}
