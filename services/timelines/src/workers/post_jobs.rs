//! Posts that somebody asked for by `POST /posts/async` (S2-35).
//!
//! Those of one author are made in the order in which they were asked for, whichever instance hears
//! of them first: a message of one job means all that its author has waiting up to that one. See
//! `docs/adr/0045`.

use std::{sync::Arc, time::Duration};

use chassis::{Code, Error};
use messaging::{Consumer, Event as _, Failure, Received, Subscription};
use moka::sync::Cache;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::{
    metrics,
    model::JobState,
    store::{PostQueued, Store},
};

/// How often lost messages are looked for.
const SWEEP: Duration = Duration::from_secs(30);

/// What is asked for.
pub(super) const JOBS: Subscription = Subscription::new("post-jobs", &[PostQueued::TYPE]).shared();

/// Authors whose turns are remembered.
const REMEMBERED: u64 = 10_000;

/// Those who make posts in this process. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Makers {
    store: Store,
    /// Held while posts of an author are made: who waits here does not wait in the store.
    turns: Cache<i64, Arc<Mutex<()>>>,
}

/// A job that could not be done, and why.
#[derive(Debug)]
struct Stuck {
    job_id: Uuid,
    error: Error,
}

impl Makers {
    pub(super) fn new(store: &Store) -> Self {
        Self {
            store: store.clone(),
            turns: Cache::new(REMEMBERED),
        }
    }

    pub(super) fn consumer(&self) -> Consumer {
        let makers = self.clone();
        Consumer::of(&JOBS).on(move |event: Received<PostQueued>| {
            let makers = makers.clone();
            async move { makers.make(event).await }
        })
    }

    /// Makes the posts whose message was lost: sent before there was a queue, or by a broker that
    /// lost it. Endless.
    pub(super) async fn sweep(self) {
        loop {
            match self.store.overdue_jobs().await {
                Ok(jobs) => {
                    for job_id in jobs {
                        if let Err(Stuck { job_id, error }) = self.run(job_id).await {
                            tracing::warn!(cause = %error, job.id = %job_id, "job is tried again");
                        }
                    }
                }
                Err(error) => tracing::warn!(cause = %error, "no look at jobs"),
            }
            tokio::time::sleep(SWEEP).await;
        }
    }

    /// Makes all posts of an author that wait, up to a job.
    async fn run(&self, job_id: Uuid) -> Result<(), Stuck> {
        let stuck = |job_id| move |error| Stuck { job_id, error };
        let waiting = self.store.waiting_job(job_id).await;
        let Some(waiting) = waiting.map_err(stuck(job_id))? else {
            return Ok(());
        };
        let turn = self.turns.get_with(waiting.user_id, Arc::default);
        let _turn = turn.lock().await;
        while let Some(next) = self.store.next_job(&waiting).await.map_err(stuck(job_id))? {
            match self.store.run_job(next).await.map_err(stuck(next))? {
                Some(JobState::Done { .. }) => metrics::job_ended("done"),
                Some(JobState::Failed { .. }) => metrics::job_ended("failed"),
                Some(JobState::Queued) | None => {}
            }
        }
        Ok(())
    }

    async fn make(&self, event: Received<PostQueued>) -> Result<(), Failure> {
        let job_id = event.data.job_id;
        loop {
            match self.run(job_id).await {
                Ok(()) => return Ok(()),
                Err(stuck) if event.last && stuck.error.code() != Code::Unavailable => {
                    self.give_up(&stuck).await?;
                    if stuck.job_id == job_id {
                        return Ok(());
                    }
                }
                Err(stuck) => return Err(stuck.error.into()),
            }
        }
    }

    /// Tells whoever asked, rather than letting them wait for ever, and all that they asked for after it.
    async fn give_up(&self, stuck: &Stuck) -> Result<(), Failure> {
        let cause = std::error::Error::source(&stuck.error).map(ToString::to_string);
        tracing::error!(job.id = %stuck.job_id, cause, "job given up");
        self.store
            .fail_job(stuck.job_id, "The post could not be stored; send it again")
            .await?;
        metrics::job_ended("failed");
        Ok(())
    }
}
