//! The mesh that `cargo mesh test` started, as its tests see it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
    time::Duration,
};

use reqwest::{Client, Method, RequestBuilder};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Reply, send, unique};

/// Variable with the path of the file that describes the mesh.
const FILE: &str = "PLAZA_MESH_FILE";

/// Where everything is.
#[derive(Debug, Clone, Deserialize)]
pub struct Mesh {
    /// Folder of the mesh's settings, logs and data.
    pub state: PathBuf,
    /// Addresses by name: `ingress`, `consul`, `prometheus`, `jaeger`, …
    pub addresses: BTreeMap<String, String>,
    /// Ports by the name of what listens there.
    pub ports: BTreeMap<String, u16>,
    /// ACL tokens.
    pub tokens: TokenTable,
    /// What runs of each service.
    pub services: BTreeMap<String, ServiceEntry>,
}

/// Consul's tokens.
#[derive(Debug, Clone, Deserialize)]
pub struct TokenTable {
    /// May do everything.
    pub management: String,
    /// One a service, with that service's identity alone.
    pub services: BTreeMap<String, String>,
}

/// A service of the mesh.
#[derive(Debug, Clone, Deserialize)]
pub struct ServiceEntry {
    /// The binary that runs.
    pub binary: PathBuf,
    /// The Consul ids of its instances.
    pub instances: Vec<String>,
}

/// A person with an account, made through the ingress.
#[derive(Debug, Clone)]
pub struct Person {
    /// Number of the account.
    pub id: i64,
    /// Unique name.
    pub username: String,
    /// E-mail address.
    pub email: String,
    /// A token that is good for an hour.
    pub token: String,
}

/// The password of every [`Person`].
pub const PASSWORD: &str = "correct horse battery";

static MESH: LazyLock<Mesh> = LazyLock::new(|| {
    let path = std::env::var(FILE)
        .unwrap_or_else(|_| panic!("{FILE} is not set: run the tests by `cargo mesh test`"));
    let text = fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
});

impl Mesh {
    /// The mesh of this run.
    ///
    /// # Panics
    /// When the tests are not run by `cargo mesh test`.
    pub fn current() -> &'static Self {
        &MESH
    }

    /// An address by name.
    ///
    /// # Panics
    /// When there is none of this name.
    pub fn address(&self, name: &str) -> &str {
        self.addresses
            .get(name)
            .unwrap_or_else(|| panic!("the mesh file names no address `{name}`"))
    }

    /// A request to the ingress, not sent yet.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        client().request(method, format!("{}{path}", self.address("ingress")))
    }

    /// `GET path` through the ingress, as nobody in particular.
    pub async fn get(&self, path: &str) -> Reply {
        send(self.request(Method::GET, path)).await
    }

    /// `method path` through the ingress with a token and, if not `null`, a JSON body.
    pub async fn call(&self, method: Method, path: &str, token: &str, body: &Value) -> Reply {
        let mut request = self.request(method, path);
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if !body.is_null() {
            request = request.json(body);
        }
        send(request).await
    }

    /// `method path` of Consul's HTTP API with an ACL token (`""` for none).
    pub fn consul(&self, method: Method, path: &str, token: &str) -> RequestBuilder {
        let request = client().request(method, format!("{}/v1/{path}", self.address("consul")));
        if token.is_empty() {
            request
        } else {
            request.header("x-consul-token", token)
        }
    }

    /// `GET path` of Consul's HTTP API with all rights.
    pub async fn consul_get(&self, path: &str) -> Value {
        send(self.consul(Method::GET, path, &self.tokens.management))
            .await
            .expect(200)
            .clone()
    }

    /// A number of Prometheus, once it is there.
    pub async fn number(&self, query: &str) -> Option<f64> {
        let url = format!("{}/api/v1/query", self.address("prometheus"));
        let reply = send(client().get(url).query(&[("query", query)])).await;
        let found = &reply.expect(200)["data"]["result"][0]["value"][1];
        found.as_str()?.parse().ok()
    }

    /// A new person, registered and logged in through the ingress.
    pub async fn person(&self) -> Person {
        let username = unique("p");
        let email = format!("{username}@example.com");
        let body = json!({"username": username, "email": email, "password": PASSWORD});
        let id = self
            .call(Method::POST, "/users/register", "", &body)
            .await
            .expect(201)["user"]["id"]
            .as_i64();
        let token = self.log_in(&username).await;
        Person {
            id: id.unwrap_or_default(),
            username,
            email,
            token,
        }
    }

    /// A new token of a person.
    pub async fn log_in(&self, username: &str) -> String {
        let body = json!({"username": username, "password": PASSWORD});
        let reply = self.call(Method::POST, "/login", "", &body).await;
        reply.expect(200)["access_token"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// What a service's binary says of itself.
    ///
    /// # Panics
    /// When it cannot be run.
    pub fn describe(&self, service: &str) -> Value {
        let output = Command::new(&self.services[service].binary)
            .arg("describe")
            .output();
        serde_json::from_slice(&output.expect("the binary runs").stdout)
            .expect("describe prints JSON")
    }

    /// The process of a service's instance, if it runs.
    ///
    /// # Panics
    /// When `/proc` cannot be read.
    pub fn process(&self, instance: &str) -> Option<u32> {
        let service = self
            .services
            .iter()
            .find(|(_, entry)| entry.instances.iter().any(|id| id == instance))?;
        self.find(service.0, &[format!("PLAZA_INSTANCE={instance}")])
    }

    /// The process of a program that this mesh has one of, if it runs.
    ///
    /// # Panics
    /// As [`Mesh::process`].
    pub fn program(&self, name: &str) -> Option<u32> {
        self.find(name, &[])
    }

    /// A process of this mesh by the name of its program and what its environment has.
    fn find(&self, program: &str, marks: &[String]) -> Option<u32> {
        let mut processes = processes(&self.state);
        let found = processes.find(|process| {
            process.is(program) && marks.iter().all(|mark| process.has(mark.as_bytes()))
        });
        found.map(|process| process.id)
    }
}

/// A process of a mesh.
#[derive(Debug)]
pub struct Running {
    /// Its number.
    pub id: u32,
    /// The file of its program.
    pub program: String,
    /// The name that it was called by: Debian's `redis-server` is a link to another program.
    called: String,
    environment: Vec<u8>,
}

impl Running {
    fn read(entry: &fs::DirEntry) -> Option<Self> {
        let file = fs::read_link(entry.path().join("exe")).ok()?;
        let name = file.file_name()?.to_str()?;
        let called = fs::read_to_string(entry.path().join("comm")).ok()?;
        Some(Self {
            id: entry.file_name().to_str()?.parse().ok()?,
            program: name.trim_end_matches(" (deleted)").to_owned(),
            called: called.trim_end().to_owned(),
            environment: fs::read(entry.path().join("environ")).ok()?,
        })
    }

    fn is(&self, program: &str) -> bool {
        [&self.program, &self.called].contains(&&program.to_owned())
    }

    fn has(&self, variable: &[u8]) -> bool {
        let mut variables = self.environment.split(|byte| *byte == 0);
        variables.any(|found| found == variable)
    }
}

/// The processes of the mesh that keeps its settings in this folder.
///
/// # Panics
/// When `/proc` cannot be read.
pub fn processes(state: &Path) -> impl Iterator<Item = Running> {
    let mark = format!("PLAZA_MESH_DIR={}", state.display());
    let entries = fs::read_dir("/proc").expect("/proc");
    let running = entries.filter_map(|entry| Running::read(&entry.ok()?));
    running.filter(move |process| process.has(mark.as_bytes()))
}

/// A client without pooled connections: each test sees what a new client would.
///
/// # Panics
/// When no client can be made.
pub fn client() -> Client {
    Client::builder()
        .timeout(Duration::from_secs(20))
        .pool_max_idle_per_host(0)
        .build()
        .expect("a client can be made")
}
