//! Named places where a process may be made to die, for tests of what survives it.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::Notify;

/// In the relay, once a change is committed and before its event is published.
pub const BEFORE_PUBLISH: &str = "before-publish";
/// In the relay, once the broker confirmed events and before they leave the outbox.
pub const BEFORE_MARK: &str = "before-mark";
/// In a consumer, once the handler committed its effect and before the event is acknowledged.
pub const BEFORE_ACK: &str = "before-ack";

/// What happens at the failpoints of one [`Broker`](crate::Broker): nothing, until one is armed.
#[derive(Debug, Default)]
pub struct Failpoints {
    armed: AtomicBool,
    actions: Mutex<HashMap<String, Action>>,
}

#[derive(Debug, Clone)]
enum Action {
    /// The process dies as by `kill -9`.
    Abort,
    /// Whoever comes here is told of, and never goes on.
    Stop(Arc<Notify>),
}

impl Failpoints {
    /// The whole process dies when it comes to `name`.
    pub fn abort_at(&self, name: &str) {
        self.arm(name, Action::Abort);
    }

    /// The task that comes to `name` stops there for ever, as if its process had died; the
    /// returned handle is told. Other tasks come through again.
    pub fn stop_at(&self, name: &str) -> Arc<Notify> {
        let reached = Arc::new(Notify::new());
        self.arm(name, Action::Stop(Arc::clone(&reached)));
        reached
    }

    fn arm(&self, name: &str, action: Action) {
        self.actions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.to_owned(), action);
        self.armed.store(true, Ordering::Release);
    }

    /// The place `name` itself.
    pub async fn reach(&self, name: &str) {
        if !self.armed.load(Ordering::Acquire) {
            return;
        }
        let action = self
            .actions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(name);
        match action {
            None => {}
            Some(Action::Abort) => std::process::abort(),
            Some(Action::Stop(reached)) => {
                reached.notify_one();
                std::future::pending::<()>().await;
            }
        }
    }
}
