//! A real browser, told what to do by the `WebDriver` protocol: JSON over HTTP, so no further crate is needed.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::unix::fs::MetadataExt as _,
    process::Stdio,
    time::Duration,
};

use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use crate::eventually;

/// Variable with the path of the browser's driver.
const DRIVER: &str = "TEST_CHROMEDRIVER";
/// What the browser may take for one step, its start included.
const PATIENCE: Duration = Duration::from_secs(40);
/// How often a driver is started that ends at once.
const STARTS: u32 = 5;
/// What it may take to end, when it was told to.
const ENDING: Duration = Duration::from_secs(3);

/// A headless Chromium with one page, gone when this is.
#[derive(Debug)]
pub struct Browser {
    client: Client,
    driver: SocketAddr,
    session: String,
    _process: Child,
}

impl Browser {
    /// Starts one.
    ///
    /// # Panics
    /// When it does not start, or the tests are not run by `cargo mesh test`.
    pub async fn start() -> Self {
        let driver = std::env::var(DRIVER).unwrap_or_else(|_| {
            panic!("{DRIVER} is not set: run the tests by `cargo mesh test`, which gets a browser")
        });
        let (process, port) = listening(&driver).await;
        let client = Client::builder().timeout(PATIENCE).build();
        let mut browser = Self {
            client: client.expect("a client can be made"),
            driver: ([127, 0, 0, 1], port).into(),
            session: String::new(),
            _process: process,
        };
        let made = browser.ask(Method::POST, "", &capabilities()).await;
        made["sessionId"]
            .as_str()
            .expect("a session has an id")
            .clone_into(&mut browser.session);
        browser
    }

    /// Opens a page and waits until it is loaded.
    pub async fn open(&self, url: &str) {
        self.ask(Method::POST, "/url", &json!({ "url": url })).await;
    }

    /// What a script in the page returns.
    pub async fn run(&self, script: &str) -> Value {
        let body = json!({ "script": script, "args": [] });
        self.ask(Method::POST, "/execute/sync", &body).await
    }

    /// Waits until an expression in the page is true. One that throws is not: the page may just be changing.
    pub async fn until(&self, expression: &str) {
        eventually(expression, || async {
            let script = format!("try {{ return Boolean({expression}) }} catch {{ return false }}");
            match self.run(&script).await {
                Value::Bool(true) => Ok(()),
                _ => Err(self.run("return document.body.innerText").await.to_string()),
            }
        })
        .await;
    }

    /// Clicks, as a person would, on the first element that a selector finds, once there is one.
    ///
    /// # Panics
    /// When there is none in time, or it cannot be clicked.
    pub async fn click(&self, selector: &str) {
        self.until(&format!("document.querySelector({selector:?})"))
            .await;
        let by = json!({ "using": "css selector", "value": selector });
        let found = self.ask(Method::POST, "/element", &by).await;
        let id = found
            .as_object()
            .and_then(|element| element.values().next());
        let id = id.and_then(Value::as_str).expect("an element has an id");
        self.ask(Method::POST, &format!("/element/{id}/click"), &json!({}))
            .await;
    }

    /// What the browser complained about since the last time: errors of scripts, files that did not load, and
    /// violations of the page's own policy.
    pub async fn complaints(&self) -> Vec<Value> {
        let log = self
            .ask(Method::POST, "/se/log", &json!({ "type": "browser" }))
            .await;
        let entries = log.as_array().cloned().unwrap_or_default();
        let bad = |entry: &Value| entry["level"] == "SEVERE" || entry["level"] == "WARNING";
        entries.into_iter().filter(bad).collect()
    }

    async fn ask(&self, method: Method, path: &str, body: &Value) -> Value {
        let (driver, session) = (self.driver, &self.session);
        let separator = if session.is_empty() { "" } else { "/" };
        let url = format!("http://{driver}/session{separator}{session}{path}");
        let answer = self.client.request(method, &url).json(body).send().await;
        let answer = answer.unwrap_or_else(|error| panic!("{path}: {error}"));
        let good = answer.status().is_success();
        let mut answer: Value = answer.json().await.expect("the driver answers JSON");
        assert!(good, "{path} {body}: {answer}");
        answer["value"].take()
    }
}

/// Ends the browser too: the driver would leave it behind.
impl Drop for Browser {
    fn drop(&mut self) {
        let Ok(mut stream) = TcpStream::connect(self.driver) else {
            return;
        };
        let _ = stream.set_read_timeout(Some(PATIENCE));
        let (session, host) = (&self.session, self.driver);
        let asked = write!(
            stream,
            "DELETE /session/{session} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"
        );
        if asked.is_ok() {
            // It answers when it has told the browser to end, which takes a moment, and never closes a connection itself.
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.set_read_timeout(Some(ENDING));
            let _ = stream.read_to_end(&mut Vec::new());
        }
    }
}

/// A driver that listens, and on which port.
///
/// It lets the system choose a port of IPv4, and ends when the same port of IPv6 is taken, as happens where thousands of
/// connections have one: the next start gets another.
async fn listening(driver: &str) -> (Child, u16) {
    for _ in 0..STARTS {
        let mut process = Command::new(driver)
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{driver}: {error}"));
        if let Some(port) = port(&mut process).await {
            return (process, port);
        }
    }
    panic!("the driver ended {STARTS} times without saying its port");
}

/// The port that the driver says it listens on; none when it ends before.
async fn port(process: &mut Child) -> Option<u16> {
    let output = process.stdout.take().expect("the output is a pipe");
    let mut lines = BufReader::new(output).lines();
    let listens = async {
        while let Ok(Some(line)) = lines.next_line().await {
            // `Starting ChromeDriver … on port 0` comes before.
            let port = line.split("successfully on port ").nth(1);
            if let Some(port) = port.and_then(|port| port.trim_end_matches('.').parse().ok()) {
                return Some(port);
            }
        }
        None
    };
    let port = tokio::time::timeout(PATIENCE, listens).await;
    port.expect("the driver starts in time")
}

fn capabilities() -> Value {
    let mut flags = vec![
        "--headless=new",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--no-first-run",
        "--window-size=1280,1000",
    ];
    // Chromium's sandbox refuses to be root's.
    let root = std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    if root {
        flags.push("--no-sandbox");
    }
    json!({ "capabilities": { "alwaysMatch": {
        "browserName": "chrome",
        "goog:chromeOptions": { "args": flags },
        "goog:loggingPrefs": { "browser": "ALL" },
    } } })
}
