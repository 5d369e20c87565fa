//! What Consul says, again whenever it changes: blocking queries.

use std::{fmt, marker::PhantomData};

use serde::de::DeserializeOwned;

use crate::{Error, agent::Agent};

/// A question that Consul answers again whenever its answer changes.
pub struct Watch<T> {
    agent: Agent,
    path: String,
    index: u64,
    answer: PhantomData<fn() -> T>,
}

impl<T> fmt::Debug for Watch<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Watch({})", self.path)
    }
}

impl<T> Watch<T> {
    pub(crate) fn new(agent: Agent, path: impl Into<String>) -> Self {
        Self {
            agent,
            path: path.into(),
            index: 0,
            answer: PhantomData,
        }
    }
}

impl<T: DeserializeOwned> Watch<T> {
    /// What there is at once the first time; later what there is after the next change.
    ///
    /// A change that touches something else may look like one. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the agent does not answer or does not allow it; the next call is answered at once, so
    /// that whoever asks again knows where things are.
    pub async fn next(&mut self) -> Result<T, Error> {
        loop {
            match self.agent.wait(&self.path, self.index).await {
                // The time was over, and nothing had changed.
                Ok((index, _)) if index == self.index => {}
                // An index that goes back is that of a Consul which has lost its data: it counts like any other.
                Ok((index, answer)) => {
                    self.index = index;
                    return Ok(answer);
                }
                Err(error) => {
                    self.index = 0;
                    return Err(error);
                }
            }
        }
    }
}
