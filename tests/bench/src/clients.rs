//! Many sockets that count what comes.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail};
use futures_util::StreamExt as _;
use tokio::{net::TcpStream, sync::Notify, task::JoinSet};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        Message,
        protocol::{Role, WebSocketConfig},
    },
};

/// What a round may take before something is wrong.
const PATIENCE: Duration = Duration::from_mins(1);
/// Handshakes on their way at once.
const AT_ONCE: usize = 64;

/// Sockets to one address.
pub struct Clients {
    number: usize,
    heard: Arc<Heard>,
    tasks: JoinSet<()>,
}

#[derive(Default)]
struct Heard {
    messages: AtomicUsize,
    gone: AtomicUsize,
    round: Notify,
}

impl Clients {
    /// Opens `number` sockets; with a path by a handshake, else on bare connections.
    pub async fn open(address: SocketAddr, path: Option<&str>, number: usize) -> Result<Self> {
        let mut clients = Self {
            number,
            heard: Arc::default(),
            tasks: JoinSet::new(),
        };
        let mut opening = JoinSet::new();
        for started in 0..number {
            if started >= AT_ONCE
                && let Some(opened) = opening.join_next().await
            {
                clients.listen(opened??);
            }
            opening.spawn(open(address, path.map(str::to_owned)));
        }
        while let Some(opened) = opening.join_next().await {
            clients.listen(opened??);
        }
        Ok(clients)
    }

    fn listen(&mut self, mut socket: WebSocketStream<TcpStream>) {
        let (heard, number) = (Arc::clone(&self.heard), self.number);
        self.tasks.spawn(async move {
            while let Some(Ok(message)) = socket.next().await {
                if matches!(message, Message::Text(_))
                    && (heard.messages.fetch_add(1, SeqCst) + 1).is_multiple_of(number)
                {
                    heard.round.notify_one();
                }
            }
            heard.gone.fetch_add(1, SeqCst);
        });
    }

    /// Waits until everybody has heard a message more.
    pub async fn round(&self) -> Result<()> {
        let waited = tokio::time::timeout(PATIENCE, self.heard.round.notified()).await;
        let gone = self.heard.gone.load(SeqCst);
        if gone > 0 {
            bail!("{gone} sockets were closed");
        }
        waited.context("some heard nothing")
    }
}

async fn open(address: SocketAddr, path: Option<String>) -> Result<WebSocketStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let config = WebSocketConfig::default().read_buffer_size(1024);
    let Some(path) = path else {
        return Ok(WebSocketStream::from_raw_socket(stream, Role::Client, Some(config)).await);
    };
    let url = format!("ws://{address}{path}");
    let (socket, _) = client_async_with_config(url, stream, Some(config)).await?;
    Ok(socket)
}
