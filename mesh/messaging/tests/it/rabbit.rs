//! A RabbitMQ of a test's own, which can be killed and comes back with the same data.

use std::{
    net::TcpListener,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

#[derive(Debug)]
pub(crate) struct Rabbit {
    folder: TempDir,
    port: u16,
    distribution: u16,
    epmd: u16,
    running: Option<Child>,
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// What the brokers of a mesh load.
const DEFINITIONS: &str = include_str!("../../../../stores/rabbitmq.json");

impl Rabbit {
    /// One that knows nobody but `guest`, and has nothing.
    pub(crate) fn start() -> Self {
        Self::begin(tempfile::tempdir().unwrap())
    }

    /// One of a mesh, where nobody has been yet; passwords are their names.
    pub(crate) fn defined() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let definitions = DEFINITIONS.replace("${secret.", "").replace("}\"", "\"");
        let path = folder.path().join("definitions.json");
        std::fs::write(&path, definitions).unwrap();
        let settings = format!("load_definitions = {}\n", path.display());
        std::fs::write(folder.path().join("settings.conf"), settings).unwrap();
        Self::begin(folder)
    }

    fn begin(folder: TempDir) -> Self {
        std::fs::write(folder.path().join("plugins"), "[].\n").unwrap();
        let mut rabbit = Self {
            port: free_port(),
            distribution: free_port(),
            epmd: free_port(),
            folder,
            running: None,
        };
        rabbit.restart();
        rabbit
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// As a service sees it, or the operator.
    pub(crate) fn url_of(&self, user: &str) -> String {
        let password = match user {
            "plaza" => "rabbitmq".to_owned(),
            service => format!("rabbitmq-{service}"),
        };
        format!("amqp://{user}:{password}@127.0.0.1:{}/", self.port)
    }

    pub(crate) fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/?prefix=", self.port)
    }

    /// A command with the environment that makes it this node's.
    fn command(&self, program: impl AsRef<Path>) -> Command {
        let folder = self.folder.path();
        let mut command = Command::new(program.as_ref());
        command
            .env("HOME", folder)
            .env("RABBITMQ_NODENAME", format!("test{}@localhost", self.port))
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", self.port.to_string())
            .env("RABBITMQ_DIST_PORT", self.distribution.to_string())
            .env("RABBITMQ_MNESIA_BASE", folder.join("data"))
            .env("RABBITMQ_LOG_BASE", folder.join("logs"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", folder.join("plugins"))
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            .env("RABBITMQ_CONFIG_FILE", folder.join("settings"))
            .env("ERL_EPMD_PORT", self.epmd.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    pub(crate) fn restart(&mut self) {
        let server = self.command(SERVER).process_group(0).spawn();
        self.running = Some(server.expect("RabbitMQ is installed"));
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            let group = i32::try_from(running.id()).ok().and_then(Pid::from_raw);
            kill_process_group(group.unwrap(), Signal::KILL).unwrap();
            running.wait().unwrap();
        }
    }

    /// Stops it without a word to anybody, or lets it go on.
    pub(crate) fn freeze(&self, on: bool) {
        let signal = if on { Signal::STOP } else { Signal::CONT };
        let group = self.running.as_ref().unwrap().id();
        let group = i32::try_from(group).ok().and_then(Pid::from_raw);
        kill_process_group(group.unwrap(), signal).unwrap();
    }

    /// Lets it run out of memory, or not: it takes no more messages while it has.
    pub(crate) fn alarm(&self, on: bool) {
        let watermark = if on { "0" } else { "0.4" };
        let mut control = self.command("/usr/lib/rabbitmq/bin/rabbitmqctl");
        control.args(["set_vm_memory_high_watermark", watermark]);
        assert!(control.status().unwrap().success());
    }
}

impl Drop for Rabbit {
    fn drop(&mut self) {
        self.kill();
        // The port mapper that Erlang started beside it refuses until it noticed that the node is gone.
        for _ in 0..100 {
            let mut mapper = self.command("/usr/bin/epmd");
            if mapper
                .arg("-kill")
                .status()
                .is_ok_and(|status| status.success())
            {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
