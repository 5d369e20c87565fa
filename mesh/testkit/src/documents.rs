//! A document store of a test's own, which can be killed and comes back with the same data.

use std::{
    os::unix::net::UnixStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::unique;

/// Variable with the path of the program.
const PROGRAM: &str = "TEST_DOCUMENTS";
/// What starting may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// The embedded store over SQLite, whose end is that of this value.
#[derive(Debug)]
pub struct DocumentStore {
    /// Not where the data is: a full disk has no room for a socket.
    socket: TempDir,
    data: Arc<TempDir>,
    url: String,
    database: String,
    process: Option<Child>,
}

impl DocumentStore {
    /// Starts one that keeps its files in `data`.
    ///
    /// # Panics
    /// When the tests are not run by `cargo mesh test`, or it does not listen in time.
    pub fn start_in(data: Arc<TempDir>) -> Self {
        let socket = tempfile::tempdir().expect("a temporary folder");
        let mut store = Self {
            socket,
            data,
            url: String::new(),
            database: unique("test_"),
            process: None,
        };
        let path = store.path().display().to_string();
        store.url = format!("mongodb://{}/", path.replace('/', "%2F"));
        store.restart();
        store
    }

    /// What makes a service use it, before other flags.
    pub fn flags<'a>(&'a self, others: &[&'a str]) -> Vec<&'a str> {
        let own = [
            "--documents-url",
            &self.url,
            "--documents-db",
            &self.database,
        ];
        [&own, others].concat()
    }

    /// Ends it at once, as `kill -9` does.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Starts it again where it was, with what it kept.
    ///
    /// # Panics
    /// As [`DocumentStore::start_in`].
    pub fn restart(&mut self) {
        self.kill();
        let program = std::env::var(PROGRAM);
        let program = program
            .unwrap_or_else(|_| panic!("{PROGRAM} is not set: run the tests by `cargo mesh test`"));
        let process = Command::new(program)
            .arg("-socket")
            .arg(self.path())
            .arg("-dir")
            .arg(self.data.path())
            .stdout(Stdio::null())
            .spawn();
        self.process = Some(process.expect("the document store can be started"));
        let deadline = Instant::now() + DEADLINE;
        while UnixStream::connect(self.path()).is_err() {
            assert!(
                Instant::now() < deadline,
                "the document store does not listen in time"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn path(&self) -> PathBuf {
        // A folder of its own, which the program makes for itself alone.
        self.socket.path().join("own").join("documents.sock")
    }
}

impl Drop for DocumentStore {
    fn drop(&mut self) {
        self.kill();
    }
}
