//! Where an application listens: on a port, or on a Unix socket.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    str::FromStr,
};

/// Begins what is written of a socket.
const UNIX: &str = "unix:";
/// Bytes of a socket's path at most: the kernel has room for 108, of which one ends it.
const LONGEST_PATH: usize = 107;

/// Where an application listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A port, which every process of the machine reaches.
    Port(SocketAddr),
    /// A Unix socket, which those reach who may enter its folder.
    Socket(PathBuf),
}

impl Place {
    /// The address and port, if it is one.
    pub fn port(&self) -> Option<SocketAddr> {
        match self {
            Self::Port(address) => Some(*address),
            Self::Socket(_) => None,
        }
    }

    /// The path of the socket, if it is one.
    pub fn socket(&self) -> Option<&Path> {
        match self {
            Self::Port(_) => None,
            Self::Socket(path) => Some(path),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(address) => address.fmt(formatter),
            Self::Socket(path) => write!(formatter, "{UNIX}{}", path.display()),
        }
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some(path) = text.strip_prefix(UNIX) else {
            let address = text.parse().map(Self::Port);
            return address
                .map_err(|_| "write <address>:<port>, or unix:<path of a socket>".to_owned());
        };
        if !path.starts_with('/') {
            return Err("the path of a socket begins with /".to_owned());
        }
        if path.len() > LONGEST_PATH {
            return Err(format!(
                "the path of a socket has {LONGEST_PATH} bytes at most, and this one {}",
                path.len()
            ));
        }
        Ok(Self::Socket(path.into()))
    }
}

impl From<SocketAddr> for Place {
    fn from(address: SocketAddr) -> Self {
        Self::Port(address)
    }
}

impl<I: Into<IpAddr>> From<(I, u16)> for Place {
    fn from(address: (I, u16)) -> Self {
        Self::Port(address.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_written_as_it_is_read() {
        for text in ["127.0.0.1:0", "[::1]:8000", "unix:/run/users/app.sock"] {
            let place: Place = text.parse().unwrap();
            assert_eq!(place.to_string(), text);
            assert_eq!(place.socket().is_some(), text.starts_with(UNIX));
        }
    }

    #[test]
    fn what_no_kernel_can_bind_is_refused_with_a_reason() {
        let long = format!("unix:/{}", "x".repeat(LONGEST_PATH));
        for (text, reason) in [
            ("users", "<address>:<port>"),
            ("unix:", "begins with /"),
            ("unix:app.sock", "begins with /"),
            (&long, "107 bytes at most, and this one 108"),
        ] {
            let refused = text.parse::<Place>().unwrap_err();
            assert!(refused.contains(reason), "{text}: {refused}");
        }
    }
}
