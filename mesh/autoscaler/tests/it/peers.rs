//! Whoever the autoscaler talks to.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader, Read, Write},
    net::TcpListener,
    os::unix::net::UnixListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::eventually;

/// What all of them share.
#[derive(Default)]
struct State {
    running: BTreeSet<String>,
    load: Option<f64>,
    under_way: u32,
    refused: Option<&'static str>,
    questions: usize,
    looks: usize,
    actions: Vec<String>,
}

type Shared = Arc<Mutex<State>>;

/// A service `shop` with one instance, of which there may be two.
pub struct World {
    folder: TempDir,
    state: Shared,
    prometheus: u16,
    child: Mutex<Option<Child>>,
    admin: Mutex<Option<u16>>,
}

impl World {
    /// Everything but the autoscaler.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let state = Shared::default();
        for name in ["shop-1", "shop-1-envoy"] {
            state.lock().unwrap().running.insert(name.to_owned());
        }
        for name in ["shop-1", "shop-2"] {
            let file = folder.path().join(format!("{name}.registration"));
            fs::write(file, "{}").unwrap();
        }
        for name in ["service-shop", "envoy"] {
            fs::write(folder.path().join(name), "a token\n").unwrap();
        }
        let socket = folder.path().join("supervisor.sock");
        let supervisor = UnixListener::bind(&socket).unwrap();
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in supervisor.incoming().filter_map(Result::ok) {
                answer(stream, |request| supervise(&shared, request));
            }
        });
        let instance = serve(&state, |state, _| {
            let mut state = state.lock().unwrap();
            state.looks += 1;
            let text = format!(
                "http_requests_in_flight {}\nhttp_requests_total 7\n",
                state.under_way
            );
            (200, text)
        });
        let consul = serve(&state, move |state, request| {
            consul(state, request, instance)
        });
        let prometheus = serve(&state, prometheus);
        let metric =
            json!({ "name": "in_flight", "query": "x", "target": 10.0, "of_instances": true });
        let policy = json!({
            "identity": "shop", "instances": ["shop-1", "shop-2"], "min": 1, "max": 2,
            "down_after_seconds": 1, "metrics": [metric],
        });
        let plan = json!({
            "act": true, "every_seconds": 1, "prometheus": prometheus, "consul": consul,
            "supervisor": socket, "secrets": folder.path(), "proxies": folder.path(), "policies": [policy],
        });
        fs::write(folder.path().join("plan.json"), plan.to_string()).unwrap();
        Self {
            folder,
            state,
            prometheus,
            child: Mutex::default(),
            admin: Mutex::default(),
        }
    }

    /// Starts the autoscaler.
    pub fn run(&self) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_autoscaler"))
            .arg("--plan")
            .arg(self.folder.path().join("plan.json"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        let first: Value = serde_json::from_str(&first).unwrap();
        let admin = first["admin"].as_str().unwrap().rsplit(':').next().unwrap();
        *self.admin.lock().unwrap() = Some(admin.parse().unwrap());
        *self.child.lock().unwrap() = Some(child);
        // What nobody reads would stop the writer.
        std::thread::spawn(move || lines.for_each(drop));
    }

    /// Changes the plan, whole or not at all.
    pub fn plan(&self, change: impl FnOnce(&mut Value)) {
        let (path, draft) = (
            self.folder.path().join("plan.json"),
            self.folder.path().join("draft"),
        );
        let mut plan: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut plan);
        fs::write(&draft, plan.to_string()).unwrap();
        fs::rename(draft, path).unwrap();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// What Prometheus says of each instance; nothing when it has no data.
    pub fn load(&self, value: Option<f64>) {
        self.state().load = value;
    }

    /// How many requests the instance has.
    pub fn under_way(&self, number: u32) {
        self.state().under_way = number;
    }

    /// Consul refuses calls with this word in their path.
    pub fn refuse(&self, word: &'static str) {
        self.state().refused = Some(word);
    }

    /// A pair that runs from the beginning.
    pub fn starts(&self, instance: &str) {
        let mut state = self.state();
        state.running.insert(instance.to_owned());
        state.running.insert(format!("{instance}-envoy"));
    }

    pub fn prometheus(&self) -> u16 {
        self.prometheus
    }

    /// Every call that changes something, in order.
    pub fn actions(&self) -> Vec<String> {
        self.state().actions.clone()
    }

    pub fn questions(&self) -> usize {
        self.state().questions
    }

    pub fn looks(&self) -> usize {
        self.state().looks
    }

    pub fn registration(&self, instance: &str) -> PathBuf {
        self.folder.path().join(format!("{instance}.registration"))
    }

    /// Waits for a call.
    pub async fn called(&self, call: &str) {
        eventually(call, || async {
            let actions = self.actions();
            let found = actions.iter().any(|action| action == call);
            found.then_some(()).ok_or(format!("{actions:#?}"))
        })
        .await;
    }

    /// Waits until Prometheus was asked so often.
    pub async fn asked(&self, times: usize) {
        eventually("questions to Prometheus", || async {
            let now = self.questions();
            (now >= times).then_some(()).ok_or(now.to_string())
        })
        .await;
    }

    /// Waits until the instance was looked at so often.
    pub async fn looked_at(&self, times: usize) {
        eventually("looks at the instance", || async {
            let now = self.looks();
            (now >= times).then_some(()).ok_or(now.to_string())
        })
        .await;
    }

    /// A figure of the autoscaler; 0 before it is there, and where there is no answer.
    pub fn figure(&self, series: &str) -> f64 {
        let port = self.admin.lock().unwrap().unwrap();
        let answer = loopback::get(&loopback::Target::Port(port), "/metrics");
        let text = answer.map(|answer| answer.text()).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(series));
        let value = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
        value.unwrap_or_default()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.lock().unwrap().take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

type Answer = (u16, String);

/// Answers on a port of its own.
fn serve(state: &Shared, handle: impl Fn(&Shared, &str) -> Answer + Send + 'static) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let (port, state) = (listener.local_addr().unwrap().port(), Arc::clone(state));
    std::thread::spawn(move || {
        for stream in listener.incoming().filter_map(Result::ok) {
            answer(stream, |request| handle(&state, request));
        }
    });
    port
}

/// Reads one request without a body, as `METHOD path`, and answers.
fn answer(mut stream: impl Read + Write, handle: impl FnOnce(&str) -> Answer) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let line = head.lines().next().unwrap_or_default();
    let (status, body) = handle(line.trim_end_matches(" HTTP/1.1"));
    let length = body.len();
    let _ = write!(
        stream,
        "HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
}

fn supervise(state: &Shared, request: &str) -> Answer {
    let mut state = state.lock().unwrap();
    if let Some(name) = request.strip_prefix("POST /process/start/") {
        state.running.insert(name.to_owned());
    } else if let Some(name) = request.strip_prefix("PATCH /process/stop/") {
        state.running.remove(name);
    } else {
        let processes = ["shop-1", "shop-1-envoy", "shop-2", "shop-2-envoy"].map(|name| {
            let runs = state.running.contains(name);
            let status = if runs { "Running" } else { "Disabled" };
            json!({ "name": name, "status": status, "is_running": runs })
        });
        return (200, json!({ "data": processes }).to_string());
    }
    state.actions.push(request.to_owned());
    (200, "{}".to_owned())
}

fn consul(state: &Shared, request: &str, instance: u16) -> Answer {
    let mut state = state.lock().unwrap();
    if state.refused.is_some_and(|word| request.contains(word)) {
        return (500, "no leader".to_owned());
    }
    if request.starts_with("PUT") {
        state.actions.push(request.to_owned());
    }
    let service = json!({ "Meta": { "admin_port": instance.to_string() } });
    (200, service.to_string())
}

fn prometheus(state: &Shared, _: &str) -> Answer {
    let mut state = state.lock().unwrap();
    state.questions += 1;
    let samples: Vec<Value> = state
        .load
        .iter()
        .flat_map(|value| {
            ["shop-1", "shop-2"].map(|instance| {
            json!({ "metric": { "instance": instance }, "value": [1, value.to_string()] })
        })
        })
        .collect();
    (
        200,
        json!({ "status": "success", "data": { "result": samples } }).to_string(),
    )
}
