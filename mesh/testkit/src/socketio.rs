//! The client of Socket.IO that its makers publish at npm, told what to do by lines of JSON.

use std::{path::PathBuf, process::Stdio, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

/// Variable with the path of Node.js.
const NODE: &str = "TEST_NODE";
/// Variable with the folder that has the client's `node_modules`.
const CLIENT: &str = "TEST_SOCKETIO";
/// What the client may take for one step, its start included.
const PATIENCE: Duration = Duration::from_mins(1);

/// A client in a process of its own, gone when this is.
#[derive(Debug)]
pub struct SocketIo {
    commands: ChildStdin,
    events: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl SocketIo {
    /// Starts one that connects to a server, with the options of the client; it stays in the
    /// rooms that it joins by [`SocketIo::join`] when its connection comes back.
    ///
    /// # Panics
    /// When it does not start, or the tests are not run by `cargo mesh test`.
    pub fn open(url: &str, options: &Value) -> Self {
        let variable = |name: &str| {
            std::env::var(name).unwrap_or_else(|_| {
                panic!("{name} is not set: run the tests by `cargo mesh test`, which gets it")
            })
        };
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("socketio/client.js");
        let mut process = Command::new(variable(NODE))
            .arg(script)
            .args([url, &options.to_string()])
            .env(CLIENT, variable(CLIENT))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node runs");
        let events = process.stdout.take().expect("its output is a pipe");
        Self {
            commands: process.stdin.take().expect("its input is a pipe"),
            events: BufReader::new(events).lines(),
            _process: process,
        }
    }

    /// Joins a room, now and whenever it connects again, after the last comment that it saw there.
    pub async fn join(&mut self, room: &str) -> Value {
        self.command(&json!({ "join": room })).await;
        self.until("joined").await[2].clone()
    }

    /// Sends an event.
    pub async fn emit(&mut self, event: &str, data: Value) {
        self.command(&json!({ "emit": [event, data] })).await;
    }

    /// Sends an event and waits for its answer; events before that are skipped.
    pub async fn ask(&mut self, event: &str, data: Value) -> Value {
        self.command(&json!({ "ask": [event, data] })).await;
        self.until("answer").await[1].clone()
    }

    /// What happens next: an event and its data, as an array.
    ///
    /// # Panics
    /// When nothing happens in time.
    pub async fn next(&mut self) -> Value {
        let line = tokio::time::timeout(PATIENCE, self.events.next_line()).await;
        let line = line.expect("the client says nothing");
        let line = line.expect("its output is text").expect("the client runs");
        serde_json::from_str(&line).expect("the client speaks JSON")
    }

    /// Waits for an event and skips others.
    ///
    /// # Panics
    /// When it does not come in time.
    pub async fn until(&mut self, event: &str) -> Value {
        loop {
            let happened = self.next().await;
            if happened[0] == event {
                return happened;
            }
        }
    }

    async fn command(&mut self, command: &Value) {
        let line = format!("{command}\n");
        let sent = self.commands.write_all(line.as_bytes()).await;
        sent.expect("the client listens");
    }
}
