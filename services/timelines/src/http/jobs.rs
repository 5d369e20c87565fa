//! Posts that are made behind (S2-21, S2-73, D17).

use std::sync::Arc;

use chassis::{Error, Request};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Answered, posts::CreatePostRequest};
use crate::{Timelines, model::JobState};

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "QueuedPost")]
pub(super) struct AcceptedResponse {
    /// `accepted`
    status: &'static str,
    message: &'static str,
    /// For `GET /posts/jobs/{job_id}`.
    #[schema(format = "uuid")]
    job_id: String,
}

/// S2-21
pub(super) async fn create(
    timelines: Arc<Timelines>,
    request: Request,
    body: CreatePostRequest,
) -> Answered<AcceptedResponse> {
    let post = body.into_post(&request)?;
    let job_id = request.operation();
    timelines.store.insert_job(&post, job_id).await?;
    Ok(AcceptedResponse {
        status: "accepted",
        message: "Post creation queued for processing",
        job_id: job_id.to_string(),
    }
    .into())
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "PostJob")]
pub(super) struct JobResponse {
    #[schema(format = "uuid")]
    job_id: String,
    /// `queued`, `done` or `failed`.
    status: &'static str,
    /// The post, once it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    post_id: Option<i64>,
    /// Why there will be no post.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// S2-73
pub(super) async fn show(timelines: Arc<Timelines>, request: Request) -> Answered<JobResponse> {
    let unknown = || Error::not_found("Job not found");
    let job_id: Uuid = request.param("job_id").map_err(|_| unknown())?;
    let job = timelines.store.find_job(job_id).await?;
    let job = job.ok_or_else(unknown)?;
    if job.user_id != request.caller()?.user_id {
        return Err(Error::forbidden("This job is somebody else's"));
    }
    let (status, post_id, reason) = match job.state {
        JobState::Queued => ("queued", None, None),
        JobState::Done { post_id } => ("done", Some(post_id), None),
        JobState::Failed { reason } => ("failed", None, Some(reason)),
    };
    Ok(JobResponse {
        job_id: job.id.to_string(),
        status,
        post_id,
        reason,
    }
    .into())
}
