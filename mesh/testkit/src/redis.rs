//! A Redis of a test's own, to be emptied, stopped and started again.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::Frozen;

/// What starting and stopping may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// Says things on channels of a [`RedisServer`], as another process would.
#[derive(Debug)]
pub struct Publisher(BufReader<TcpStream>);

impl Publisher {
    /// Connects to a server by its URL.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn connect(url: &str) -> io::Result<Self> {
        let address = url.trim_start_matches("redis://").trim_end_matches("/0");
        let connection = TcpStream::connect(address)?;
        connection.set_nodelay(true)?;
        Ok(Self(BufReader::new(connection)))
    }

    /// Says something; how many heard it.
    ///
    /// # Errors
    /// When the connection breaks or the answer is no number.
    pub fn say(&mut self, channel: &str, message: &[u8]) -> io::Result<usize> {
        let mut command = b"*3\r\n".to_vec();
        for word in [b"PUBLISH", channel.as_bytes(), message] {
            command.extend(format!("${}\r\n", word.len()).bytes());
            command.extend([word, b"\r\n"].concat());
        }
        self.0.get_mut().write_all(&command)?;
        let mut answer = String::new();
        self.0.read_line(&mut answer)?;
        let heard = answer.trim().trim_start_matches(':').parse();
        heard.map_err(|_| io::Error::other(format!("Redis answered {answer:?}")))
    }
}

/// A `redis-server` that keeps nothing on disk.
#[derive(Debug)]
pub struct RedisServer {
    port: u16,
    process: Option<Child>,
}

impl RedisServer {
    /// Starts one on a free port.
    ///
    /// # Panics
    /// When the program is missing or does not listen in time.
    pub fn start() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let mut server = Self {
            port: free.expect("a port is free").port(),
            process: None,
        };
        server.restart();
        server
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Forgets everything, as `FLUSHALL` by hand does.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn flush(&self) {
        self.order("FLUSHALL");
    }

    /// Holds it still until the answer is dropped; it does then what it was told meanwhile.
    ///
    /// # Panics
    /// When it does not run.
    pub fn freeze(&self) -> Frozen {
        let process = self.process.as_ref().expect("redis-server runs");
        Frozen::new(process.id())
    }

    fn order(&self, command: &str) {
        let mut answer = [0; 5];
        let done = TcpStream::connect(("127.0.0.1", self.port)).and_then(|mut stream| {
            stream.write_all(format!("{command}\r\n").as_bytes())?;
            stream.read_exact(&mut answer)
        });
        assert!(done.is_ok() && &answer == b"+OK\r\n", "{command}: {done:?}");
    }

    /// Ends it at once, as `kill -9` does.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Starts it again where it was, empty.
    ///
    /// # Panics
    /// As [`RedisServer::start`].
    pub fn restart(&mut self) {
        self.kill();
        let process = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(["--port", &self.port.to_string(), "--dir", "/"])
            .stdout(Stdio::null())
            .spawn();
        self.process = Some(process.expect("redis-server is installed"));
        let deadline = Instant::now() + DEADLINE;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(
                Instant::now() < deadline,
                "redis-server does not listen in time"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}
