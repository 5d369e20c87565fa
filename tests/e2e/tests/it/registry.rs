//! Claim: every row of the contracts that `registry` answers holds through the ingress, by the literal paths on its own
//! listener and below `/registry` on the public one.

use std::time::{Duration, Instant};

use discovery::{Registration, Registry as _, Remote};
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Mesh, Reply, eventually, mesh, send, unique};
use tokio::time::{MissedTickBehavior, interval};

/// `method path` on the listener of the registry.
async fn call(method: Method, path: &str, token: &str, body: &Value) -> Reply {
    let url = format!("{}{path}", Mesh::current().address("registry"));
    let mut request = mesh::client().request(method, url);
    if !token.is_empty() {
        request = request.bearer_auth(token);
    }
    if !body.is_null() {
        request = request.json(body);
    }
    send(request).await
}

async fn get(path: &str) -> Reply {
    call(Method::GET, path, "", &Value::Null).await
}

async fn register(token: &str, name: &str) -> Reply {
    let body = json!({"service_name": name, "base_url": "http://shop.example:8080"});
    call(Method::POST, "/register", token, &body).await
}

/// A new instance of a new service: the service's name and the instance's id.
async fn registered(token: &str) -> (String, String) {
    let name = unique("shop-");
    let reply = register(token, &name).await;
    let id = reply.expect(201)["instance_id"]
        .as_str()
        .unwrap()
        .to_owned();
    (name, id)
}

async fn deregister(token: &str, id: &str) -> Reply {
    call(
        Method::DELETE,
        &format!("/deregister/{id}"),
        token,
        &Value::Null,
    )
    .await
}

async fn heartbeat(token: &str, id: &str) -> Reply {
    call(
        Method::POST,
        &format!("/heartbeat/{id}"),
        token,
        &Value::Null,
    )
    .await
}

#[tokio::test]
async fn s2_05_the_root_tells_of_the_registry() {
    let info = get("/").await.expect(200).clone();
    assert_eq!(info["service"], "registry");
    assert_eq!(info["critical_after_seconds"], 30.0);
    assert_eq!(info["gone_after_seconds"], 90.0);
    let public = Mesh::current().get("/registry").await;
    assert_eq!(public.expect(200), &info);
}

#[tokio::test]
async fn s2_06_health() {
    assert_eq!(get("/health").await.expect(200)["status"], "ok");
    let public = Mesh::current().get("/registry/health").await;
    assert_eq!(public.expect(200)["consul"], "connected");
}

#[tokio::test]
async fn s2_07_status_counts_what_runs() {
    let mesh = Mesh::current();
    let status = get("/status").await.expect(200).clone();
    assert_eq!(status["status"], "ok");
    for (service, entry) in &mesh.services {
        assert_eq!(
            status["services"][service],
            entry.instances.len(),
            "{status}"
        );
    }
    let counts: Vec<u64> = status["services"]
        .as_object()
        .unwrap()
        .values()
        .map(|count| count.as_u64().unwrap())
        .collect();
    assert_eq!(status["total_services"], counts.len());
    assert_eq!(status["total_instances"], counts.iter().sum::<u64>());
}

#[tokio::test]
async fn s2_08_every_service_of_the_mesh_is_listed_and_no_sidecar() {
    let mesh = Mesh::current();
    let health = |listed: &Value| {
        let instances = listed["instances"].as_array().cloned();
        let mut instances = instances.unwrap_or_default().into_iter();
        instances.all(|instance| instance["health"] == "passing")
    };
    // A check that came late on a busy machine takes an instance away until the next.
    let services = eventually("all are healthy", || async {
        let services = get("/services").await.expect(200).clone();
        let mut ill = mesh.services.keys();
        match ill.find(|service| !health(&services[*service])) {
            None => Ok(services),
            Some(ill) => Err(services[ill].to_string()),
        }
    })
    .await;
    for (service, entry) in &mesh.services {
        let listed = &services[service];
        assert_eq!(listed["count"], entry.instances.len(), "{listed}");
        for (instance, id) in listed["instances"]
            .as_array()
            .unwrap()
            .iter()
            .zip(&entry.instances)
        {
            assert_eq!(instance["instance_id"], *id);
            let base_url = format!("http://127.0.0.1:{}", instance["port"]);
            assert_eq!(instance["base_url"], base_url);
        }
    }
    for hidden in [
        "consul",
        "ingress",
        "redis",
        "rabbitmq",
        "envoy",
        "users-sidecar-proxy",
    ] {
        assert!(services[hidden].is_null(), "{hidden}");
    }
}

#[tokio::test]
async fn s2_09_a_service_and_none() {
    let users = get("/services/users").await;
    assert_eq!(users.expect(200)["service_name"], "users");
    get("/services/nothing").await.problem(404);
    get("/services/ingress").await.problem(404);
}

/// What is said of a service, as soon as that is so: the registry's own copy follows Consul.
async fn shown(name: &str, status: u16) -> Reply {
    eventually(name, || async {
        let reply = get(&format!("/services/{name}")).await;
        if reply.status == status {
            Ok(reply)
        } else {
            Err(reply.text)
        }
    })
    .await
}

#[tokio::test]
async fn s2_10_an_instance_is_registered_with_consul() {
    let mesh = Mesh::current();
    let person = mesh.person().await;
    let name = unique("shop-");
    register("", &name).await.problem(401);
    let reply = register(&person.token, &name).await;
    let answer = reply.expect(201);
    assert_eq!(answer["service_name"], name);
    assert_eq!(answer["base_url"], "http://shop.example:8080");
    assert_eq!(answer["registered_at"], answer["last_heartbeat"]);
    let id = answer["instance_id"].as_str().unwrap();

    let listed = shown(&name, 200).await;
    assert_eq!(listed.json["instances"][0]["instance_id"], id);
    let path = format!("health/service/ext-{name}?passing=true");
    let consul = mesh.consul_get(&path).await;
    assert_eq!(consul[0]["Service"]["Port"], 8080);
    assert_eq!(
        consul[0]["Checks"].as_array().unwrap().len(),
        2,
        "its own and the node's"
    );
    deregister(&person.token, id).await.expect(200);
}

#[tokio::test]
async fn s2_11_only_the_owner_sends_heartbeats() {
    let mesh = Mesh::current();
    let (owner, other) = (mesh.person().await, mesh.person().await);
    let (_, id) = registered(&owner.token).await;
    let beaten = heartbeat(&owner.token, &id).await;
    assert_eq!(
        beaten.expect(200),
        &json!({"status": "ok", "instance_id": id})
    );
    heartbeat(&other.token, &id).await.problem(403);
    heartbeat("", &id).await.problem(401);
    heartbeat(&owner.token, "nothing").await.problem(404);
    heartbeat(&owner.token, "users-1").await.problem(404);
    deregister(&owner.token, &id).await.expect(200);
}

#[tokio::test]
async fn s2_12_a_deregistered_instance_is_gone() {
    let mesh = Mesh::current();
    let (owner, other) = (mesh.person().await, mesh.person().await);
    let (name, id) = registered(&owner.token).await;
    deregister(&other.token, &id).await.problem(403);
    deregister(&owner.token, &id).await.expect(200);
    shown(&name, 404).await.problem(404);
    heartbeat(&owner.token, &id).await.problem(404);
    deregister(&owner.token, "users-1").await.problem(404);
    assert_eq!(get("/services/users").await.status, 200);
}

#[tokio::test]
async fn s2_13_services_of_the_mesh_have_registered_themselves() {
    let users = get("/services/users").await;
    let listed = &users.expect(200)["instances"][0];
    let consul = Mesh::current().consul_get("agent/service/users-1").await;
    // The application is on a socket: what others see of it is where operators ask.
    let port = consul["Meta"]["admin_port"].as_str().unwrap();
    assert_eq!(listed["port"].to_string(), port);
    assert_eq!(listed["kind"], "mesh");
}

#[tokio::test]
async fn s2_40_a_service_without_consul_announces_itself_by_rest() {
    let mesh = Mesh::current();
    let person = mesh.person().await;
    for url in [
        mesh.address("registry").to_owned(),
        format!("{}/registry", mesh.address("ingress")),
    ] {
        let remote = Remote::new(&url, &person.token).unwrap();
        let registration = Registration {
            service: unique("lone-"),
            id: "lone-1".into(),
            address: ([127, 0, 0, 1], 5200).into(),
            admin: ([127, 0, 0, 1], 5201).into(),
            upstreams: [].into(),
            ready: true,
            meta: [].into(),
        };
        remote.register(&registration).await.unwrap();
        assert!(remote.is_registered("lone-1").await.unwrap());
        assert_eq!(
            remote.healthy(&registration.service).await.unwrap()[0].port,
            5200
        );
        remote.deregister("lone-1").await.unwrap();
        assert!(
            remote
                .healthy(&registration.service)
                .await
                .unwrap()
                .is_empty()
        );
    }
}

#[tokio::test]
async fn s2_69_register_is_told_apart_by_listener() {
    let mesh = Mesh::current();
    let person = mesh.person().await;
    let name = unique("shop-");
    let body = json!({"service_name": name, "base_url": "http://shop.example"});
    // The public one is that of users, which wants a person.
    let reply = mesh
        .call(Method::POST, "/register", &person.token, &body)
        .await;
    assert!(reply.status >= 400, "{}", reply.text);
    get(&format!("/services/{name}")).await.problem(404);
    let reply = mesh
        .call(Method::POST, "/registry/register", &person.token, &body)
        .await;
    let id = reply.expect(201)["instance_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/registry/heartbeat/{id}");
    mesh.call(Method::POST, &path, &person.token, &Value::Null)
        .await
        .expect(200);
    let path = format!("/registry/deregister/{id}");
    mesh.call(Method::DELETE, &path, &person.token, &Value::Null)
        .await
        .expect(200);
    // Nothing else is served beside the registry's own paths.
    for path in [
        "/users",
        "/registry/services",
        "/api/posts",
        "/metrics",
        "/readyz",
    ] {
        get(path).await.problem(404);
    }
}

#[tokio::test]
async fn s2_64_the_registry_documents_itself_on_its_own_port() {
    let page = get("/docs").await;
    assert_eq!(page.status, 200, "{}", page.text);
    let document = get("/openapi.json").await;
    assert!(document.expect(200)["paths"]["/services"].is_object());
}

#[tokio::test]
async fn d15_the_document_has_the_public_paths_alone() {
    let document = Mesh::current().describe("registry")["openapi"].take();
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 8);
    assert!(
        paths.keys().all(|path| path.starts_with("/registry")),
        "{paths:?}"
    );
}

#[tokio::test]
async fn d16_nobody_takes_the_name_of_a_part_of_the_mesh() {
    let mesh = Mesh::current();
    let person = mesh.person().await;
    let services = mesh.services.keys().map(String::as_str);
    let others = [
        "ingress",
        "consul",
        "envoy",
        "redis",
        "documents",
        "rabbitmq",
        "users-sidecar-proxy",
    ];
    for name in services.chain(others) {
        register(&person.token, name).await.problem(409);
    }
    for (name, url) in [
        ("A", "http://a"),
        ("a.b", "http://a"),
        ("shop", "http://u:p@a"),
        ("shop", "file:///a"),
    ] {
        let body = json!({"service_name": name, "base_url": url});
        call(Method::POST, "/register", &person.token, &body)
            .await
            .problem(422);
    }
}

#[tokio::test]
async fn d16_consul_lets_the_registry_write_names_with_its_prefix_and_nobody_else() {
    let mesh = Mesh::current();
    for (service, token) in &mesh.tokens.services {
        let id = unique("intruder-");
        let body =
            json!({"ID": id, "Name": format!("ext-{id}"), "Address": "127.0.0.1", "Port": 1});
        let request = mesh.consul(Method::PUT, "agent/service/register", token);
        let reply = send(request.json(&body)).await;
        let expected = if service == "registry" { 200 } else { 403 };
        assert_eq!(reply.status, expected, "{service}: {}", reply.text);
        if reply.status == 200 {
            let path = format!("agent/service/deregister/{id}");
            send(mesh.consul(Method::PUT, &path, token))
                .await
                .expect(200);
        }
    }
}

/// The real times, once: critical after 30 seconds, gone after 90.
#[tokio::test]
async fn d16_an_instance_that_stops_is_critical_after_30_s_and_gone_after_90_s() {
    let person = Mesh::current().person().await;
    let (name, id) = registered(&person.token).await;
    // Consul counts from when it hears it.
    let last = Instant::now();
    heartbeat(&person.token, &id).await.expect(200);
    let (mut critical, mut gone) = (None, None);
    let mut tick = interval(Duration::from_millis(250));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while gone.is_none() && last.elapsed() < Duration::from_secs(130) {
        tick.tick().await;
        let reply = get(&format!("/services/{name}")).await;
        if reply.status == 404 {
            gone = Some(last.elapsed().as_secs_f64());
        } else if reply.expect(200)["instances"][0]["health"] == "critical" {
            critical.get_or_insert(last.elapsed().as_secs_f64());
        }
    }
    let (critical, gone) = (critical.unwrap(), gone.unwrap());
    assert!(
        (29.0..45.0).contains(&critical),
        "critical after {critical} s"
    );
    assert!((85.0..120.0).contains(&gone), "gone after {gone} s");
    eventually("it is gone from Consul", || async {
        let path = format!("health/service/ext-{name}");
        match Mesh::current().consul_get(&path).await {
            found if found == json!([]) => Ok(()),
            found => Err(found.to_string()),
        }
    })
    .await;
}
