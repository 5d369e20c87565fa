//! A registry with a Consul of its own.

use registry::Registry;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Agent, Reply, TestService};

pub const ANNA: i64 = 1;
pub const BEN: i64 = 2;

/// Much shorter times than those of the contract, and longer than a request takes.
pub const QUICK: &[&str] = &["--ttl-seconds=3", "--expiry-seconds=9"];

/// A registry and its Consul.
pub struct Plaza {
    pub agent: Agent,
    pub registry: TestService<Registry>,
}

impl Plaza {
    /// With the times of the contract.
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// Critical after three seconds, gone after nine.
    pub async fn quick() -> Self {
        Self::with(QUICK).await
    }

    pub async fn with(flags: &[&str]) -> Self {
        let agent = Agent::start().await;
        let declared = json!({ "Kind": "service-defaults", "Name": "users", "Protocol": "http" });
        agent.put("config", &declared).await;
        let registry = over(&agent, flags).await;
        Self { agent, registry }
    }

    pub fn token(&self, owner: i64) -> String {
        self.registry.token(owner, "somebody")
    }

    pub async fn call(&self, owner: i64, method: Method, path: &str, body: &Value) -> Reply {
        self.registry
            .call(method, path, &self.token(owner), body)
            .await
    }

    pub async fn register(&self, owner: i64, name: &str, url: &str) -> Reply {
        let body = json!({ "service_name": name, "base_url": url });
        self.call(owner, Method::POST, "/register", &body).await
    }

    /// Registers from an address, as the ingress tells it.
    pub async fn register_from(&self, address: &str, owner: i64, name: &str, url: &str) -> Reply {
        let request = self.registry.request(Method::POST, "/register");
        let request = request.header("x-forwarded-for", address);
        let request = request.bearer_auth(self.token(owner));
        testkit::send(request.json(&json!({ "service_name": name, "base_url": url }))).await
    }

    /// Registers and gives the id.
    pub async fn registered(&self, owner: i64, name: &str, url: &str) -> String {
        let reply = self.register(owner, name, url).await;
        reply.expect(201)["instance_id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    pub async fn heartbeat(&self, owner: i64, id: &str) -> Reply {
        let path = format!("/heartbeat/{id}");
        self.call(owner, Method::POST, &path, &Value::Null).await
    }

    pub async fn deregister(&self, owner: i64, id: &str) -> Reply {
        let path = format!("/deregister/{id}");
        self.call(owner, Method::DELETE, &path, &Value::Null).await
    }

    /// The instances of a service; none when it is not listed.
    pub async fn instances(&self, name: &str) -> Vec<Value> {
        let reply = self.registry.get(&format!("/services/{name}")).await;
        if reply.status == 404 {
            return Vec::new();
        }
        reply.expect(200)["instances"].as_array().unwrap().clone()
    }

    /// What the mesh registers by itself.
    pub async fn mesh_service(&self, name: &str, id: &str) {
        let service = json!({
            "ID": id, "Name": name, "Address": "127.0.0.1", "Port": 4001, "Meta": { "admin_port": "4002" },
        });
        self.agent.put("agent/service/register", &service).await;
    }
}

pub async fn over(agent: &Agent, flags: &[&str]) -> TestService<Registry> {
    let address = format!("--consul-http-addr={}", agent.url());
    let token = format!("--consul-http-token={}", agent.token());
    let mut all = vec![address.as_str(), token.as_str()];
    all.extend(flags);
    TestService::start(&all).await
}
