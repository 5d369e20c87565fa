//! `/livez` and `/metrics`, for Consul and Prometheus.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use anyhow::{Context as _, Result};

/// What a client may take to ask, and to read.
const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes of a request that are read: its first line is enough.
const HEAD: usize = 4096;

/// Answers on a thread of its own, one client after the other.
pub(crate) fn listen(address: SocketAddr) -> Result<SocketAddr> {
    let listener =
        TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))?;
    let bound = listener.local_addr()?;
    std::thread::spawn(move || {
        for stream in listener.incoming().filter_map(Result::ok) {
            // A client that goes away meanwhile is not missed.
            let _ = answer(stream);
        }
    });
    tracing::info!(admin = %bound, "autoscaler listens");
    Ok(bound)
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut head = Vec::new();
    let mut part = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < HEAD {
        match stream.read(&mut part)? {
            0 => break,
            read => head.extend_from_slice(&part[..read]),
        }
    }
    let head = String::from_utf8_lossy(&head);
    let (status, body) = match head.split(' ').nth(1) {
        Some("/livez") => ("200 OK", "alive".to_owned()),
        Some("/metrics") => ("200 OK", telemetry::metrics::render()),
        _ => ("404 Not Found", "livez and metrics are here".to_owned()),
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

#[cfg(test)]
mod tests {
    use loopback::Target;

    use super::*;

    #[test]
    fn it_says_that_it_lives() {
        let bound = listen(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let target = Target::Port(bound.port());
        assert_eq!(loopback::get(&target, "/livez").unwrap().text(), "alive");
        assert_eq!(loopback::get(&target, "/").unwrap().status, 404);
    }
}
