//! A door between a process and the broker, which knows who goes in and out.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::net::{TcpListener, TcpStream};

/// Passes every link on to a broker, and counts. The numbers of [`telemetry::metrics`] would not
/// do: all tests of a binary share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Door {
    port: u16,
    entered: Arc<AtomicUsize>,
    left: Arc<AtomicUsize>,
}

impl Door {
    /// A door to the broker that listens on `broker`.
    pub(crate) async fn before(broker: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let door = Self {
            port: listener.local_addr().unwrap().port(),
            ..Self::default()
        };
        let counting = door.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                counting.entered.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(counting.clone().pass(client, broker));
            }
        });
        door
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    async fn pass(self, client: TcpStream, broker: u16) {
        let (mut from_client, mut to_client) = client.into_split();
        if let Ok(server) = TcpStream::connect(("127.0.0.1", broker)).await {
            let (mut from_server, mut to_server) = server.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
            let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
        }
        self.left.fetch_add(1, Ordering::Relaxed);
    }

    /// How many links were begun, and how many of them their clients ended.
    pub(crate) fn count(&self) -> (usize, usize) {
        let left = self.left.load(Ordering::Relaxed);
        (self.entered.load(Ordering::Relaxed), left)
    }
}
