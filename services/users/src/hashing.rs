//! Threads that hash passwords, and the queue before them.

use std::{
    any::Any,
    panic::{self, AssertUnwindSafe},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use anyhow::Context as _;
use chassis::Error;
use tokio::sync::oneshot;

use crate::password::Memory;

type Job = Box<dyn FnOnce(&mut Memory) + Send>;

/// A number of threads, each with its memory, that take one job after the other from a queue.
///
/// They are all that hashes: however many ask, so much memory is used and so many cores are busy.
#[derive(Debug, Clone)]
pub(crate) struct Threads {
    queue: SyncSender<Job>,
}

impl Threads {
    /// Starts threads of a name, with a queue of this length.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub(crate) fn start(name: &str, number: usize, queue: usize) -> anyhow::Result<Self> {
        let (sender, receiver) = sync_channel(queue);
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..number {
            let receiver = Arc::clone(&receiver);
            thread::Builder::new()
                .name(format!("hash-{name}"))
                .spawn(move || work(&receiver))
                .context("cannot start a thread for hashing")?;
        }
        Ok(Self { queue: sender })
    }

    /// What `work` gives, when its turn has come.
    ///
    /// # Errors
    /// 503 when too many wait already.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (sender, receiver) = oneshot::channel();
        let job = move |memory: &mut Memory| {
            // Whoever left meanwhile is not worth a hash.
            if !sender.is_closed() {
                let done = panic::catch_unwind(AssertUnwindSafe(|| work(memory)));
                let _ = sender.send(done);
            }
        };
        self.queue.try_send(Box::new(job)).map_err(|_| busy())?;
        let done = receiver.await.map_err(Error::internal)?;
        done.map_err(|panic| {
            Error::internal(anyhow::anyhow!("hashing panicked: {}", text(&*panic)))
        })
    }
}

/// Too many wait already.
pub(crate) fn busy() -> Error {
    Error::unavailable("Too many passwords are being checked; try again")
}

/// Works until nobody can send a job any more.
fn work(queue: &Mutex<Receiver<Job>>) {
    let mut memory = Memory::default();
    loop {
        // The lock is held while this thread waits: the others wait for it instead, which is the same.
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match next {
            Ok(job) => job(&mut memory),
            Err(_) => return,
        }
    }
}

fn text(panic: &(dyn Any + Send)) -> &str {
    let owned = panic.downcast_ref::<String>().map(String::as_str);
    owned
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        task::Poll,
    };

    use futures_util::poll;

    use super::*;

    #[tokio::test]
    async fn a_flood_is_refused_rather_than_queued_without_end() {
        let threads = Threads::start("test", 1, 2).unwrap();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let (begun, begins) = oneshot::channel();
        let blocking = tokio::spawn({
            let threads = threads.clone();
            async move {
                let block = move |_: &mut Memory| {
                    let _ = begun.send(());
                    wait.recv()
                };
                threads.run(block).await
            }
        });
        begins.await.unwrap();
        let mut queued: Vec<_> = (0..3).map(|_| Box::pin(threads.run(|_| ()))).collect();
        let mut refused = 0;
        for job in &mut queued {
            let refusal = matches!(poll!(job), Poll::Ready(Err(_)));
            refused += usize::from(refusal);
        }
        assert_eq!(refused, 1, "two fit into the queue");
        go.send(()).unwrap();
        blocking.await.unwrap().unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_the_thread_goes_on() {
        let threads = Threads::start("test", 1, 2).unwrap();
        assert!(threads.run(|_| panic!("a bug")).await.is_err());
        assert_eq!(threads.run(|_| 7).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn whoever_left_is_not_hashed_for() {
        let threads = Threads::start("test", 1, 2).unwrap();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let hashed = Arc::new(AtomicUsize::new(0));
        let mut first = Box::pin(threads.run(move |_| wait.recv()));
        assert!(poll!(&mut first).is_pending());
        let counted = Arc::clone(&hashed);
        let mut leaves = Box::pin(threads.run(move |_| counted.fetch_add(1, Ordering::SeqCst)));
        assert!(poll!(&mut leaves).is_pending());
        drop(leaves);
        go.send(()).unwrap();
        first.await.unwrap().unwrap();
        threads.run(|_| ()).await.unwrap();
        assert_eq!(hashed.load(Ordering::SeqCst), 0);
    }
}
