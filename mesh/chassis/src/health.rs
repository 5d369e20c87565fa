//! `<binary> health`: asks the process beside it whether it is ready, for images that have no shell and no curl.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};

/// What the answer may take: a store that does not answer costs a second of it.
const PATIENCE: Duration = Duration::from_secs(3);

/// Asks `/readyz` of the admin listener at `admin`, as this process would bind it.
///
/// # Errors
/// When it is not ready, does not answer, or has no port that can be known from here.
pub(crate) fn ask(admin: SocketAddr) -> anyhow::Result<()> {
    ensure!(
        admin.port() != 0,
        "ADMIN_ADDR: give it a port, so that `health` can find it"
    );
    let mut address = admin;
    if address.ip().is_unspecified() {
        address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    let mut stream =
        TcpStream::connect_timeout(&address, PATIENCE).context("nothing listens there")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(4096).read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1);
    if status != Some("200") {
        bail!("{}", answer.lines().last().unwrap_or("no answer"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn answering(text: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 512]);
            stream.write_all(text.as_bytes()).unwrap();
        });
        address
    }

    #[test]
    fn s0_21_health_is_what_readyz_says() {
        assert!(ask(answering("HTTP/1.1 200 OK\r\n\r\nready")).is_ok());
        let draining = ask(answering(
            "HTTP/1.1 503 Service Unavailable\r\n\r\nstarting or draining",
        ));
        assert_eq!(draining.unwrap_err().to_string(), "starting or draining");
    }

    #[test]
    fn a_port_that_the_system_chooses_cannot_be_asked() {
        assert!(ask(([127, 0, 0, 1], 0).into()).is_err());
    }
}
