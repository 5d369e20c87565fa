//! Signals to processes that a test broke or holds still.

use rustix::process::{Pid, kill_process};

pub use rustix::process::Signal;

/// Sends a signal to a process.
///
/// # Panics
/// When there is none with this id.
pub fn send(process: u32, signal: Signal) {
    let sent = try_send(process, signal);
    assert!(sent.is_some(), "process {process} cannot be signalled");
}

fn try_send(process: u32, signal: Signal) -> Option<()> {
    let process = Pid::from_raw(process.try_into().ok()?)?;
    kill_process(process, signal).ok()
}

/// A process that is frozen until this is dropped: it takes connections, and answers nothing.
#[derive(Debug)]
pub struct Frozen(u32);

impl Frozen {
    /// Freezes a process.
    ///
    /// # Panics
    /// As [`send`].
    pub fn new(process: u32) -> Self {
        send(process, Signal::STOP);
        Self(process)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        // A second panic would hide the first.
        let _ = try_send(self.0, Signal::CONT);
    }
}
