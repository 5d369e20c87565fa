//! Posts that somebody asked for by `POST /posts/async` (S2-35).

use std::time::Duration;

use chassis::{Code, Error};
use messaging::{Consumer, Event as _, Failure, Received, Subscription};
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

pub(super) fn consumer(store: &Store) -> Consumer {
    let store = store.clone();
    Consumer::of(&JOBS).on(move |event: Received<PostQueued>| make(store.clone(), event))
}

/// Makes the posts whose message was lost: sent before there was a queue, or by a broker that
/// lost it. Endless.
pub(super) async fn sweep(store: Store) {
    loop {
        match store.overdue_jobs().await {
            Ok(jobs) => {
                for job_id in jobs {
                    if let Err(error) = run(&store, job_id).await {
                        tracing::warn!(cause = %error, job.id = %job_id, "job is tried again");
                    }
                }
            }
            Err(error) => tracing::warn!(cause = %error, "no look at jobs"),
        }
        tokio::time::sleep(SWEEP).await;
    }
}

async fn run(store: &Store, job_id: Uuid) -> Result<(), Error> {
    match store.run_job(job_id).await? {
        Some(JobState::Done { .. }) => metrics::job_ended("done"),
        Some(JobState::Failed { .. }) => metrics::job_ended("failed"),
        Some(JobState::Queued) | None => {}
    }
    Ok(())
}

async fn make(store: Store, event: Received<PostQueued>) -> Result<(), Failure> {
    let job_id = event.data.job_id;
    match run(&store, job_id).await {
        Ok(()) => Ok(()),
        Err(error) if event.last && error.code() != Code::Unavailable => {
            given_up(&store, job_id, &error).await
        }
        Err(error) => Err(error.into()),
    }
}

/// Tells whoever asked, rather than letting them wait for ever.
async fn given_up(store: &Store, job_id: Uuid, error: &Error) -> Result<(), Failure> {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    tracing::error!(job.id = %job_id, cause, "job given up");
    store
        .fail_job(job_id, "The post could not be stored; send it again")
        .await?;
    metrics::job_ended("failed");
    Ok(())
}
