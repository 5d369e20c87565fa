//! The least that anybody can do: one prepared frame, written to one connection after the other.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener},
    process::{Child, ChildStdin, Command, ExitCode, Stdio},
};

use anyhow::{Context, Result};

/// What the loop writes.
#[derive(clap::Args)]
pub struct Options {
    /// Connections that it waits for.
    #[arg(long)]
    sockets: usize,
    /// The text of the frame.
    #[arg(long)]
    text: String,
}

/// Accepts all connections, then writes a round for each line.
pub fn run(options: &Options) -> Result<ExitCode> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    let mut connections = Vec::new();
    while connections.len() < options.sockets {
        let (connection, _) = listener.accept()?;
        connection.set_nodelay(true)?;
        connections.push(connection);
    }
    let frame = frame(&options.text);
    for line in std::io::stdin().lines() {
        line?;
        for connection in &mut connections {
            connection.write_all(&frame)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A text frame of RFC 6455, from a server: not masked.
fn frame(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    let mut frame = vec![0x81];
    match u8::try_from(length) {
        Ok(short) if short < 126 => frame.push(short),
        _ => {
            frame.push(126);
            frame.extend(length.to_be_bytes());
        }
    }
    frame.extend(text.as_bytes());
    frame
}

/// The loop as a process of its own, as the service is one.
pub struct Bare {
    process: Child,
    rounds: ChildStdin,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Bare {
    /// Starts it.
    pub fn start(sockets: usize, text: &str) -> Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["bare-loop", "--sockets", &sockets.to_string()])
            .args(["--text", text])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = process.stdout.take().context("a pipe")?;
        let mut address = String::new();
        BufReader::new(output).read_line(&mut address)?;
        Ok(Self {
            rounds: process.stdin.take().context("a pipe")?,
            address: address.trim().parse()?,
            process,
        })
    }

    /// Writes a round.
    pub fn say(&mut self) -> Result<()> {
        Ok(self.rounds.write_all(b"\n")?)
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
