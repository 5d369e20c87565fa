//! When a socket has to end, whatever is said over it: with its process, and with the token of who opened it.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;

use super::{Ending, Sockets};
use crate::{
    Identity,
    token::{TokenEnd, TokenWatch},
};

impl Ending {
    /// The close code of a socket whose token is good no more: as 401 is for requests.
    pub const UNAUTHENTICATED: u16 = 4401;
    /// Who opened the socket logged out.
    pub const LOGGED_OUT: Self = Self::new(Self::UNAUTHENTICATED, "The token was logged out");
    /// The token of who opened the socket has expired.
    pub const EXPIRED: Self = Self::new(Self::UNAUTHENTICATED, "The token has expired");
    /// The token of who opened the socket would be refused now: its key was withdrawn.
    pub const REFUSED: Self = Self::new(Self::UNAUTHENTICATED, "The token is not valid any more");
}

impl From<TokenEnd> for Ending {
    fn from(end: TokenEnd) -> Self {
        match end {
            TokenEnd::LoggedOut => Self::LOGGED_OUT,
            TokenEnd::Expired => Self::EXPIRED,
            TokenEnd::Refused => Self::REFUSED,
        }
    }
}

/// What a socket does not outlive.
#[derive(Debug, Clone)]
pub struct Life {
    sockets: Arc<Sockets>,
    /// None where anybody might have opened it.
    token: Option<Arc<TokenWatch>>,
}

impl Life {
    pub(super) fn new(sockets: Arc<Sockets>, identity: Option<&Identity>) -> Self {
        let token = identity.map(|identity| Arc::new(sockets.tokens.watch(identity)));
        Self { sockets, token }
    }

    /// The life of the same socket with another token.
    pub(super) fn with(&self, identity: &Identity) -> Self {
        Self::new(Arc::clone(&self.sockets), Some(identity))
    }

    /// Waits until the socket has to end.
    pub async fn over(&self) -> Ending {
        tokio::select! {
            biased;
            ending = self.token_over() => ending,
            () = self.sockets.shutdown.cancelled() => Ending::RESTART,
        }
    }

    /// Waits until the token is good no more; for ever where there is none.
    pub async fn token_over(&self) -> Ending {
        match &self.token {
            Some(token) => token.ended().await.into(),
            None => std::future::pending().await,
        }
    }
}

/// [`Life::over`], which is waited for once and not again for each message: thousands share the lock behind it.
pub(super) enum Over {
    Not(BoxFuture<'static, Ending>),
    Since(Ending),
}

impl Over {
    pub(super) fn of(life: &Life) -> Self {
        let life = life.clone();
        Self::Not(Box::pin(async move { life.over().await }))
    }

    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Ending> {
        match self {
            Self::Since(ending) => Poll::Ready(*ending),
            Self::Not(waiting) => {
                let over = Pin::new(waiting).poll(context);
                if let Poll::Ready(ending) = over {
                    *self = Self::Since(ending);
                }
                over
            }
        }
    }
}

impl fmt::Debug for Over {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Over")
    }
}
