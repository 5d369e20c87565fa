//! Where requests come in: a port, or a Unix socket that only its owner's processes reach.

use std::{
    fs::{self, DirBuilder, File, Permissions},
    io,
    net::SocketAddr,
    os::unix::{
        fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
        net::UnixStream as Probe,
    },
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use discovery::Place;
use tokio::net::{TcpListener, UnixListener, UnixSocket};
use tokio_util::either::Either;

use crate::connection::Connection;

/// Connections that may wait to be accepted; the kernel's own bound (`somaxconn`) may be lower. A Unix socket refuses
/// those beyond it at once, where a port would let them try again.
const BACKLOG: u32 = 4096;

/// A bound listener; its end is that of the socket's file too.
#[derive(Debug)]
pub(crate) struct Listener {
    kind: Kind,
    place: Place,
}

#[derive(Debug)]
enum Kind {
    Port(TcpListener),
    Socket {
        listener: UnixListener,
        /// Removes the file at the end.
        _name: Name,
    },
}

impl Listener {
    /// Binds `place`, which the setting `variable` names.
    ///
    /// # Errors
    /// When somebody listens there already, or others may enter the folder of the socket.
    pub(crate) async fn bind(place: Place, variable: &str) -> anyhow::Result<Self> {
        match place {
            Place::Port(address) => Ok(Self::on_port(address, variable).await?.0),
            Place::Socket(path) => {
                let (listener, name) = bind_socket(&path)
                    .with_context(|| format!("{variable}: cannot listen on {}", path.display()))?;
                Ok(Self {
                    kind: Kind::Socket {
                        listener,
                        _name: name,
                    },
                    place: Place::Socket(path),
                })
            }
        }
    }

    /// Binds a port, which the system chooses for 0; where it is then.
    ///
    /// # Errors
    /// When somebody listens there already.
    pub(crate) async fn on_port(
        address: SocketAddr,
        variable: &str,
    ) -> anyhow::Result<(Self, SocketAddr)> {
        let listener = TcpListener::bind(address).await.with_context(|| {
            format!("{variable}: cannot listen on {address}; is the port taken?")
        })?;
        let address = listener.local_addr()?;
        let (kind, place) = (Kind::Port(listener), Place::Port(address));
        Ok((Self { kind, place }, address))
    }

    /// Where it listens.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// The next connection.
    pub(crate) async fn accept(&self) -> io::Result<Connection> {
        match &self.kind {
            Kind::Port(listener) => {
                let (stream, _) = listener.accept().await?;
                let _ = stream.set_nodelay(true);
                Ok(Either::Left(stream))
            }
            Kind::Socket { listener, .. } => Ok(Either::Right(listener.accept().await?.0)),
        }
    }
}

/// The file of a socket that this process has bound.
#[derive(Debug)]
struct Name {
    path: PathBuf,
    /// Device and number of the file: another process may have its own at the same path by now.
    file: (u64, u64),
}

impl Drop for Name {
    fn drop(&mut self) {
        if file_at(&self.path).is_ok_and(|file| file == self.file) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn file_at(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

fn bind_socket(path: &Path) -> anyhow::Result<(UnixListener, Name)> {
    let folder = path.parent().context("it is no path of a file")?;
    let folder = private_folder(folder)?;
    // Two that start at once would each take the other's for one that was left behind.
    folder.lock().context("cannot lock its folder")?;
    remove_left_behind(path)?;
    let socket = UnixSocket::new_stream()?;
    socket.bind(path)?;
    let name = Name {
        file: file_at(path)?,
        path: path.to_owned(),
    };
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok((socket.listen(BACKLOG)?, name))
}

/// Makes the folder if it is missing, and sees that nobody else may enter it.
fn private_folder(folder: &Path) -> anyhow::Result<File> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.context("cannot make its folder")?;
    let opened = File::open(folder).context("cannot open its folder")?;
    let (found, own) = (opened.metadata()?, fs::metadata("/proc/self")?.uid());
    ensure!(
        found.uid() == own && found.mode().trailing_zeros() >= 6,
        "its folder belongs to user {} with mode {:o}, and has to be one that only this user ({own}) enters (chmod 700)",
        found.uid(),
        found.mode() & 0o777,
    );
    Ok(opened)
}

/// Removes the socket of a process that was killed: nobody answers there any more.
fn remove_left_behind(path: &Path) -> anyhow::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    ensure!(
        found.file_type().is_socket(),
        "there is something that is no socket"
    );
    match Probe::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).context("cannot remove the one that was left behind")
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(_) => bail!("another process listens there"),
        Err(error) => Err(error).context("cannot tell whether somebody listens there"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(folder: &Path) -> Place {
        Place::Socket(folder.join("own/app.sock"))
    }

    async fn refused(place: Place) -> String {
        let bound = Listener::bind(place, "HTTP_ADDR").await;
        format!("{:#}", bound.unwrap_err())
    }

    #[tokio::test]
    async fn a_socket_and_its_folder_are_its_owners_alone_and_go_with_the_listener() {
        let folder = tempfile::tempdir().unwrap();
        let place = socket(folder.path());
        let listener = Listener::bind(place.clone(), "HTTP_ADDR").await.unwrap();
        let path = place.socket().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        let _client = Probe::connect(path).unwrap();
        listener.accept().await.unwrap();
        drop(listener);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn what_a_killed_process_left_behind_is_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        let place = socket(folder.path());
        let killed = Listener::bind(place.clone(), "HTTP_ADDR").await.unwrap();
        let Kind::Socket {
            listener,
            _name: name,
        } = killed.kind
        else {
            panic!("it is a socket");
        };
        std::mem::forget(name);
        drop(listener);
        let path = place.socket().unwrap();
        assert!(path.exists(), "nobody has removed it");
        Listener::bind(place.clone(), "HTTP_ADDR").await.unwrap();
    }

    #[tokio::test]
    async fn a_socket_that_somebody_listens_on_is_left_to_them() {
        let folder = tempfile::tempdir().unwrap();
        let place = socket(folder.path());
        let first = Listener::bind(place.clone(), "HTTP_ADDR").await.unwrap();
        let second = refused(place.clone()).await;
        assert!(second.contains("another process listens there"), "{second}");
        let path = place.socket().unwrap();
        let _client = Probe::connect(path).unwrap();
        first.accept().await.unwrap();
        // Whose file it is by now is not known to a process that ends late.
        fs::remove_file(path).unwrap();
        let later = Listener::bind(place.clone(), "HTTP_ADDR").await.unwrap();
        drop(first);
        assert!(path.exists(), "it is another's");
        drop(later);
    }

    #[tokio::test]
    async fn a_folder_that_others_may_enter_is_refused_and_so_is_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let open = folder.path().join("own");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, Permissions::from_mode(0o755)).unwrap();
        let shared = refused(socket(folder.path())).await;
        assert!(shared.contains("mode 755"), "{shared}");
        fs::set_permissions(&open, Permissions::from_mode(0o700)).unwrap();
        fs::write(open.join("app.sock"), "precious").unwrap();
        let file = refused(socket(folder.path())).await;
        assert!(file.contains("no socket"), "{file}");
        assert_eq!(
            fs::read_to_string(open.join("app.sock")).unwrap(),
            "precious"
        );
    }
}
