//! A service that is started alone works (S1-15, S1-16) and announces itself at a registry (S2-40,
//! S2-13).

use registry::Registry;
use testkit::{Agent, Process, TestService, eventually};

// Waiting for the process must not stop the registry, which runs in this one.
#[tokio::test(flavor = "multi_thread")]
async fn s2_40_a_service_started_alone_is_listed_at_registry_url_while_it_lives() {
    let consul = Agent::start().await;
    let flags = consul_flags(&consul);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let registry = TestService::<Registry>::start(&flags).await;
    let url = format!("http://{}", registry.address);
    let token = registry.token(1, "operator");
    let products = Process::start(
        env!("CARGO_BIN_EXE_products"),
        &["serve"],
        &[
            ("PLAZA_REGISTRATION", "on"),
            ("REGISTRY_URL", &url),
            ("REGISTRY_TOKEN", &token),
        ],
    );
    let address = products.address();
    let instance = eventually("it is listed", || async {
        let reply = registry.get("/services/products").await;
        match reply.json["instances"].get(0) {
            Some(instance) => Ok(instance.clone()),
            None => Err(reply.text),
        }
    })
    .await;
    let shown = (&instance["address"], &instance["port"], &instance["health"]);
    let (ip, port) = (address.ip().to_string(), address.port());
    assert_eq!(shown.0, &ip);
    assert_eq!(shown.1, port);
    assert_eq!(shown.2, "passing");
}

#[tokio::test]
async fn s1_15_to_s1_16_a_service_runs_alone_from_a_shell_on_sqlite() {
    let products = Process::start(env!("CARGO_BIN_EXE_products"), &["serve"], &[]);
    let url = format!("http://{}/products/", products.address());
    let reply = reqwest::get(url).await.unwrap();
    assert_eq!(reply.status().as_u16(), 200);
    assert_eq!(reply.text().await.unwrap(), "[]");
    assert!(products.data().join("products.db").exists());
}

fn consul_flags(consul: &Agent) -> Vec<String> {
    vec![
        "--consul-http-addr".into(),
        consul.url(),
        "--consul-http-token".into(),
        consul.token(),
    ]
}
