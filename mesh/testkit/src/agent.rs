//! A Consul of a test's own, which can be killed and comes back with the same data.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{Frozen, attempt, eventually, send, unique};

/// Variable with the path of the Consul binary.
const PROGRAM: &str = "TEST_CONSUL";

/// A Consul agent, a server of its own with ACLs on, whose end is that of this value.
#[derive(Debug)]
pub struct Agent {
    folder: TempDir,
    port: u16,
    token: String,
    running: Option<Child>,
}

impl Agent {
    /// Starts one and waits until it takes its token.
    ///
    /// # Panics
    /// When the tests are not run by `cargo mesh test`, or it does not start.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let [port, serf, server] = free_ports();
        let token = uuid::Uuid::now_v7().to_string();
        let settings = json!({
            "server": true, "bootstrap_expect": 1, "datacenter": "test", "node_name": unique("node-"),
            "data_dir": folder.path().join("data"), "bind_addr": "127.0.0.1", "client_addr": "127.0.0.1",
            "ports": {
                "http": port, "https": -1, "grpc": -1, "grpc_tls": -1, "dns": -1,
                "serf_lan": serf, "serf_wan": -1, "server": server,
            },
            "acl": {
                "enabled": true, "default_policy": "deny",
                "tokens": { "initial_management": token, "agent": token },
            },
            "connect": { "enabled": true },
            "performance": { "raft_multiplier": 1 },
            "disable_update_check": true, "log_level": "ERROR",
        });
        let file = folder.path().join("agent.json");
        std::fs::write(file, settings.to_string()).expect("a file can be written");
        let mut agent = Self {
            folder,
            port,
            token,
            running: None,
        };
        agent.restart().await;
        agent
    }

    /// Where its HTTP API answers.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A token that may do everything.
    pub fn token(&self) -> String {
        self.token.clone()
    }

    /// `PUT` of its HTTP API with all rights; what it answers.
    ///
    /// # Panics
    /// When it refuses.
    pub async fn put(&self, path: &str, body: &Value) -> Value {
        let url = format!("{}/v1/{path}", self.url());
        let request = Client::new().request(Method::PUT, url).json(body);
        let reply = send(request.header("x-consul-token", &self.token)).await;
        reply.expect(200).clone()
    }

    /// `GET` of its HTTP API with all rights.
    ///
    /// # Panics
    /// When it refuses.
    pub async fn get(&self, path: &str) -> Value {
        let url = format!("{}/v1/{path}", self.url());
        let request = Client::new().get(url).header("x-consul-token", &self.token);
        send(request).await.expect(200).clone()
    }

    /// Starts it again over its data.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn restart(&mut self) {
        let program = std::env::var(PROGRAM).unwrap_or_else(|_| {
            panic!("{PROGRAM} is not set: run the tests by `cargo mesh test`, which has one")
        });
        let mut command = Command::new(program);
        command
            .args(["agent", "-config-file"])
            .arg(self.folder.path().join("agent.json"));
        command.stdin(Stdio::null()).stdout(Stdio::null());
        self.running = Some(command.spawn().expect("Consul can be executed"));
        let (client, url) = (Client::new(), format!("{}/v1/acl/token/self", self.url()));
        eventually("Consul takes its token", || async {
            let request = client.get(&url).header("x-consul-token", &self.token);
            match request.send().await {
                Ok(answer) if answer.status().is_success() => Ok(()),
                Ok(answer) => Err(answer.status().to_string()),
                Err(error) => Err(error.to_string()),
            }
        })
        .await;
        // The catalog is empty until the agent has told its server of itself.
        let url = format!("{}/v1/catalog/nodes", self.url());
        eventually("Consul knows its own node", || async {
            let request = client.get(&url).header("x-consul-token", &self.token);
            match attempt(request).await?.json.as_array() {
                Some(nodes) if !nodes.is_empty() => Ok(()),
                _ => Err("none".to_owned()),
            }
        })
        .await;
    }

    /// Holds it still until the answer is dropped; it does then what it was told meanwhile.
    ///
    /// # Panics
    /// When it does not run.
    pub fn freeze(&self) -> Frozen {
        Frozen::new(self.running.as_ref().expect("consul runs").id())
    }

    /// Ends it as a power cut would.
    ///
    /// # Panics
    /// When it cannot be ended.
    pub fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.kill().expect("our own process can be killed");
            running.wait().expect("our own process can be waited for");
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Three ports that are free right now.
fn free_ports() -> [u16; 3] {
    let bound = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").expect("there are free ports"));
    bound.map(|listener| listener.local_addr().expect("bound").port())
}
